"""What the commands do, for Python: results are objects with DataFrames, progress goes to functions of yours.

Each function is named like its command (`export_int8` is `export --int8`, `release_model` is `release`) and raises what
the command would print, a `UserMistake`. Paths may be strings. Nothing is printed unless `verbose`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Unpack

from trainables.ranges import check
from tuner.console.reporter import Reporter
from tuner.release.options import RetrainOptions
from tuner.tracking.events import Event
from tuner.tuning.options import AnyPath, SearchOptions

if TYPE_CHECKING:
    from tuner.advice.advise import Advice
    from tuner.evaluation.comparison.evidence import Comparison
    from tuner.planning.plan import Plan
    from tuner.probing.ranking import Probe
    from tuner.release.answers import Predictions
    from tuner.release.int8 import Quantised
    from tuner.release.job import Retrained
    from tuner.runs.best import Best
    from tuner.runs.trial import LiveTrial
    from tuner.tuning.config import SearchConfig
    from tuner.tuning.result import SearchResult

__all__ = [
    "OnEpoch",
    "OnTrial",
    "RetrainOptions",
    "SearchOptions",
    "advise",
    "compare",
    "export",
    "export_int8",
    "plan",
    "predict",
    "probe",
    "release_model",
    "resume",
    "retrain",
    "search",
]

OnEpoch = Callable[[str, Mapping[str, Any]], None]
"""Takes the trial's id and its epoch's metrics by name."""

OnTrial = Callable[[str, Mapping[str, Any]], None]
"""Takes the trial's id and its row of `trials.parquet`."""


def search(
    space: AnyPath = "auto",
    data: AnyPath | None = None,
    *,
    on_epoch: OnEpoch | None = None,
    on_trial: OnTrial | None = None,
    verbose: bool = False,
    **options: Unpack[SearchOptions],
) -> "SearchResult":
    """Search `space` on the images in `data`, by default drawn sample pictures, and return the result.

    Its `trials` and `epochs` are DataFrames, `best` is the best trial's row, `run.path` the run directory.
    `on_epoch` and `on_trial` are called in the search's thread as it goes. `verbose` prints what the command prints.
    `options` are the other fields of `SearchConfig`; an unknown one is a TypeError. Raises UserMistake for
    what a person can mend.

    >>> result = tuner.search("googlenet_full", data="potato/", groups="leaves.csv", samples=12)  # doctest: +SKIP
    >>> result.trials.sort_values("value")[["trial_id", "val_loss", "val_accuracy"]]  # doctest: +SKIP
    """
    from tuner.tuning.loop import search as run

    config = _config(space, data, {"dashboard": False, **options})
    return run(config, _show(verbose), [_Telling(on_epoch, on_trial)])


def resume(
    run: AnyPath,
    *,
    samples: int | None = None,
    time_budget_s: float | None = None,
    on_epoch: OnEpoch | None = None,
    on_trial: OnTrial | None = None,
    verbose: bool = False,
) -> "SearchResult":
    """Go on with the search in the run directory `run`; with `samples`, add that many trials to it.

    `time_budget_s` counts from now. Raises RunProblem if the run is in use, or if its images, its space or the
    packages changed since it began: then the new trials could not be compared with the old ones.

    >>> tuner.resume("runs/potato", samples=20).best["trial_id"]  # doctest: +SKIP
    """
    from tuner.tuning.resume import resume as go_on

    observers = [_Telling(on_epoch, on_trial)]
    return go_on(Path(run), samples, time_budget_s, _show(verbose), observers)


def plan(
    space: AnyPath = "auto",
    data: AnyPath | None = None,
    *,
    networks: int = 0,
    verbose: bool = False,
    **options: Unpack[SearchOptions],
) -> "Plan":
    """What a search with these arguments would take here: epochs, seconds, bytes. No trial runs.

    A time budget is also to hold the training of a model folder of up to `networks` networks. Raises UserMistake for
    whatever `search` would refuse.

    >>> low, middle, high = tuner.plan("googlenet_full", data="potato/").seconds  # doctest: +SKIP
    """
    from tuner.planning.plan import plan as work_out

    return work_out(_config(space, data, dict(options)), _show(verbose), networks=networks)


