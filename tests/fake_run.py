"""A small run directory as a search would leave it, with a scorer in place of trained weights."""

import contextlib
import warnings
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import optuna
import pandas as pd
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState, create_trial

from trainables.config import EpochMetrics, TrialConfig
from tuner.retraining.images import Images
from tuner.runs.directory import Run
from tuner.runs.trial_table import TrialRow, flat_row

CLASSES = {"Potato___Early_blight": 25, "Potato___Late_blight": 25, "Potato___healthy": 5}
"""Class names, each with its number of test leaves."""

STRATEGIES = ("full", "feature_extractor", "gradual_unfreeze")
MAX_EPOCHS, GRACE = 8, 2
START = 1_760_000_000.0

SKILL = {"full": 3.0, "feature_extractor": 1.6, "gradual_unfreeze": 3.0}


def study_parameters() -> list[dict[str, Any]]:
    """The nine configurations: three strategies, plain, smoothed, smoothed with plateau."""
    grid = []
    for smoothing, schedule in ((0.0, "step"), (0.1, "step"), (0.1, "plateau")):
        for strategy in STRATEGIES:
            fixed = {"model": "googlenet", "strategy": strategy, "learning_rate": 1e-3}
            step = {"step_size": 10, "gamma": 0.1 if smoothing else 0.5}
            own = step if schedule == "step" else {"plateau_factor": 0.5}
            grid.append({**fixed, **own, "label_smoothing": smoothing, "schedule": schedule, "dropout": 0.2})
    return grid


def nine_parameters() -> list[dict[str, Any]]:
    """The study's nine as `googlenet_grid` has them, and its feature extractor."""
    from search_spaces import study

    runs = (*study.GOOGLENET_RUNS, study.FEATURE_EXTRACTOR)
    fixed = {"model": "googlenet", "learning_rate": 1e-3, "dropout": 0.2}
    return [{**fixed, **run.parameters} for run in runs]


def sampled_parameters(count: int, seed: int) -> list[dict[str, Any]]:
    """Random configurations; the best learning rates lie at the upper end of the range."""
    rng = np.random.default_rng(seed)
    sampled = []
    for _ in range(count):
        smoothing = float(rng.choice([0.0, 0.1]))
        fixed = {"model": "googlenet", "strategy": str(rng.choice(STRATEGIES)), "label_smoothing": smoothing}
        schedule = str(rng.choice(["step", "plateau"]))
        rate, dropout = float(10 ** rng.uniform(-5, -2)), float(rng.uniform(0, 0.6))
        sampled.append({**fixed, "schedule": schedule, "learning_rate": rate, "dropout": dropout})
    return sampled


def make_run(
    path: Path,
    *,
    name: str = "potato-search",
    space: str = "googlenet_full",
    classes: Mapping[str, int] = CLASSES,
    grouped: bool = True,
    samples: int = 18,
    seed: int = 0,
    images: bool = False,
    parameters: Sequence[dict[str, Any]] | None = None,
) -> Run:
    """A finished search at `path` with completed, stopped and failed trials; its weights are empty."""
    split = _split(classes, grouped)
    folder = path.parent / "images"
    run = Run.create(path, _record(name, space, folder, classes, grouped, split, seed))
    run.write_split(split)
    if parameters is None:
        parameters = study_parameters() + sampled_parameters(samples, seed)
    rows = []
    study = optuna.create_study(
        storage=JournalStorage(JournalFileBackend(str(run.journal))), study_name="tuner", direction="minimize"
    )
    for number, chosen in enumerate(parameters):
        rows.append(_trial(run, study, number, chosen, seed))
    run.write_trials(rows)
    _keep_weights(run)
    if images:
        run.write_images(_draw(folder, split))
    return run


def fake_scorer(run: Run, trial: Mapping[str, Any], paths: Sequence[str]) -> np.ndarray:
    """Logits made of the trial's skill, a difficulty that all trials share, and the trial's own luck."""
    split = run.split().set_index("path").loc[list(paths)]
    classes = list(run.record["data"]["classes"])
    labels = np.array([classes.index(label) for label in split["label"]])
    leaves, codes = np.unique(split["group"], return_inverse=True)
    shared = np.random.default_rng(1).normal(size=(len(leaves), len(classes)))[codes]
    own = np.random.default_rng(int(trial["number"])).normal(size=(len(leaves), len(classes)))[codes]
    photo = np.random.default_rng(int(trial["number"]) + 999).normal(size=(len(paths), len(classes)))
    skill = 4.0 * float(trial["val_accuracy"])
    return skill * np.eye(len(classes))[labels] + 1.3 * shared + 0.6 * own + 0.4 * photo


