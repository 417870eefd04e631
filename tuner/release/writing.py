"""Trained seeds -> the files of a model folder: which weights, their scores, pictures, formats, card."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trainables.temperature import share_of_mean
from tuner.evaluation.comparison.uncertainty import (
    OUT_OF_FOLD,
    Answers,
    Calibration,
    calibrate,
    ends,
    uncertainty,
)
from tuner.release.choosing import Chosen, choose, logits_of
from tuner.release.folder import LABELS, METRICS_FILE, ONNX, ModelSpec, write_json, write_manifest
from tuner.release.ood import FoundStrangers, find_strangers
from tuner.retraining.scoring import score_weights
from tuner.retraining.seed_job import SeedResult
from tuner.runs.best_file import save_best
from tuner.runs.directory import write_atomically
from tuner.statistics.intervals import FloatArray
from tuner.statistics.scores import TestScores, score, score_intervals, softmax, why_no_interval

if TYPE_CHECKING:
    from tuner.release.job import ModelPlan, Retrained, Trained
    from tuner.release.portable import Portable

__all__ = ["finish"]

SCORES = ("loss", "accuracy", "balanced_accuracy", "macro_f1", "calibration_error")
INTERVALS = ("accuracy", "balanced_accuracy", "macro_f1")

NO_TEST = {True: "the test images were trained on as well", False: "the test images were not read"}
"""Why there is no score, by whether the test images were trained on."""


WRITING = "the model's formats are written and timed"
"""What a person who waits for `finish` is told."""


def finish(plan: "ModelPlan", trained: "Trained", folder: Path) -> "Retrained":
    """Write every file of the model folder into `folder`; what it holds."""
    from tuner.release.card import card, sentences
    from tuner.release.figures import draw
    from tuner.release.formats import write_formats
    from tuner.release.job import Retrained, sample_pictures

    job, images = plan.job, plan.images
    chosen = choose(plan, trained.models)
    calibration = _calibration(plan, trained, chosen)
    strangers = find_strangers(plan, trained, chosen.weights[0])
    portable, spec = _portable(plan, chosen, calibration, strangers)
    (folder / LABELS).write_text(spec.to_json() + "\n", encoding="utf-8")
    differences = write_formats(portable, spec, folder, sample_pictures(job), plan.formats)
    metrics = _metrics(plan, trained.models, chosen, calibration)
    metrics["largest_difference_of_exports"] = dict(differences)
    metrics["strangers"] = strangers.document
    metrics["running_cost"] = _running_cost(portable, folder) if "onnx" in plan.formats else None
    write_json(folder / METRICS_FILE, metrics)
    _write_tables(plan, trained.models, chosen, spec.temperature, folder)
    draw(folder / "figures", trained.results, metrics, job.classes)
    again = replace(plan.best, classes=job.classes, data=images.data, split=images.source)
    again = replace(again, split=replace(again.split, file="best.split.parquet"))
    save_best(again, folder / "best.yaml", images.split)
    (folder / "MODEL_CARD.md").write_text(card(plan, metrics), encoding="utf-8")
    write_manifest(folder)
    return Retrained(plan.folder, metrics, tuple(sentences(metrics)))


def _portable(
    plan: "ModelPlan", chosen: Chosen, calibration: Calibration | None, strangers: FoundStrangers
) -> "tuple[Portable, ModelSpec]":
    """The module that is exported, and what it says of itself."""
    from trainables.data.preprocessing import cache_side
    from trainables.inference import load_classifier
    from tuner.release.portable import Portable

    job, counts = plan.job, [member.count for member in plan.members]
    classifiers = [
        load_classifier(member.job.config, len(job.classes), weights)
        for member, weights in zip(plan.members, chosen.weights, strict=True)
    ]
    temperature = 1.0 if calibration is None else exported_temperature(calibration, chosen)
    spec = ModelSpec(
        model=" + ".join(dict.fromkeys(member.job.config.model for member in plan.members)),
        classes=job.classes,
        image_size=job.image_size,
        short_side=cache_side(job.image_size, plan.best.fit),
        mean=classifiers[0].mean,
        std=classifiers[0].std,
        members=len(classifiers),
        temperature=temperature,
        scores=() if calibration is None else calibration.scores,
        costs=() if plan.costs is None else tuple(map(tuple, plan.costs.tolist())),
        strange_at_95=strangers.at_95,
        scale=plan.images.data.scale,
        fit=plan.best.fit,
    )
    portable = Portable(*classifiers, counts=counts, temperature=temperature, strangers=strangers.score)
    return portable, spec


def exported_temperature(calibration: Calibration, chosen: Chosen) -> float:
    """The temperature of what is exported: of several trainings the mean's, where a single one answered."""
    return calibration.temperature * share_of_mean(chosen.trainings)


def _running_cost(portable: "Portable", folder: Path) -> dict[str, Any]:
    """What the exported graph takes on this machine, for metrics.json."""
    from tuner.evaluation.comparison.running_cost import count_parameters, of_onnx
    from tuner.runs.hardware import hardware

    cost = of_onnx(folder / ONNX, count_parameters(*portable.classifiers))
    return {**asdict(cost), "processor": hardware()["processor"]}