def probe(
    data: AnyPath | None = None,
    *,
    backbones: str | Sequence[str] = "auto",
    labels: AnyPath | None = None,
    groups: AnyPath | None = None,
    group_regex: str | None = None,
    without: AnyPath | None = None,
    split: str = "0.8,0.1,0.1",
    image_size: int | None = None,
    fit: str = "crop",
    weights: Literal["auto", "none"] = "auto",
    weights_dir: AnyPath | None = None,
    precision: str = "auto",
    seed: int = 0,
    verbose: bool = False,
) -> "Probe":
    """Which pretrained backbone suits the images in `data`, by a linear probe on each one's frozen features.

    `backbones` are "auto", "small", "all" or names; the `rows` of the result are `Probed`, the best first, and
    `passed_over` says why others are not among them. `fit` is how pictures become squares: crop, squash or pad.
    The test images are not read. Raises WeightsUnavailable if no
    backbone has weights, InvalidValue if none can be probed.

    >>> tuner.probe("potato/", groups="leaves.csv").rows[0].model  # doctest: +SKIP
    """
    from tuner.dataset.config import DataConfig
    from tuner.dataset.loading import require_given
    from tuner.probing.ranking import probe as run

    named = {
        "folder": data,
        "labels": labels,
        "groups": groups,
        "without": without,
        "weights_dir": weights_dir,
    }
    paths = _with_paths(named, tuple(named))
    config = DataConfig(
        group_regex=group_regex,
        split=split,
        image_size=image_size,
        fit=fit,
        weights=weights,
        precision=precision,
        seed=seed,
        **paths,
    )
    require_given(config)
    names = backbones if isinstance(backbones, str) else ",".join(backbones)
    return run(config, names, _show(verbose))


def compare(
    runs: AnyPath | Sequence[AnyPath],
    *,
    out: AnyPath | None = None,
    top: int = 5,
    ensemble: int = 5,
    costs: AnyPath | None = None,
    seeds: int = 0,
    also_by_image: bool = False,
    folds: int = 0,
    nested: bool = False,
    seed: int = 0,
    verbose: bool = False,
) -> "Comparison":
    """Score the finalists of one or more run directories on the test images and write the report.

    The `table` and the `pairs` of the result are DataFrames, `conclusion` says in words what they mean, `report` is
    the page. Finalists are the best trial of each combination and the `top` overall, chosen on validation, and an
    ensemble of at most `ensemble` kept trials where validation prefers one; with `costs`, a file of what answers cost,
    they are judged by that, too. With `seeds` each is retrained as often with other seeds, with `also_by_image` once
    on a random split by image, whose leak is then measured, with `folds` on so many folds over all images, each of
    which then judges, and with `nested` the search is repeated inside each fold. `seed` is that of the bootstraps.
    Raises RunProblem for runs that can't be
    compared.

    >>> print(tuner.compare("runs/potato").conclusion)  # doctest: +SKIP
    """
    from tuner.evaluation.compare import compare as run
    from tuner.evaluation.retrained.session import Retraining

    paths = [runs] if isinstance(runs, (str, Path)) else runs
    where = None if out is None else Path(out)
    folders = [Path(path) for path in paths]
    asked = Retraining(check("more_seeds", seeds), also_by_image, check("folds", folds), nested)
    return run(
        folders,
        out=where,
        top=top,
        ensemble=ensemble,
        costs=None if costs is None else Path(costs),
        seed=seed,
        retraining=asked,
        reporter=_show(verbose),
    )


def advise(run: AnyPath, *, verbose: bool = False) -> "Advice":
    """What would help most after the search in the run directory `run`, by its training and validation images.

    The `lines` of the result have the expected gains in log loss and accuracy with 90 % intervals and the costs, the
    largest gain first; `unknown` says what can't be told, and why. Nothing is trained but heads on frozen features, and
    the test images are not read. Raises RunProblem for a run in which no trial has ended.

    >>> tuner.advise("runs/potato").lines[0].do  # doctest: +SKIP
    """
    from tuner.advice.advise import advise as ask

    return ask(Path(run), _show(verbose))


def export(run: AnyPath, trial: str | None = None, *, out: AnyPath = "best.yaml") -> "Best":
    """Write `trial` of a run directory, by default its best, to `out`, with its split beside it.

    Raises UnknownName for a trial that the run does not have, RunProblem if none has a score or `out` is taken.

    >>> tuner.export("runs/potato", out="best.yaml").config.strategy  # doctest: +SKIP
    """
    from tuner.release.export import export as write

    return write(Path(run), trial, Path(out))


def export_int8(model: AnyPath, *, data: AnyPath | None = None, verbose: bool = False) -> "Quantised":
    """Add model.int8.onnx, the same in eight bits, to a model folder that `retrain` wrote.

    The `differences` of the result say what that costs in accuracy, `before` and `after` in size and time. `data` is
    where the images are, if not where they were. Raises RunProblem if they are others.

    >>> tuner.export_int8("model").differences[0].difference  # doctest: +SKIP
    """
    from tuner.release.int8 import quantise

    return quantise(Path(model), None if data is None else Path(data), _show(verbose))


