"""Folds, the fidelity above epochs: the best trials of a search train on other folds until every image has judged.

The search's validation images are the first fold. What is best there is luck as long as they are few, so the best
`MOST` trials go on to the second fold: each is trained anew without it, as long as its best epoch, and answers it.
Those that are clearly behind, by paired differences on all images that have been answered so far, are left out; the
others go on to the third fold, and so forth. The head that the probe solved has answered all images already. The test
images are not read.

What a trial answered is kept in `out_of_fold/` of the run, a file a trial, so that a resumed run goes on where it was.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from trainables.config import RunContext, TrialConfig
from trainables.data.split import Split
from trainables.metrics import METRICS, Answers
from tuner.console.reporter import Reporter
from tuner.runs.directory import Run, trial_config, write_atomically
from tuner.statistics.calibration import mean_logits
from tuner.statistics.ensembles import select_members
from tuner.statistics.groups import grouped_folds
from tuner.statistics.log_loss import log_losses
from tuner.statistics.means import error_of_mean, half_width
from tuner.statistics.shrinkage import choose, shrink
from tuner.tuning.prior import PROBE

if TYPE_CHECKING:
    from tuner.cluster.session import RaySession
    from tuner.retraining.seed_job import SeedJob

__all__ = [
    "FEW_GROUPS",
    "FOLDS",
    "MOST",
    "Judged",
    "Stage",
    "behind",
    "final_seconds",
    "fold_numbers",
    "folds_seconds",
    "judge_on_folds",
    "out_of_fold",
]

FOLDS = 5
"""The validation images and four parts of the training images, where nobody says how many."""

MOST = 3
"""Trials that go on to the second fold."""

FEW_GROUPS = 300
"""With so many groups of validation images or more, these choose alone: a difference of a tenth of the losses' spread
is then beyond its error."""

EFFICIENCY = 0.8
"""Of cores beside the first one, when a single network trains on all of them."""

LOSS = "val_loss"

ENSEMBLE, MEMBERS = "ensemble", 3
"""What the ensemble is called, and how many trials take part at most: each costs its own time at every prediction."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Judged:
    """What the images say of a trial: how many answered, by models that have not seen them, and what is to be expected.

    `value` is the metric on these `images`; `expected` is without the luck of having been chosen, for the log loss
    alone. `error` is the standard error of the log loss over whole groups, None for other metrics. `votes` is how often
    the trial is taken into the ensemble that is better than the chosen one alone, 0 if there is none; what that itself
    is worth stands under the name `ENSEMBLE`.
    """

    trial_id: str
    epoch: int
    images: int
    groups: int
    value: float
    expected: float
    error: float | None
    chosen: bool
    votes: int = 0


@dataclass
class Candidate:
    """A trial that is judged: its row and configuration, and its answers [n, classes], NaN where there are none."""

    row: Mapping[str, Any]
    config: TrialConfig
    logits: Floats
    cost: float = math.nan

    @property
    def trial_id(self) -> str:
        """The trial's name."""
        return str(self.row["trial_id"])

    @property
    def epochs(self) -> int:
        """How long it trains: as long as its best epoch."""
        return int(self.row["best_epoch"])

    def lacks(self, images: npt.NDArray[np.bool_]) -> bool:
        """Whether some of the `images` [n] have no answer."""
        return bool((images & ~self.answered()).any())

    def answered(self) -> npt.NDArray[np.bool_]:
        """Which images [n] have an answer."""
        return np.asarray(~np.isnan(self.logits).any(axis=1))