def _calibration(plan: "ModelPlan", trained: "Trained", chosen: Chosen) -> Calibration | None:
    """The temperature and the scores of sets, from answers to images that were not trained on."""
    if trained.out_of_fold is not None:
        own = plan.images.part("train", "val")
        there = np.asarray(~np.isnan(trained.out_of_fold).any(axis=1), dtype=np.bool_)
        own = own.where(there)
        return calibrate(Answers(trained.out_of_fold[there], own.numbers, own.groups), OUT_OF_FOLD)
    logits: FloatArray | None = None
    if trained.calibration is not None:
        logits = logits_of(plan, trained.calibration)
    elif plan.calibrated and plan.held_out:
        logits = score_weights(plan.job, str(chosen.weights[0]), "val")
    if plan.held_out:
        held_out = "by this model, which was not trained on them"
        held_out += ", but chosen by them" if plan.kept else ""
    else:
        held_out = "by another model of the same seed, trained on the training images only"
    return None if logits is None else calibrate(_answers(plan, "val", logits), held_out)


def _answers(plan: "ModelPlan", part: str, logits: FloatArray) -> Answers:
    own = plan.images.part(part)
    return Answers(logits, own.numbers, own.groups)


def _metrics(
    plan: "ModelPlan",
    models: Sequence[Sequence[SeedResult]],
    chosen: Chosen,
    calibration: Calibration | None,
) -> dict[str, Any]:
    """What metrics.json says; `test` is absent where nothing was left to test on."""
    images, best = plan.images, plan.best
    expected = plan.together or best.expected
    metrics: dict[str, Any] = {
        "model": best.config.model,
        "classes": list(plan.job.classes),
        "strategy": best.config.strategy,
        "trial": best.trial,
        "trained_on": list(plan.trained_parts),
        "trained_images": sum(part == "train" for _, _, part in plan.job.rows),
        "epochs": plan.job.epochs,
        "epochs_rule": plan.epochs_rule,
        "seeds": list(dict.fromkeys(result.seed for model in models for result in model)),
        "exported": chosen.rule,
        "exported_seeds": list(chosen.seeds),
        "split": images.words,
        "split_fingerprint": images.source.fingerprint,
        "data_fingerprint": images.data.fingerprint,
        "grouped": images.grouped,
        "expected": {**asdict(expected), "scores": dict(expected.scores)},
    }
    if len(plan.members) > 1:
        metrics["ensemble"] = [
            {
                "trial": one.trial,
                "seed": result.seed,
                "count": one.count,
                "model": one.job.config.model,
                "epochs": one.job.epochs,
            }
            for one, result in zip(plan.members, models[0], strict=True)
        ]
    if chosen.averaging is not None:
        metrics["averaging"] = dict(chosen.averaging)
    test = None if chosen.test_logits is None else _answers(plan, "test", chosen.test_logits)
    metrics |= uncertainty(plan.job.classes, calibration, test, plan.costs)
    if calibration is not None:
        metrics["calibration"]["exported_temperature"] = exported_temperature(calibration, chosen)
    if test is None:
        return {**metrics, "test": None, "why_no_test": NO_TEST["test" in plan.trained_parts]}
    by_seed = [
        score(test.labels, logits) for model in models if (logits := logits_of(plan, model)) is not None
    ]
    temperature = 1.0 if calibration is None else calibration.temperature
    return {**metrics, "test": _test(plan, test.labels, test.logits / temperature, by_seed)}


def _test(
    plan: "ModelPlan", labels: Any, logits: FloatArray, by_seed: Sequence[TestScores]
) -> dict[str, Any]:
    groups = plan.images.part("test").groups
    found = score(labels, logits)
    sure = score_intervals(labels, logits, groups)
    exported: dict[str, Any] = {name: getattr(found, name) for name in SCORES}
    for name in INTERVALS:
        exported[f"{name}_95"] = ends(getattr(sure, name))
    if sure.alone:
        names = [plan.job.classes[code] for code in sure.alone]
        exported["why_no_interval"] = why_no_interval(names, "group" if plan.images.grouped else "image")
    per_class = {
        label: {
            **{name: getattr(found, name)[i] for name in ("precision", "recall", "f1", "auc")},
            "auc_95": ends(sure.auc[i]),
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


def _spread(values: Sequence[float]) -> dict[str, float | int | None]:
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return {"mean": float(np.mean(values)), "standard_deviation": sd, "n": len(values)}


def _write_tables(
    plan: "ModelPlan",
    models: Sequence[Sequence[SeedResult]],
    chosen: Chosen,
    temperature: float,
    folder: Path,
) -> None:
    import pandas as pd

    rows = [
        {"seed": result.seed, "trial": member.trial, **epoch}
        for model in models
        for member, result in zip(plan.members, model, strict=True)
        for epoch in result.history
    ]
    history = pd.DataFrame(rows).rename(
        columns={"train_accuracy": "train_acc", "val_accuracy": "val_acc", "epoch_seconds": "seconds"}
    )
    first = ["seed", "epoch", "train_loss", "val_loss", "train_acc", "val_acc", "learning_rate", "seconds"]
    history = history[[*first, *(name for name in history.columns if name not in first)]]
    write_atomically(folder / "training.csv", lambda file: history.to_csv(file, index=False))
    if chosen.test_logits is None:
        return
    own = plan.images.part("test")
    test = pd.DataFrame({"path": own.paths, "group": own.groups, "label": own.labels})
    fixed = ("path", "group", "label")
    columns = [f"class {name}" if name in fixed else name for name in plan.job.classes]
    answers = pd.DataFrame(softmax(chosen.test_logits / temperature), columns=columns)
    table = test.join(answers)
    write_atomically(folder / "probabilities.parquet", lambda file: table.to_parquet(file, index=False))