def release_model(
    run: AnyPath,
    trial: str | None = None,
    *,
    data: AnyPath | None = None,
    costs: AnyPath | None = None,
    test: bool = False,
    formats: Sequence[str] = ("onnx",),
    out: AnyPath | None = None,
    verbose: bool = False,
) -> "Retrained":
    """Write a model folder from weights that the search in the run directory `run` kept, without training.

    The run may have finished, be going on or have been killed. `trial` is by default the best of which weights are
    kept; it was trained on the training images and chosen on the validation images, and the test images are read only
    with `test`. `data` is where the images are, if not where they were. Raises UnknownName for a trial that the run
    does not have, RunProblem for one without weights.

    >>> tuner.release_model("runs/potato", out="model").metrics["calibration"]["temperature"]  # doctest: +SKIP
    """
    from tuner.release.from_run import ReleaseConfig
    from tuner.release.from_run import release_model as write

    paths = _with_paths({"data": data, "costs": costs, "out": out}, ("data", "costs", "out"))
    config = ReleaseConfig(Path(run), trial, test=test, formats=tuple(formats), **paths)
    return write(config, _show(verbose))


def retrain(best: AnyPath, *, verbose: bool = False, **options: Unpack[RetrainOptions]) -> "Retrained":
    """Train the configuration of a `best.yaml`, or of a run directory, anew and write a model folder.

    `options` are the other fields of `RetrainConfig`. Of the result, `folder` is the model folder and `metrics` what
    its `metrics.json` says.

    >>> tuner.retrain("best.yaml", seeds=3, out="model").metrics["test"]  # doctest: +SKIP
    """
    from tuner.release.job import RetrainConfig
    from tuner.release.retrain import retrain as run

    path = Path(best)
    given = _with_paths(options, ("data", "labels", "groups", "costs", "out"))
    given |= {"formats": tuple(given["formats"])} if "formats" in given else {}
    config = RetrainConfig(best=path / "best.yaml" if path.is_dir() else path, **given)
    return run(config, _show(verbose))


def predict(
    model: AnyPath,
    images: AnyPath | Sequence[AnyPath],
    *,
    alpha: float | None = None,
    min_confidence: float | None = None,
    verbose: bool = False,
) -> "Predictions":
    """Name the class of `images`: files, folders or patterns. Needs neither torch nor Ray.

    `model` is a folder that `retrain` wrote, or a model.onnx by itself. A file that can't be read is an answer with
    an error, not an exception. With `alpha` every row has a `set` of classes, which misses the truth in that share of
    images; below `min_confidence` the class is unsure. Raises RunProblem for a model that is missing or altered.

    >>> tuner.predict("model", "new-images/").rows[0]["class"]  # doctest: +SKIP
    """
    from tuner.release.answers import Predictions
    from tuner.release.predict import find_images, load_model
    from tuner.release.predict import predict as answer
    from tuner.release.rule import make_rule

    named = [images] if isinstance(images, (str, Path)) else images
    found = find_images([str(name) for name in named])
    loaded = load_model(Path(model))
    rule, reporter = make_rule(loaded.spec, alpha, min_confidence), _show(verbose)
    for warning in rule.warnings:
        reporter.warn(warning)
    return Predictions(loaded.spec.classes, tuple(answer(loaded, found, reporter, rule)))


@dataclass(frozen=True)
class _Telling:
    """Hands the store's news to a person's functions."""

    on_epoch: OnEpoch | None
    on_trial: OnTrial | None

    def started(self, trial: "LiveTrial") -> None:
        """Nobody asked for starts."""

    def epoch(self, trial: "LiveTrial", event: Event) -> None:
        """Pass on an epoch."""
        if self.on_epoch is not None:
            self.on_epoch(event.trial_id, event.values)

    def ended(self, trial: "LiveTrial", event: Event) -> None:
        """Pass on an ended trial."""
        if self.on_trial is not None:
            self.on_trial(event.trial_id, event.values)


def _config(space: AnyPath, data: AnyPath | None, options: Mapping[str, Any]) -> "SearchConfig":
    from tuner.dataset.loading import require_given
    from tuner.tuning.config import search_config

    given = _with_paths(options, ("labels", "groups", "without", "runs_dir", "weights_dir"))
    for name in ("models", "strategies", "log"):
        value = given.get(name, ())
        given[name] = (value,) if isinstance(value, str) else tuple(value)
    earlier = given.get("start_from", ())
    earlier = [earlier] if isinstance(earlier, (str, Path)) else earlier
    given["start_from"] = tuple(Path(path) for path in earlier)
    config = search_config(str(space), None if data is None else Path(data), **given)
    require_given(config.data)
    return config


def _with_paths(options: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """The options, those of `names` as paths."""
    wanted = {name: Path(options[name]) for name in names if options.get(name) is not None}
    return {**options, **wanted}


def _show(verbose: bool) -> Reporter:
    if not verbose:
        return Reporter()
    from rich.console import Console

    return Reporter(Console(highlight=False))
