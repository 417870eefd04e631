"""Who reaches the final comparison, and their logits on the test images."""

import datetime
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from trainables.config import TrialConfig
from trainables.errors import RunProblem
from trainables.metrics import METRICS
from trainables.wording import some
from tuner.evaluation.comparison.names import short_models, strategy_name
from tuner.runs.directory import Run, fit_of, read_yaml, rows_of
from tuner.runs.trial_table import trial_config
from tuner.statistics.intervals import FloatArray
from tuner.tuning.estimates import chosen_on_folds
from tuner.tuning.ranking import counts

__all__ = [
    "Finalist",
    "Scorer",
    "check_judges",
    "check_same_split",
    "choose_finalists",
    "images_of",
    "kept_trials",
    "labelled",
    "note_scoring",
    "rows_of",
    "score_with_weights",
    "trial_config",
]

Scorer = Callable[[Run, Mapping[str, Any], Sequence[str]], FloatArray]
"""Logits [n, classes] of one trial, a row of `trials.parquet`, for the image paths [n] of its run."""

SCORINGS = "test_scored.yaml"
"""File of a run directory that says when which trials saw the test images."""


@dataclass(frozen=True)
class Finalist:
    """One trial of the final comparison.

    `key` names it among all runs; `label` is short enough for a picture; `value` is the chosen validation
    metric. An ensemble has `members`: how often each trial is taken, by key;
    and the model of each.
    """

    run: Run
    key: str
    label: str
    row: Mapping[str, Any]
    config: TrialConfig
    value: float
    members: Mapping[str, int] | None = None
    member_models: Mapping[str, str] | None = None


def choose_finalists(runs: Sequence[Run], top: int) -> tuple[list[Finalist], list[str]]:
    """The finalists of all `runs`, the chosen one first, and warnings that name those without weights.

    Finalists are the best finished trial of every combination, and the `top` best of all. A stopped trial
    counts if its weights were kept. Raises RunProblem if nobody is left.
    """
    candidates = _candidates(runs)
    kept = _best_of_each([one for one in candidates if _has_weights(one)], top)
    lost = [one.key for one in _best_of_each(candidates, top) if one not in kept]
    if not kept:
        raise RunProblem(
            f"{runs[0].path}: no finished trial with kept weights, so nothing can be compared;"
            f" let the search finish: tuner resume {runs[0].path}"
        )
    notes = [f"left out for want of weights: {some(lost)}"] if lost else []
    return labelled(kept), notes


def kept_trials(runs: Sequence[Run], most: int) -> list[Finalist]:
    """The `most` best trials of all `runs`, on validation, whose weights are there, without labels."""
    return [one for one in _candidates(runs) if _has_weights(one)][:most]


def _candidates(runs: Sequence[Run]) -> list[Finalist]:
    """The finished trials of all `runs`, best first: by their estimates if all have one, else by validation.

    Where all images of a single run judged, the trial that they chose comes before the others.
    """
    metric = str(runs[0].record["metric"])
    found: list[Finalist] = []
    for run in runs:
        prefix = f"{_run_name(run)}/" if len(runs) > 1 else ""
        for row in rows_of(run.trials()):
            value, trial = row[metric], str(row["trial_id"])
            finished = row["status"] == "completed" or (
                row["status"] == "stopped" and run.weights(trial).exists()
            )
            if finished and value is not None and value == value:
                found.append(Finalist(run, prefix + trial, "", row, trial_config(row), float(value)))
    estimates = [one.row.get("estimate") for one in found]
    if metric == "val_loss" and all(value is not None and value == value for value in estimates):
        found.sort(key=lambda one: (METRICS[metric].place(one.row), one.key))
    else:
        found.sort(key=lambda one: (METRICS[metric].cost(one.value), one.key))
    chosen = _chosen(runs)
    return sorted(found, key=lambda one: one.key != chosen)


def judging_images(runs: Sequence[Run]) -> int | None:
    """How many images judged the search that chose the first finalist; None where validation alone did."""
    if _chosen(runs) is None or (table := runs[0].judged()) is None:
        return None
    return int(table["images"].max())


def _chosen(runs: Sequence[Run]) -> str | None:
    """The trial that a single run chose by more than its validation images, if its weights are there; else None."""
    if len(runs) != 1 or (table := runs[0].judged()) is None:
        return None
    if table["images"].max() <= runs[0].images_and_parts().count("val"):
        return None
    rows = {str(row["trial_id"]): row for row in rows_of(runs[0].trials()) if counts(row)}
    name = chosen_on_folds(runs[0], rows)
    return name if name is not None and runs[0].weights(name).exists() else None


def _has_weights(one: Finalist) -> bool:
    return one.run.weights(str(one.row["trial_id"])).exists()


def _best_of_each(ranked: Sequence[Finalist], top: int) -> list[Finalist]:
    """The first of every combination and the first `top`, in the order of `ranked`."""
    best: dict[str, Finalist] = {}
    for one in ranked:
        best.setdefault(one.config.combination, one)
    wanted = {one.key for one in [*best.values(), *ranked[:top]]}
    return [one for one in ranked if one.key in wanted]


def images_of(run: Run, part: str) -> tuple[list[str], npt.NDArray[np.int64], list[str]]:
    """Paths [n], class numbers [n] and groups [n] of the images of `part` ("train", "val", "test") of a run."""
    own = run.images_and_parts().part(part)
    return list(own.paths), own.numbers, list(own.groups)


