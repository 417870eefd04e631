"""Trained seeds -> the files of a model folder: which weights, their scores, pictures, formats, card."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trainables.metrics import METRICS, Answers
from tuner.evaluation.scores import TestScores, score, score_intervals, softmax, why_no_interval
from tuner.evaluation.statistics import FloatArray, Interval
from tuner.release.folder import LABELS, ModelSpec, write_json, write_manifest
from tuner.release.seeds import SeedResult, score_weights
from tuner.runs.best import save_best
from tuner.runs.directory import write_atomically

if TYPE_CHECKING:
    from tuner.release.job import Retrained, RetrainPlan

__all__ = ["Chosen", "finish"]

SCORES = ("loss", "accuracy", "balanced_accuracy", "macro_f1", "calibration_error")
INTERVALS = ("accuracy", "balanced_accuracy", "macro_f1")

FIRST = "the first seed's model; which one is exported was settled before the test images were looked at"


@dataclass(frozen=True)
class Chosen:
    """The weights that are exported, the rule by which they were, and their answers to the test images.

    `averaging` says what became of --average; None without it.
    """

    weights: Path
    rule: str
    seeds: tuple[int, ...]
    test_logits: FloatArray | None
    averaging: Mapping[str, Any] | None = None


def finish(plan: "RetrainPlan", results: Sequence[SeedResult], folder: Path) -> "Retrained":
    """Write every file of the model folder into `folder`; what it holds."""
    from trainables.data.preprocessing import cache_side
    from trainables.inference import load_classifier
    from tuner.release.card import card, sentences
    from tuner.release.figures import draw
    from tuner.release.formats import write_formats
    from tuner.release.job import Retrained, sample_pictures

    job, images = plan.job, plan.images
    chosen = _choose(plan, results)
    classifier = load_classifier(job.config, len(job.classes), chosen.weights)
    side = cache_side(job.image_size)
    spec = ModelSpec(job.config.model, job.classes, job.image_size, side, classifier.mean, classifier.std)
    (folder / LABELS).write_text(spec.to_json() + "\n", encoding="utf-8")
    differences = write_formats(classifier, spec, folder, sample_pictures(job))
    metrics = _metrics(plan, results, chosen, differences)
    write_json(folder / "metrics.json", metrics)
    _write_tables(plan, results, chosen, folder)
    draw(folder / "figures", results, metrics, job.classes)
    again = replace(plan.best, classes=job.classes, data=images.data, split=images.source)
    again = replace(again, split=replace(again.split, file="best.split.parquet"))
    save_best(again, folder / "best.yaml", images.split)
    (folder / "MODEL_CARD.md").write_text(card(plan, metrics), encoding="utf-8")
    shutil.rmtree(job.folder)
    write_manifest(folder)
    return Retrained(plan.config.folder, metrics, tuple(sentences(metrics)))


def _choose(plan: "RetrainPlan", results: Sequence[SeedResult]) -> Chosen:
    first = results[0]
    if not plan.config.average:
        return Chosen(Path(first.weights[-1]), FIRST, (first.seed,), first.test_logits)
    return _averaged(plan, results)


def _averaged(plan: "RetrainPlan", results: Sequence[SeedResult]) -> Chosen:
    """The greedy soup of the seeds' models, or of one seed's late epochs, if validation prefers it."""
    from safetensors.torch import load_file, save_file

    from tuner.release.soup import greedy_soup

    job, metric = plan.job, plan.best.expected.metric
    of_seeds = len(results) > 1
    files = [result.weights[-1] for result in results] if of_seeds else list(results[0].weights)
    place = Path(job.folder) / "average.safetensors"
    labels = _labels(plan, "val")
    named = plan.best.expected.positive
    positive = job.classes.index(named) if named in job.classes else None

    def judge(state: Mapping[str, Any]) -> float:
        save_file(dict(state), place)
        answers = Answers(labels, score_weights(job, str(place), "val"), positive)
        return -METRICS[metric].cost(METRICS[metric].compute(answers))

    soup = greedy_soup([load_file(file) for file in files], judge)
    save_file(dict(soup.state), place)
    what = "seeds' models" if of_seeds else "last epochs of one seed"
    if len(soup.members) > 1:
        rule = (
            f"the average of {len(soup.members)} of {len(files)} {what}: better on validation than each alone"
        )
    else:
        rule = f"the best single of {len(files)} {what}: on validation no average was better"
    seeds = [results[member].seed for member in soup.members] if of_seeds else [results[0].seed]
    averaging = {
        "offered": len(files),
        "of": what,
        "taken": len(soup.members),
        "kept": len(soup.members) > 1,
        f"{metric}_of_singles": [METRICS[metric].cost(-value) for value in soup.singles],
        metric: METRICS[metric].cost(-soup.score),
    }
    logits = score_weights(job, str(place), "test")
    return Chosen(place, rule, tuple(seeds), logits, averaging)


def _metrics(
    plan: "RetrainPlan", results: Sequence[SeedResult], chosen: Chosen, differences: Mapping[str, float]
) -> dict[str, Any]:
    """What metrics.json says; `test` is absent where nothing was left to test on."""
    images, best = plan.images, plan.best
    metrics: dict[str, Any] = {
        "model": best.config.model,
        "strategy": best.config.strategy,
        "trial": best.trial,
        "trained_on": list(plan.trained_parts),
        "trained_images": sum(part == "train" for _, _, part in plan.job.rows),
        "epochs": plan.job.epochs,
        "epochs_rule": plan.epochs_rule,
        "seeds": [result.seed for result in results],
        "exported": chosen.rule,
        "exported_seeds": list(chosen.seeds),
        "split": images.words,
        "split_fingerprint": images.source.fingerprint,
        "data_fingerprint": images.data.fingerprint,
        "grouped": images.grouped,
        "expected": {**asdict(best.expected), "scores": dict(best.expected.scores)},
        "largest_difference_of_exports": dict(differences),
    }
    if chosen.averaging is not None:
        metrics["averaging"] = dict(chosen.averaging)
    if chosen.test_logits is None:
        return {**metrics, "test": None, "why_no_test": "--final: the test images were trained on"}
    labels = _labels(plan, "test")
    by_seed = [score(labels, r.test_logits) for r in results if r.test_logits is not None]
    return {**metrics, "test": _test(plan, labels, chosen.test_logits, by_seed)}


def _test(
    plan: "RetrainPlan", labels: Any, logits: FloatArray, by_seed: Sequence[TestScores]
) -> dict[str, Any]:
    test = plan.images.split[plan.images.split["split"] == "test"]
    groups = [str(group) for group in test["group"]]
    found = score(labels, logits)
    sure = score_intervals(labels, logits, groups)
    exported: dict[str, Any] = {name: getattr(found, name) for name in SCORES}
    for name in INTERVALS:
        exported[f"{name}_95"] = _ends(getattr(sure, name))
    if sure.alone:
        names = [plan.job.classes[code] for code in sure.alone]
        exported["why_no_interval"] = why_no_interval(names, "group" if plan.images.grouped else "image")
    per_class = {
        label: {
            **{name: getattr(found, name)[i] for name in ("precision", "recall", "f1", "auc")},
            "auc_95": _ends(sure.auc[i]),
        }
        for i, label in enumerate(plan.job.classes)
    }
    return {
        "images": len(labels),
        "groups": len(set(groups)),
        "exported": {**exported, "by_class": per_class, "confusion": [list(row) for row in found.confusion]},
        "by_seed": [{name: getattr(one, name) for name in SCORES} for one in by_seed],
        "over_seeds": {name: _spread([getattr(one, name) for one in by_seed]) for name in SCORES},
    }


def _ends(interval: Interval | None) -> list[float] | None:
    return None if interval is None else [interval.low, interval.high]


def _spread(values: Sequence[float]) -> dict[str, float | int | None]:
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return {"mean": float(np.mean(values)), "standard_deviation": sd, "n": len(values)}


def _labels(plan: "RetrainPlan", part: str) -> Any:
    number = {name: code for code, name in enumerate(plan.job.classes)}
    split = plan.images.split
    return np.array([number[str(v)] for v in split.loc[split["split"] == part, "label"]], dtype=np.int64)


def _write_tables(plan: "RetrainPlan", results: Sequence[SeedResult], chosen: Chosen, folder: Path) -> None:
    import pandas as pd

    history = pd.DataFrame([{"seed": r.seed, **epoch} for r in results for epoch in r.history])
    history = history.rename(
        columns={"train_accuracy": "train_acc", "val_accuracy": "val_acc", "epoch_seconds": "seconds"}
    )
    first = ["seed", "epoch", "train_loss", "val_loss", "train_acc", "val_acc", "learning_rate", "seconds"]
    history = history[[*first, *(name for name in history.columns if name not in first)]]
    write_atomically(folder / "training.csv", lambda file: history.to_csv(file, index=False))
    if chosen.test_logits is None:
        return
    test = plan.images.split[plan.images.split["split"] == "test"][["path", "group", "label"]]
    fixed = ("path", "group", "label")
    columns = [f"class {name}" if name in fixed else name for name in plan.job.classes]
    answers = pd.DataFrame(softmax(chosen.test_logits), columns=columns)
    table = test.reset_index(drop=True).join(answers)
    write_atomically(folder / "probabilities.parquet", lambda file: table.to_parquet(file, index=False))
