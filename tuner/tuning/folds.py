"""Folds, the fidelity above epochs: the best trials of a search train on other folds until every image has judged.

The search's validation images are the first fold. What is best there is luck as long as they are few, so the best
`MOST` trials go on to the second fold: each is trained anew without it, as long as its best epoch, and answers it. Those
that are clearly behind, by paired differences on all images that have been answered so far, are left out; the others go
on to the third fold, and so forth. The head that the probe solved has answered all images already. The test images are
not read.

What a trial answered is kept in `out_of_fold/` of the run, a file a trial, so that a resumed run goes on where it was.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
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
from tuner.statistics.groups import grouped_folds
from tuner.statistics.log_loss import log_losses
from tuner.statistics.means import error_of_mean, half_width
from tuner.statistics.shrinkage import choose, shrink
from tuner.tuning.prior import PROBE

if TYPE_CHECKING:
    from tuner.cluster.session import RaySession

__all__ = [
    "FEW_GROUPS",
    "FOLDS",
    "MOST",
    "Judged",
    "Stage",
    "behind",
    "final_seconds",
    "fold_numbers",
    "judge_on_folds",
]

FOLDS = 5
"""The validation images and four parts of the training images, where nobody says how many."""

MOST = 3
"""Trials that go on to the second fold."""

FEW_GROUPS = 300
"""With so many groups of validation images or more, these choose alone: a difference of a tenth of the losses' spread is
then beyond its error."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Judged:
    """What the images say of a trial: how many answered, by models that have not seen them, and what is to be expected.

    `value` is the metric on these `images`; `expected` is without the luck of having been chosen, for the log loss
    alone. `error` is the standard error of the log loss over whole groups, None for other metrics.
    """

    trial_id: str
    epoch: int
    images: int
    groups: int
    value: float
    expected: float
    error: float | None
    chosen: bool


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

    def answered(self) -> npt.NDArray[np.bool_]:
        """Which images [n] have an answer."""
        return np.asarray(~np.isnan(self.logits).any(axis=1))


@dataclass
class Stage:
    """What the folds are trained with: `count` of them, the validation images one.

    `stopped` says whether to end at once, `deadline` is in `time.monotonic()`.
    """

    run: Run
    context: RunContext
    session: "RaySession"
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
    """How long the dearest of the best `MOST` trials of `rows` trains on all images, by the epochs that it measured."""
    parts = run.images_and_parts()
    more = len(parts) / max(1, parts.count("train"))
    each = [
        int(row["best_epoch"]) * float(row["seconds"]) / int(row["epochs"]) * more
        for row in rows[:MOST]
        if row["source"] != PROBE
    ]
    return max(each, default=0.0)


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
    if not candidates:
        return []
    alive = [one for one in candidates if one.row["source"] != PROBE]
    for number in range(1, stage.count):
        missing = [one for one in alive if not one.answered()[stage.folds == number].all()]
        if not missing:
            continue
        while missing and _seconds(missing, stage) > stage.left():
            # The best on the first fold are the first.
            last = missing.pop()
            alive = [one for one in alive if one is not last]
        if not missing:
            stage.reporter.line(f"no time is left for fold {number + 1} of {stage.count}")
            break
        _train(missing, number, stage)
        if stage.stopped():
            return []
        alive = _still_alive(alive, number, stage)
    judged = _judge(candidates, stage)
    _write(stage.run, judged)
    return judged


def _candidates(stage: Stage, rows: Sequence[Mapping[str, Any]]) -> list[Candidate]:
    kept = [row for row in rows if stage.run.weights(str(row["trial_id"])).exists()]
    probed = [row for row in kept if row["source"] == PROBE]
    trained = [row for row in kept if row["source"] != PROBE][:MOST]
    found = []
    for row in (*probed, *trained):
        config = trial_config(row)
        logits = _of_probe(stage, config) if row["source"] == PROBE else _first_fold(stage, row, config)
        if logits is not None:
            found.append(Candidate(row, config, logits, _cost(stage.run, config.model)))
    return found


def _of_probe(stage: Stage, config: TrialConfig) -> Floats | None:
    """The answers out of fold by heads that the probe solved."""
    file = stage.run.head(config.model, stage.context.image_size)
    if not file.exists():
        return None
    with np.load(file, allow_pickle=False) as arrays:
        return np.asarray(arrays["out_of_fold"], dtype=np.float64)


def _first_fold(stage: Stage, row: Mapping[str, Any], config: TrialConfig) -> Floats:
    """The trial's answers that are kept, or else to the validation images, by its kept weights."""
    file = _file(stage.run, row)
    if file.exists():
        return np.asarray(np.load(file, allow_pickle=False), dtype=np.float64)
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
    _keep(file, logits)
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


