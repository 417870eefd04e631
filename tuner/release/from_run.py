"""A kept trial of a run -> a model folder, without training and without Ray: `tuner release`."""

import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trainables import strategies
from trainables.errors import RunProblem
from trainables.metrics import METRICS, Answers
from tuner.console.reporter import Reporter
from tuner.evaluation.comparison.costs import read_costs
from tuner.evaluation.comparison.finalists import note_scoring
from tuner.release.folder import check_formats
from tuner.release.job import ModelPlan, PlannedMember, Retrained, Trained
from tuner.release.kept_trial import take_kept
from tuner.release.unfinished import room_for_export
from tuner.retraining.images import Images
from tuner.retraining.jobs import make_job
from tuner.retraining.scoring import score_weights
from tuner.retraining.seed_job import SeedResult
from tuner.runs.best import Best
from tuner.runs.best_trial import best_of, by_all_images, value_words
from tuner.runs.directory import Run, rows_of
from tuner.runs.hardware import usable_cores
from tuner.runs.paths import is_taken, try_target
from tuner.statistics.intervals import FloatArray
from tuner.statistics.metric_errors import standard_error
from tuner.tuning.prior import PROBE

if TYPE_CHECKING:
    from torch import Tensor

    from tuner.probing.probed import Solved

__all__ = ["ReleaseConfig", "release_model"]


@dataclass(frozen=True)
class ReleaseConfig:
    """What `tuner release` is told; `data` is where the images are, if not where they were.

    The test images are read only with `test`. `costs` is a CSV file of what answers cost; `formats` are those of the
    graph: by default ONNX's alone, which `tuner predict` reads and which is written quickest.
    """

    run: Path
    trial: str | None = None
    data: Path | None = None
    costs: Path | None = None
    test: bool = False
    formats: tuple[str, ...] = ("onnx",)
    out: Path | None = None

    @property
    def folder(self) -> Path:
        """Where the model goes: `out`, else `model` in the run directory."""
        return (self.out or self.run / "model").expanduser().resolve()


def release_model(config: ReleaseConfig, reporter: Reporter | None = None) -> Retrained:
    """Write a model folder from weights that the search kept; nothing is trained and no Ray starts.

    The run may have finished, be going on or have been killed. The validation images, which the model was not trained
    on, give the temperature and the sets. Raises UserMistake for what a person can mend.
    """
    reporter = reporter or Reporter()
    check_formats(config.formats)
    if is_taken(config.folder):
        raise RunProblem(f"{config.folder} exists already; choose another --out")
    try_target(config.folder, "--out")
    run = Run.open(config.run)
    config.folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{config.folder.name}.", dir=config.folder.parent) as place:
        plan, trained = _prepare(config, run, Path(place), reporter)
        return _write(plan, trained, Path(place), reporter)


def _write(plan: ModelPlan, trained: Trained, work: Path, reporter: Reporter) -> Retrained:
    from tuner.release.writing import WRITING, finish

    with room_for_export(trained, work) as model:
        with reporter.waiting(WRITING):
            done = finish(plan, trained, model)
        model.replace(plan.folder)
    return done


def _prepare(config: ReleaseConfig, run: Run, work: Path, reporter: Reporter) -> tuple[ModelPlan, Trained]:
    """The kept weights in the folder `work`, what is known of them, and their answers."""
    weights = work / "kept.safetensors"
    with reporter.starting("the weights of the best trial are read"):
        row = take_kept(run, config.trial, weights)
        best = best_of(run, row, split_file="best.split.parquet")
        images = _images(run, best, config.data)
    costs = None if config.costs is None else read_costs(config.costs, images.classes)
    job = make_job(
        best, images, ("train",), best.expected.epoch, work, reporter, validate=True, test=config.test
    )
    job = replace(job, num_threads=usable_cores())
    _tell(config, run, best, reporter)
    solved = _solved(run, best, row)
    validation = (
        score_weights(job, str(weights), "val") if solved is None else solved.validation.astype(float)
    )
    tested = score_weights(job, str(weights), "test") if config.test else None
    seed, history = best.config.seed, _history(run, best)
    plan = ModelPlan(
        best=_with_error(run, row, best, images, validation),
        images=images,
        trained_parts=("train",),
        members=(PlannedMember(best.trial, 1, job, None),),
        seeds=(seed,),
        epochs_rule=_epochs_rule(best, row),
        folder=config.folder,
        formats=config.formats,
        costs=costs,
        kept=True,
    )
    model = SeedResult(seed, history, (str(weights),), tested)
    return plan, Trained(((model,),), (SeedResult(seed, test_logits=validation),), means=_means(solved))


def _solved(run: Run, best: Best, row: Mapping[str, Any]) -> "Solved | None":
    """What the probe kept of the head that is released: its answers, so that no image is looked at again."""
    from tuner.probing.probed import read_solved

    if row.get("source") != PROBE:
        return None
    try:
        return read_solved(run.head(best.config.model, best.image_size))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return None


def _means(solved: "Solved | None") -> "Mapping[str, Tensor] | None":
    """What the stages of the network put out for a sample of each part, where the probe noted it."""
    import torch

    if solved is None or not len(solved.train_means):
        return None
    return {"train": torch.from_numpy(solved.train_means), "val": torch.from_numpy(solved.validation_means)}


def _images(run: Run, best: Best, data: Path | None) -> Images:
    """The images and the split of the run; what they are is checked where one has to be decoded."""
    folder = Path(best.data.folder) if data is None else data.expanduser().resolve()
    return Images(
        folder=folder,
        classes=best.classes,
        split=run.split(),
        hashes=run.images(),
        data=replace(best.data, folder=str(folder)),
        source=best.split,
        same_split=True,
        words="the split of the search",
    )


def _tell(config: ReleaseConfig, run: Run, best: Best, reporter: Reporter) -> None:
    """Say what is released, and note in the run that its test images are looked at, if they are."""
    expected = best.expected
    reporter.line(
        f"{best.trial}: {value_words(expected)}, after epoch {expected.epoch}; trained on the training images only"
    )
    if config.test and (warning := note_scoring(run, [best.trial], "release")) is not None:
        reporter.warn(warning)


def _with_error(run: Run, row: Mapping[str, Any], best: Best, images: Images, validation: FloatArray) -> Best:
    """The same with the standard error of its score over groups of validation images, where there is one.

    What all images judged has an error of its own.
    """
    if by_all_images(run, best.trial, best.expected.epoch) is not None:
        return best
    own, positive = images.part("val"), best.expected.positive
    answers = Answers(
        own.numbers, validation, None if positive is None else list(images.classes).index(positive)
    )
    error = standard_error(METRICS[best.expected.metric], answers, np.array(own.groups, dtype=str))
    if error != error:
        return best
    unit = "groups" if own.grouped else "images"
    words = f"standard error over {len(set(own.groups))} validation {unit}"
    return replace(best, expected=replace(best.expected, standard_error=error, spread=words))


def _history(run: Run, best: Best) -> tuple[Mapping[str, Any], ...]:
    """The epochs up to the one whose weights are released."""
    epochs = run.epochs(best.trial).drop(columns="trial_id").sort_values("epoch")
    return tuple(rows_of(epochs[epochs["epoch"] <= best.expected.epoch]))


def _epochs_rule(best: Best, row: Mapping[str, Any]) -> str:
    if strategies.is_linear_probe(best.config.strategy):
        return f"1 epoch, in which strategy {best.config.strategy} solved the head"
    return f"{best.expected.epoch} of {int(row['epochs'])} epochs of the search: the best on the validation images"