def paint_only(monkeypatch: Any, *names: str) -> None:
    """Leave empty files in place of a report's pictures, but for those whose names begin with one of `names`."""
    from tuner.evaluation.plots import album

    painted = album.paint

    def paint(folder: Path, name: str, *how: Any) -> Any:
        if name.startswith(names):
            return painted(folder, name, *how)
        files = tuple(folder / f"{name}{ending}" for ending in (".png", ".svg", "-dark.svg"))
        for file in files:
            file.touch()
        return files

    monkeypatch.setattr(album, "paint", paint)


def _split(classes: Mapping[str, int], grouped: bool) -> pd.DataFrame:
    rows = []
    for label, leaves in classes.items():
        for leaf in range(3 * leaves):
            part = ("test", "val", "train")[leaf // leaves]
            for photo in range(4):
                path = f"{label}/leaf {leaf:03d} {photo}.jpg"
                group = f"{label}:{leaf}" if grouped else path
                rows.append({"path": path, "label": label, "group": group, "split": part})
    return pd.DataFrame(rows).sort_values("path", ignore_index=True)


def _record(
    name: str,
    space: str,
    folder: Path,
    classes: Mapping[str, int],
    grouped: bool,
    split: pd.DataFrame,
    seed: int,
) -> dict[str, Any]:
    text = "".join(split["path"] + split["split"] + split["group"])
    return {
        "name": name,
        "space": space,
        "data": {
            "folder": str(folder),
            "fingerprint": "0123456789abcdef",
            "classes": {label: 12 * leaves for label, leaves in classes.items()},
            "groups": "groups.csv" if grouped else None,
            "group_regex": None,
            "sample": False,
            "corrupt": [["Potato___healthy/torn.jpg", "truncated"]],
            "split_fingerprint": f"{zlib.crc32(text.encode()):08x}",
            "fractions": [0.34, 0.33, 0.33],
            "leaks": 0,
        },
        "image_size": 96,
        "metric": "val_loss",
        "seed": seed,
        "weights": "none",
        "precision": "fp32",
        "versions": {"python": "3.11", "torch": "2.14.1", "optuna": "5.0.0"},
        "hardware": {"cpus": 2, "gpus": []},
        "settings": {"samples": 18, "max_epochs": MAX_EPOCHS, "grace_period": GRACE, "reduction_factor": 2},
        "grid": False,
        "started": "2026-01-01T10:00:00",
        "finished": "2026-01-01T11:00:00",
    }


def _curve(parameters: Mapping[str, Any], rng: np.random.Generator) -> list[EpochMetrics]:
    distance = abs(np.log10(parameters["learning_rate"]) + 2.1)
    skill = (
        SKILL.get(parameters["strategy"], 3.0)
        * np.exp(-distance / 3)
        * (1.1 if parameters["label_smoothing"] else 1.0)
    )
    floor = 0.9 * np.exp(-0.8 * skill)
    luck = rng.normal(0, 0.03)
    epochs = []
    for epoch in range(1, MAX_EPOCHS + 1):
        loss = float(max(0.03, floor + (1.1 - floor) * np.exp(-0.45 * epoch) + luck + rng.normal(0, 0.015)))
        accuracy = float(np.clip(np.exp(-0.6 * loss), 0.34, 1.0))
        unfreezing = parameters["strategy"] == "gradual_unfreeze"
        full = max(0, epoch - 3) if unfreezing else epoch
        epochs.append(
            EpochMetrics(
                epoch=epoch,
                full_epochs=full,
                scores={
                    "val_loss": loss,
                    "val_accuracy": accuracy,
                    "val_balanced_accuracy": accuracy * 0.97,
                    "val_macro_f1": accuracy * 0.96,
                    "val_auroc": accuracy * 0.99,
                },
                train_loss=loss * 0.8,
                train_accuracy=min(1.0, accuracy * 1.03),
                learning_rate=parameters["learning_rate"],
                trainable_parameters=3_000 if unfreezing and not full else 5_600_000,
                epoch_seconds=5.0,
                time=0.0,
            )
        )
    return epochs


def _trial(
    run: Run, study: optuna.Study, number: int, parameters: dict[str, Any], seed: int
) -> dict[str, Any]:
    rng = np.random.default_rng([seed, number])
    trial_id = f"googlenet-{parameters['strategy']}-{number:05d}"
    config = TrialConfig.resolve({**parameters, "max_epochs": MAX_EPOCHS, "seed": number})
    curve = _curve(parameters, rng)
    status, reason = "completed", "max_epochs"
    if number > 9 and number % 9 == 0:
        status, reason, curve = "failed", "diverged", curve[:1]
    elif number >= 9 and curve[1].val_loss > 0.5:
        status, reason, curve = "stopped", "asha", curve[: 2 if curve[1].val_loss > 0.6 else 4]
    elif number % 4 == 3:
        reason, curve = "patience", curve[:6]
    begin = START + 22.0 * number
    rows = [{**m.row(), "time": begin + 5.0 * m.epoch} for m in curve]
    run.write_epochs(trial_id, rows)
    best = min(curve, key=lambda metrics: metrics.val_loss)
    failed = status == "failed"
    row = TrialRow(
        trial_id=trial_id,
        number=number,
        status=status,
        reason=reason,
        best_epoch=None if failed else best.epoch,
        epochs=len(curve),
        value=None if failed else best.val_loss,
        metrics=None if failed else {k: v for k, v in best.row().items() if k.startswith(("val_", "train_"))},
        seconds=5.0 * len(curve),
        error="the loss became NaN" if failed else None,
    )
    flat = flat_row(row, asdict(config))
    attrs = {"trial_id": trial_id, "config": asdict(config), "row": flat}
    _tell(study, parameters, status, curve, best.val_loss, attrs)
    return flat


def _tell(
    study: optuna.Study,
    parameters: Mapping[str, Any],
    status: str,
    curve: list[EpochMetrics],
    value: float,
    attrs: dict[str, Any],
) -> None:
    distributions = {
        "strategy": CategoricalDistribution((*STRATEGIES, "full_aux", "study_unfreeze")),
        "schedule": CategoricalDistribution(("step", "plateau")),
        "learning_rate": FloatDistribution(1e-5, 1e-2, log=True),
        "label_smoothing": FloatDistribution(0.0, 0.2),
        "dropout": FloatDistribution(0.0, 0.6),
    }
    states = {"completed": TrialState.COMPLETE, "stopped": TrialState.PRUNED, "failed": TrialState.FAIL}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study.add_trial(
            create_trial(
                params={key: parameters[key] for key in distributions},
                distributions=distributions,
                state=states[status],
                value=value if status == "completed" else None,
                intermediate_values={m.epoch: m.val_loss for m in curve},
                user_attrs=attrs,
            )
        )


def _keep_weights(run: Run) -> None:
    trials = run.trials()
    alive = trials[trials["status"] != "failed"]
    keys = ["strategy", "schedule", alive["label_smoothing"] > 0]
    for trial_id in alive.loc[alive.groupby(keys)["value"].idxmin(), "trial_id"]:
        run.weights(trial_id).write_bytes(b"weights")
    for trial_id in alive.nsmallest(5, "value")["trial_id"]:
        run.weights(trial_id).write_bytes(b"weights")


def _draw(folder: Path, split: pd.DataFrame) -> dict[str, str]:
    """Draw the test and validation images; the hash of each by path."""
    from PIL import Image

    from tuner.dataset.reading.scan import pixel_hash, read_rgb

    rng, hashes = np.random.default_rng(4), {}
    for path in split.loc[split["split"] != "train", "path"]:
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        colour = rng.integers(40, 200, 3)
        pixels = np.clip(colour + rng.normal(0, 12, (64, 64, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(target, quality=80)
        hashes[path] = pixel_hash(read_rgb(target))
    return hashes


def trained_by(monkeypatch, *, seeds=None, by_image=None, folds=None):
    """Let `compare` get what functions of the finalists give, in place of training them."""

    def nothing(finalists):
        return None

    given = SimpleNamespace(
        seed_scores=seeds or nothing, by_image=by_image or nothing, fold_answers=folds or nothing
    )
    monkeypatch.setattr("tuner.evaluation.compare.retrained", lambda *_: contextlib.nullcontext(given))


def images_of_run(run):
    """The images of a fake run as a retraining takes them; there are no files."""
    split, classes = run.split(), tuple(run.record["data"]["classes"])
    hashes = dict.fromkeys(split["path"], "")
    return Images(run.path, classes, split, hashes, data=None, source=None, same_split=True, words="")