def _seconds(candidates: Sequence[Candidate], stage: Stage) -> float:
    """How long a fold takes for all `candidates`, by the epochs that they measured."""
    each = [one.epochs * float(one.row["seconds"]) / int(one.row["epochs"]) for one in candidates]
    return max(max(each), sum(each) / max(1, stage.session.slots()))


def _train(candidates: Sequence[Candidate], number: int, stage: Stage) -> None:
    """Let each of `candidates` answer fold `number`; one that diverges is asked no more."""
    from tuner.retraining.seeds import SeedJob, SeedResult, train_jobs

    context, pool, held = stage.context, stage.pool, stage.folds == number
    paths = pool.where(held).paths
    rows = [
        (path, label, "train")
        for path, label, out in zip(pool.paths, pool.labels, held, strict=True)
        if not out
    ]
    jobs = [
        (
            SeedJob(
                config=one.config,
                classes=context.classes,
                cache=context.cache,
                rows=rows,
                test_cache=context.cache,
                test_paths=paths,
                image_size=context.image_size,
                weights=context.weights,
                precision=context.precision,
                run_seed=context.seed,
                epochs=one.epochs,
                reduced_after=_reductions(stage.run, one),
                late=0,
                folder=str(stage.run.path / "out_of_fold"),
                feature_cache_bytes=context.feature_cache_bytes,
                title=f"{one.trial_id}, fold {number + 1} of {stage.count}",
            ),
            [one.config.seed],
        )
        for one in candidates
    ]

    def take(place: int, result: SeedResult) -> None:
        one = candidates[place]
        if result.test_logits is None:
            stage.reporter.warn(f"{one.trial_id} diverged in fold {number + 1}: {result.error}")
            return
        one.logits[held] = result.test_logits
        _keep(_file(stage.run, one.row), one.logits)

    train_jobs(jobs, stage.session, stage.reporter, take, stop=stage.stopped)


def _reductions(run: Run, one: Candidate) -> tuple[int, ...]:
    from tuner.runs.best_trial import best_of

    return best_of(run, one.row).plateau_reduced_after


def _still_alive(alive: Sequence[Candidate], number: int, stage: Stage) -> list[Candidate]:
    """Those that answered fold `number` and are not clearly behind the best of them on all images so far."""
    there = [one for one in alive if one.answered()[stage.folds == number].all()]
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
    """Each by the images that it answered; the choice is among those that most images judged, on these images."""
    metric = METRICS[stage.context.metric]
    counts = [int(one.answered().sum()) for one in candidates]
    full = [one for one, count in zip(candidates, counts, strict=True) if count == max(counts)]
    chosen, expected = _choice(full, stage)
    found = []
    for one in candidates:
        own = one.answered()
        labels, groups = stage.pool.numbers[own], np.asarray(stage.pool.groups)[own]
        value = metric.compute(Answers(labels, one.logits[own], stage.context.positive))
        error = math.nan
        if metric.name == "val_loss":
            error = error_of_mean(log_losses(one.logits[own], labels), groups)
        found.append(
            Judged(
                trial_id=one.trial_id,
                epoch=one.epochs,
                images=int(own.sum()),
                groups=len(set(groups.tolist())),
                value=float(value),
                expected=expected.get(one.trial_id, float(value)),
                error=error if math.isfinite(error) else None,
                chosen=one.trial_id == chosen,
            )
        )
    return sorted(found, key=lambda one: (not one.chosen, -one.images, metric.cost(one.value)))


def _choice(full: Sequence[Candidate], stage: Stage) -> tuple[str, dict[str, float]]:
    """The trial that is chosen of `full`, which answered the same images, and what is expected of each."""
    metric = METRICS[stage.context.metric]
    common = np.logical_and.reduce([one.answered() for one in full])
    labels, groups = stage.pool.numbers[common], np.asarray(stage.pool.groups)[common]
    if metric.name != "val_loss":
        values = {
            one.trial_id: float(metric.compute(Answers(labels, one.logits[common], stage.context.positive)))
            for one in full
        }
        return min(values, key=lambda name: metric.cost(values[name])), values
    losses = np.stack([log_losses(one.logits[common], labels) for one in full])
    shrunken = shrink(losses, groups)
    costs = [one.cost for one in full]
    place = choose(shrunken, None if any(map(math.isnan, costs)) else costs)
    names = [one.trial_id for one in full]
    return names[place], dict(zip(names, map(float, shrunken.values), strict=True))


def _write(run: Run, judged: Sequence[Judged]) -> None:
    import pandas as pd

    table = pd.DataFrame([vars(one) for one in judged])
    write_atomically(run.judged_file, partial(table.to_parquet, index=False))