@dataclass
class Stage:
    """What the folds are trained with: `count` of them, the validation images one.

    Without a `session` nothing is trained, and those judge that have answered.
    `stopped` says whether to end at once, `deadline` is in `time.monotonic()`.
    """

    run: Run
    context: RunContext
    session: "RaySession | None"
    reporter: Reporter
    stopped: Callable[[], bool]
    deadline: float | None
    count: int = FOLDS
    pool: Split = field(init=False)
    folds: npt.NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        """Deal out the images."""
        self.pool = self.run.images_and_parts().part("train", "val")
        self.folds = fold_numbers(self.pool, self.context.seed, self.count)

    def slots(self) -> int:
        """Trainings at once."""
        return 0 if self.session is None else max(1, self.session.slots())

    def left(self) -> float:
        """Seconds that are left."""
        return math.inf if self.deadline is None else self.deadline - time.monotonic()


def fold_numbers(pool: Split, seed: int, count: int = FOLDS) -> npt.NDArray[np.int64]:
    """The fold [n] of each image: 0 is validation, 1 to `count` - 1 are whole groups of training.

    -1 for images that no model could answer without having seen their group: the only group of their class.
    """
    training = np.asarray([part == "train" for part in pool.parts], dtype=np.bool_)
    found = np.zeros(len(pool), dtype=np.int64)
    own = pool.where(training)
    parts = grouped_folds(own.numbers, own.groups, seed, count - 1)
    found[training] = np.where(parts < 0, -1, parts + 1)
    return found


def final_seconds(rows: Sequence[Mapping[str, Any]], run: Run) -> float:
    """How long the dearest of the best `MOST` trials of `rows` trains on all images, by the epochs that it measured.

    It trains alone, on a processor with all its cores.
    """
    from trainables.data.parallel import num_workers

    parts, record = run.images_and_parts(), run.record
    more = len(parts) / max(1, parts.count("train"))
    if not record["hardware"]["gpus"]:
        cores = float(record["settings"].get("cpus_per_trial") or 1.0)
        more *= min(1.0, cores / num_workers(None) / EFFICIENCY)
    each = [training_seconds(row) * more for row in rows[:MOST] if row["source"] != PROBE]
    return max(each, default=0.0)


def folds_seconds(rows: Sequence[Mapping[str, Any]], count: int, slots: int) -> tuple[float, float]:
    """How long all other folds take of the best trial of `rows` alone, and of the best `MOST`; 0 without trials."""
    each = [training_seconds(row) for row in rows if row["source"] != PROBE][:MOST]
    if not each:
        return 0.0, 0.0
    turns = math.ceil((count - 1) / max(1, slots))
    return each[0] * turns, max(each[0] * turns, sum(each) * (count - 1) / max(1, slots))


def behind(losses: Floats, best: Floats, groups: Sequence[str]) -> bool:
    """Whether `losses` [n] are worse than the `best` beyond the 95 % interval of the mean paired difference."""
    difference = losses - best
    half = half_width(difference, groups)
    return half is not None and float(difference.mean()) > half