def check_same_split(runs: Sequence[Run]) -> list[str]:
    """Warnings about runs that share their split; raises RunProblem, saying why, if they don't, or are named alike."""
    _check_names(runs)
    first, record = runs[0], runs[0].record
    notes = []
    for run in runs[1:]:
        other = run.record
        ours, theirs = (r["data"]["split_fingerprint"] for r in (record, other))
        if ours != theirs:
            raise RunProblem(
                f"{first.path} and {run.path} split their images differently (fingerprints {ours} and"
                f" {theirs}), so their scores are of different test images; search again with the same"
                " --data, --groups, --split and --seed"
            )
        if list(record["data"]["classes"]) != list(other["data"]["classes"]):
            raise RunProblem(f"{first.path} and {run.path} order their classes differently; search again")
        if record["metric"] != other["metric"]:
            notes.append(
                f"{run.path} searched for {other['metric']}; all are ranked here by {record['metric']},"
                f" as in {first.path}"
            )
    return notes


def _check_names(runs: Sequence[Run]) -> None:
    """Raise RunProblem if two of `runs` can't be told apart by name, by which tables and keys name them."""
    seen: dict[str, Run] = {}
    for run in runs:
        name = _run_name(run)
        if name not in seen:
            seen[name] = run
        elif seen[name].path.resolve() == run.path.resolve():
            raise RunProblem(f"{run.path} is named twice; name each run once")
        else:
            raise RunProblem(
                f"{seen[name].path} and {run.path} are both named {name!r}, so nothing would tell their trials apart;"
                " rename one of the folders"
            )


def note_scoring(run: Run, trials: Sequence[str], purpose: str) -> str | None:
    """Record that `trials` are about to see the test images; the warning if others saw them before."""
    path = run.path / SCORINGS
    earlier = read_yaml(path)["scorings"] if path.exists() else []
    seen = {trial for scoring in earlier for trial in scoring["trials"]}
    new = [trial for trial in trials if trial not in seen]
    if new or not earlier:
        when = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        entry = {"when": when, "purpose": purpose, "trials": list(trials)}
        run.write_yaml(SCORINGS, {"scorings": [*earlier, entry]})
    if not (earlier and new):
        return None
    return (
        f"the test set of {run.path} is no longer fresh: {len(seen)} trials were scored on it from"
        f" {earlier[0]['when']} on, and {len(new)} others now ({some(new)}); scores"
        " of trials that were chosen after that are too good"
    )


def check_judges(run: Run) -> None:
    """Raise RunProblem if a test or validation image of `run` is gone or is not the picture that the search split."""
    from tuner.dataset.reading.scan import changed_images

    folder, known, split = Path(run.record["data"]["folder"]), run.images(), run.split()
    paths = [str(path) for path in split.loc[split["split"].isin(["test", "val"]), "path"]]
    if wrong := changed_images(folder, {path: known.get(path, "") for path in paths}):
        raise RunProblem(
            f"{len(wrong)} of {len(paths)} test and validation images in {folder} are gone or changed since the search,"
            f" the first: {wrong[0]}; restore them, or search again"
        )


def score_with_weights(run: Run, trial: Mapping[str, Any], paths: Sequence[str]) -> FloatArray:
    """Logits [n, classes] of the test images `paths` by the kept weights of `trial`.

    `check_judges` says beforehand whether they are still the same pictures.
    """
    from trainables.data.parallel import num_workers
    from trainables.inference import score_images

    record, known = run.record, run.images()
    return score_images(
        trial_config(trial),
        list(record["data"]["classes"]),
        run.weights(str(trial["trial_id"])),
        Path(record["data"]["folder"]),
        [(path, known[path]) for path in paths],
        int(record["image_size"]),
        str(record["precision"]),
        num_workers(None),
        fit_of(record),
    )


def labelled(finalists: Sequence[Finalist]) -> list[Finalist]:
    """The same, each with its short name: backbone, strategy, and what else tells it apart from the others.

    The augmentation that most of them had goes without saying.
    Finalists that words can't tell apart get the number of their trial.
    """
    models = short_models(one.config.model for one in finalists)
    seen = Counter(found for one in finalists if (found := _augmentation(one)) is not None)
    usual = seen.most_common(1)[0][0] if seen else None
    words = [_words(one, models, usual) for one in finalists]
    varying = [i for i in range(len(words[0])) if i < 2 or len({w[i] for w in words}) > 1]
    shorts = [" · ".join(w[i] for i in varying if w[i]) for w in words]
    return [
        replace(one, label=f"{short} #{one.row['number']}" if shorts.count(short) > 1 else short)
        for one, short in zip(finalists, shorts, strict=True)
    ]


def _augmentation(one: Finalist) -> str | None:
    """How the images were augmented; None where the backbone did not train, and saw no augmented image."""
    return None if one.config.mixup is None else one.config.augmentation


def _words(one: Finalist, models: Mapping[str, str], usual: str | None) -> tuple[str, ...]:
    config = one.config
    return (
        models[config.model],
        strategy_name(config.strategy, config.auxiliary_weight),
        "smoothed" if config.label_smoothing > 0 else "",
        "class weights" if config.class_weight_power > 0 else "",
        "" if _augmentation(one) in (None, usual) else f"{config.augmentation} augmentation",
        "mixup" if config.mixup else "",
        "cutmix" if config.cutmix else "",
        config.schedule,
        _run_name(one.run),
    )


def _run_name(run: Run) -> str:
    return run.path.resolve().name