def judge_on_folds(stage: Stage, rows: Sequence[Mapping[str, Any]]) -> list[Judged]:
    """Train the best of `rows`, the ended trials from the best on, on the folds, as far as time reaches.

    Only trials whose weights are kept take part, and what the probe found. The first of the result is the chosen one;
    empty where there is nothing to judge.
    """
    candidates = _candidates(stage, rows)
    alive = [one for one in candidates if one.row["source"] != PROBE]
    number = 1
    while alive and stage.slots() and number < stage.count:
        # A single trial answers as many folds at once as there are places.
        numbers = range(number, min(stage.count, number + max(1, stage.slots() // len(alive))))
        alive = _in_time(alive, numbers, stage)
        _train([(one, fold) for fold in numbers for one in alive if one.lacks(stage.folds == fold)], stage)
        if stage.stopped():
            return []
        alive, number = _still_alive(alive, numbers, stage), numbers.stop
    judged = _judge(candidates, stage) if candidates else []
    if judged:
        _write(stage.run, judged)
    return judged


def _in_time(alive: Sequence[Candidate], numbers: Sequence[int], stage: Stage) -> list[Candidate]:
    """As many of `alive`, the best on the first fold first, as can answer the folds `numbers` in the time left."""
    found = list(alive)
    while found:
        missing = [one for one in found for fold in numbers if one.lacks(stage.folds == fold)]
        if not missing or _seconds(missing, stage) <= stage.left():
            return found
        found.pop()
    stage.reporter.line(f"no time is left for fold {numbers[0] + 1} of {stage.count}")
    return found


def out_of_fold(run: Run, row: Mapping[str, Any]) -> Floats | None:
    """The logits [n, classes] of the trial of `row` for the training and validation images, in the order of the split.

    They are by models that have not seen the image's group, NaN where there are none. None where nobody answered.
    """
    if row["source"] == PROBE:
        return _of_probe(run, str(row["model"]), int(run.record["image_size"]))
    file = _file(run, row)
    return np.asarray(np.load(file, allow_pickle=False), dtype=np.float64) if file.exists() else None


def _candidates(stage: Stage, rows: Sequence[Mapping[str, Any]]) -> list[Candidate]:
    kept = [row for row in rows if stage.run.weights(str(row["trial_id"])).exists()]
    probed = [row for row in kept if row["source"] == PROBE]
    trained = [row for row in kept if row["source"] != PROBE][:MOST]
    found = []
    for row in (*probed, *trained):
        config = trial_config(row)
        logits = out_of_fold(stage.run, row)
        if logits is None and row["source"] != PROBE:
            logits = _first_fold(stage, row, config)
        if logits is not None:
            found.append(Candidate(row, config, logits, _cost(stage.run, config.model)))
    return found


def _of_probe(run: Run, model: str, image_size: int) -> Floats | None:
    """The answers out of fold by heads that the probe solved."""
    file = run.head(model, image_size)
    if not file.exists():
        return None
    with np.load(file, allow_pickle=False) as arrays:
        return np.asarray(arrays["out_of_fold"], dtype=np.float64)


def _first_fold(stage: Stage, row: Mapping[str, Any], config: TrialConfig) -> Floats:
    """The trial's answers to the validation images, by its kept weights; they are kept."""
    from trainables.data.cache import ImageCache
    from trainables.inference import best_device, compute_logits, load_classifier
    from trainables.worker import as_worker

    context = stage.context
    logits = np.full((len(stage.pool), len(context.classes)), np.nan)
    own = stage.folds == 0
    cache = ImageCache.open(context.cache)
    classifier = load_classifier(config, len(context.classes), stage.run.weights(str(row["trial_id"])))
    rows = cache.rows(stage.pool.where(own).paths)
    with as_worker(context.num_threads):
        found = compute_logits(classifier, cache, rows, context.image_size, "fp32", best_device())
    logits[own] = found.double().numpy()
    _keep(_file(stage.run, row), logits)
    return logits


def _file(run: Run, row: Mapping[str, Any]) -> Path:
    """Where the answers of a trial are kept; a trial that went on and got better answers anew."""
    return run.path / "out_of_fold" / f"{row['trial_id']}.{int(row['best_epoch'])}.npy"


def _keep(file: Path, logits: Floats) -> None:
    file.parent.mkdir(exist_ok=True)

    def write(path: Path) -> None:
        with path.open("wb") as opened:
            np.save(opened, logits)

    write_atomically(file, write)


def _cost(run: Run, model: str) -> float:
    """Milliseconds of an image through the backbone, where a probe measured it; else NaN."""
    document = run.probe() or {"backbones": []}
    known = {row["model"]: float(row["milliseconds"]) for row in document["backbones"]}
    return known.get(model, math.nan)


def _seconds(jobs: Sequence[Candidate], stage: Stage) -> float:
    """How long it takes to train a candidate for each of `jobs`, by the epochs that it measured."""
    each = [training_seconds(one.row) for one in jobs]
    return max(max(each), sum(each) / stage.slots())


def training_seconds(row: Mapping[str, Any]) -> float:
    """How long the trial of `row` trained until its best epoch."""
    return int(row["best_epoch"]) * float(row["seconds"]) / int(row["epochs"])


def _train(wanted: Sequence[tuple[Candidate, int]], stage: Stage) -> None:
    """Let each candidate answer its fold; who diverges has no answer."""
    from tuner.retraining.seeds import SeedResult, train_jobs

    def take(place: int, result: SeedResult) -> None:
        one, fold = wanted[place]
        if result.test_logits is None:
            stage.reporter.warn(f"{one.trial_id} diverged in fold {fold + 1}: {result.error}")
            return
        one.logits[stage.folds == fold] = result.test_logits
        _keep(_file(stage.run, one.row), one.logits)

    if wanted and stage.session is not None:
        jobs = [(_job(one, fold, stage), [one.config.seed]) for one, fold in wanted]
        try:
            title = f"fold {wanted[0][1] + 1} of {stage.count}"
            train_jobs(jobs, stage.session, stage.reporter, take, stop=stage.stopped, title=title)
        except Exception as error:  # of a worker that died, of whatever a training raises
            # The search has ended well; what the others answered is kept and judges.
            first = next(iter(str(error).strip().splitlines()), type(error).__name__)
            stage.reporter.warn(f"not every trial could answer its fold: {first}")


def _job(one: Candidate, fold: int, stage: Stage) -> "SeedJob":
    """What trains `one` on all images but those of `fold`, and answers these."""
    from tuner.retraining.seed_job import SeedJob

    context, pool, held = stage.context, stage.pool, stage.folds == fold
    triples = zip(pool.paths, pool.labels, held, strict=True)
    return SeedJob(
        config=one.config,
        classes=context.classes,
        cache=context.cache,
        rows=[(path, label, "train") for path, label, out in triples if not out],
        test_cache=context.cache,
        test_paths=pool.where(held).paths,
        image_size=context.image_size,
        weights=context.weights,
        precision=context.precision,
        run_seed=context.seed,
        epochs=one.epochs,
        reduced_after=_reductions(stage.run, one),
        late=0,
        folder=str(stage.run.path / "out_of_fold"),
        feature_cache_bytes=context.feature_cache_bytes,
        title=f"{one.trial_id}, fold {fold + 1} of {stage.count}",
    )


def _reductions(run: Run, one: Candidate) -> tuple[int, ...]:
    from tuner.runs.best_trial import best_of

    return best_of(run, one.row).plateau_reduced_after


def _still_alive(alive: Sequence[Candidate], numbers: Sequence[int], stage: Stage) -> list[Candidate]:
    """Those that answered the folds `numbers` and are not clearly behind the best of them on all images so far."""
    there = [one for one in alive if not any(one.lacks(stage.folds == fold) for fold in numbers)]
    if not there:
        return []
    common = np.logical_and.reduce([one.answered() for one in there])
    labels, groups = stage.pool.numbers[common], np.asarray(stage.pool.groups)[common]
    losses = [log_losses(one.logits[common], labels) for one in there]
    best = min(losses, key=lambda own: float(own.mean()))
    found = [one for one, own in zip(there, losses, strict=True) if not behind(own, best, groups.tolist())]
    for one in there:
        if one not in found:
            stage.reporter.line(f"{one.trial_id} is clearly behind on {int(common.sum())} images")
    return found


def _judge(candidates: Sequence[Candidate], stage: Stage) -> list[Judged]:
    """Each by the images that it answered; the choice is made on the images that all who may be chosen answered.

    These are the trials that answered most images, and what the probe found, which answered them all.
    """
    trained = [int(one.answered().sum()) for one in candidates if one.row["source"] != PROBE]
    most = max(trained, default=0)
    able = [one for one in candidates if one.answered().sum() >= most]
    chosen, expected = _choice(able, stage)
    votes = _ensemble(able, chosen, stage)
    found = [
        replace(
            _judged(one.trial_id, one.epochs, one.logits, stage),
            chosen=one.trial_id == chosen,
            votes=votes.get(one.trial_id, 0),
        )
        for one in candidates
    ]
    found = [replace(one, expected=expected.get(one.trial_id, one.value)) for one in found]
    if votes:
        logits = mean_logits([_by_name(able, name).logits for name in votes], list(votes.values()))
        found.append(replace(_judged(ENSEMBLE, 0, logits, stage), votes=sum(votes.values())))
    metric = METRICS[stage.context.metric]
    return sorted(found, key=lambda one: (not one.chosen, -one.images, metric.cost(one.value)))


def _by_name(candidates: Sequence[Candidate], name: str) -> Candidate:
    return next(one for one in candidates if one.trial_id == name)


def _judged(name: str, epoch: int, logits: Floats, stage: Stage) -> Judged:
    """What the images that have an answer say."""
    metric, own = METRICS[stage.context.metric], ~np.isnan(logits).any(axis=1)
    labels, groups = stage.pool.numbers[own], np.asarray(stage.pool.groups)[own]
    value = float(metric.compute(Answers(labels, logits[own], stage.context.positive)))
    error = error_of_mean(log_losses(logits[own], labels), groups) if metric.name == LOSS else math.nan
    return Judged(
        trial_id=name,
        epoch=epoch,
        images=int(own.sum()),
        groups=len(set(groups.tolist())),
        value=value,
        expected=value,
        error=error if math.isfinite(error) else None,
        chosen=False,
    )


def _ensemble(able: Sequence[Candidate], chosen: str, stage: Stage) -> dict[str, int]:
    """How often each trial is taken into an ensemble that is better than the `chosen` one; empty if none is.

    Better is by more than the standard error of the paired difference: it costs more at every prediction.
    """
    metric, positive = METRICS[stage.context.metric], stage.context.positive
    common = np.logical_and.reduce([one.answered() for one in able])
    labels, groups = stage.pool.numbers[common], np.asarray(stage.pool.groups)[common]
    logits = {one.trial_id: one.logits[common] for one in able}
    votes = select_members(logits, labels, metric, MEMBERS, positive)
    if len(votes) < 2:
        return {}
    mixed = mean_logits([logits[name] for name in votes], list(votes.values()))
    if metric.name == LOSS:
        difference = log_losses(logits[chosen], labels) - log_losses(mixed, labels)
        error = error_of_mean(difference, groups)
        return votes if math.isfinite(error) and difference.mean() > error else {}
    values = [metric.compute(Answers(labels, one, positive)) for one in (mixed, logits[chosen])]
    return votes if metric.better(values[0], values[1]) else {}


def _choice(able: Sequence[Candidate], stage: Stage) -> tuple[str, dict[str, float]]:
    """The trial that is chosen of the `able`, on the images that all of them answered, and what is expected of each."""
    metric = METRICS[stage.context.metric]
    common = np.logical_and.reduce([one.answered() for one in able])
    labels, groups = stage.pool.numbers[common], np.asarray(stage.pool.groups)[common]
    if metric.name != LOSS:
        values = {
            one.trial_id: float(metric.compute(Answers(labels, one.logits[common], stage.context.positive)))
            for one in able
        }
        return min(values, key=lambda name: metric.cost(values[name])), values
    losses = np.stack([log_losses(one.logits[common], labels) for one in able])
    shrunken = shrink(losses, groups)
    costs = [one.cost for one in able]
    place = choose(shrunken, None if any(map(math.isnan, costs)) else costs)
    names = [one.trial_id for one in able]
    return names[place], dict(zip(names, map(float, shrunken.values), strict=True))


def _write(run: Run, judged: Sequence[Judged]) -> None:
    import pandas as pd

    table = pd.DataFrame([vars(one) for one in judged])
    write_atomically(run.judged_file, partial(table.to_parquet, index=False))
