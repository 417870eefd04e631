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
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from trainables.config import RunContext, TrialConfig
from trainables.data.split import Split
from tuner.console.reporter import Reporter
from tuner.runs.directory import Run, write_atomically
from tuner.runs.trial_table import trial_config
from tuner.tuning.candidates import Candidate, Floats, Judges
from tuner.tuning.fold_answers import FOLDS, fold_numbers, keep_answers, out_of_fold
from tuner.tuning.fold_seconds import MOST, training_seconds
from tuner.tuning.judgement import Judged, judge, not_behind
from tuner.tuning.prior import PROBE

if TYPE_CHECKING:
    from tuner.cluster.session import RaySession
    from tuner.retraining.seed_job import SeedJob

__all__ = [
    "FEW_GROUPS",
    "TRIALS_EACH",
    "Judged",
    "Stage",
    "folds_for",
    "judge_on_folds",
    "milliseconds_of",
]

TRIALS_EACH = 4
"""Without a time budget one trial goes on for so many that were trained: the folds then take about as long as the
search, and the best of two or three trials has little luck."""

FEW_GROUPS = 300
"""With so many groups of validation images or more, these choose alone: a difference of a tenth of the losses' spread
is then beyond its error."""


def folds_for(asked: int | None, judges: int, *, grid: bool) -> int:
    """How many folds judge: as `asked`, else some where the validation part has too few groups to choose alone.

    `judges` is the number of these groups. A fixed list of configurations, a `grid`, is what it is, whoever of them is
    best.

    >>> folds_for(None, 24, grid=False), folds_for(None, 300, grid=False), folds_for(3, 300, grid=True)
    (5, 0, 3)
    """
    if asked is not None or grid:
        return asked or 0
    return FOLDS if judges < FEW_GROUPS else 0


@dataclass
class Stage:
    """What the folds are trained with: `count` of them, the validation images one, and `most` trials.

    Without a `session` nothing is trained, and those judge that have answered.
    `stopped` says whether to end at once, `deadline` is in `time.monotonic()`; `note` is told which fold is trained.
    """

    run: Run
    context: RunContext
    session: "RaySession | None"
    reporter: Reporter
    stopped: Callable[[], bool]
    deadline: float | None
    count: int = FOLDS
    most: int = MOST
    note: Callable[[str], None] = lambda title: None
    pool: Split = field(init=False)
    folds: npt.NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        """Deal out the images."""
        self.pool = self.run.images_and_parts().part("train", "val")
        self.folds = fold_numbers(self.pool, self.context.seed, self.count)

    @property
    def judges(self) -> Judges:
        """The images, and what they judge by."""
        return Judges(self.pool, self.context.metric, self.context.positive)

    def slots(self) -> int:
        """Trainings at once."""
        return 0 if self.session is None else max(1, self.session.slots())

    def left(self) -> float:
        """Seconds that are left."""
        return math.inf if self.deadline is None else self.deadline - time.monotonic()


def judge_on_folds(stage: Stage, rows: Sequence[Mapping[str, Any]]) -> list[Judged]:
    """Train the best of `rows`, the ended trials from the best on, on the folds, as far as time reaches.

    Only trials whose weights are kept take part, and what the probe found. The first of the result is the chosen one;
    empty where there is nothing to judge.
    """
    candidates = _candidates(stage, rows)
    alive = [one for one in candidates if one.row["source"] != PROBE][: stage.most]
    number = 1
    while alive and stage.slots() and number < stage.count:
        # A single trial answers as many folds at once as there are places.
        numbers = range(number, min(stage.count, number + max(1, stage.slots() // len(alive))))
        alive = _in_time(alive, numbers, stage)
        _train([(one, fold) for fold in numbers for one in alive if one.lacks(stage.folds == fold)], stage)
        if stage.stopped():
            return []
        alive, number = _still_alive(alive, numbers, stage), numbers.stop
    judged = judge(candidates, stage.judges) if candidates else []
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


def _candidates(stage: Stage, rows: Sequence[Mapping[str, Any]]) -> list[Candidate]:
    kept = [row for row in rows if stage.run.weights(str(row["trial_id"])).exists()]
    probed = [row for row in kept if row["source"] == PROBE]
    trained = [row for row in kept if row["source"] != PROBE][:MOST]
    if not probed and not stage.most:
        return []
    found = []
    for row in (*probed, *trained):
        config = trial_config(row)
        logits = out_of_fold(stage.run, row)
        if logits is None and row["source"] != PROBE:
            logits = _first_fold(stage, row, config)
        if logits is not None:
            found.append(Candidate(row, config, logits, milliseconds_of(stage.run, config.model)))
    return found


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
    keep_answers(stage.run, row, logits)
    return logits


def milliseconds_of(run: Run, model: str) -> float:
    """Milliseconds of an image through the backbone, where a probe measured it; else NaN."""
    document = run.probe() or {"backbones": []}
    known = {row["model"]: float(row["milliseconds"]) for row in document["backbones"]}
    return known.get(model, math.nan)


def _seconds(jobs: Sequence[Candidate], stage: Stage) -> float:
    """How long it takes to train a candidate for each of `jobs`, by the epochs that it measured."""
    each = [training_seconds(one.row) for one in jobs]
    return max(max(each), sum(each) / stage.slots())


def _train(wanted: Sequence[tuple[Candidate, int]], stage: Stage) -> None:
    """Let each candidate answer its fold; who diverges has no answer."""
    from tuner.retraining.seeds import SeedResult, train_jobs

    def take(place: int, result: SeedResult) -> None:
        one, fold = wanted[place]
        if result.test_logits is None:
            stage.reporter.warn(f"{one.trial_id} diverged in fold {fold + 1}: {result.error}")
            return
        one.logits[stage.folds == fold] = result.test_logits
        keep_answers(stage.run, one.row, one.logits)

    if wanted and stage.session is not None:
        jobs = [(_job(one, fold, stage), [one.config.seed]) for one, fold in wanted]
        try:
            title = f"fold {wanted[0][1] + 1} of {stage.count}"
            stage.note(title)
            train_jobs(jobs, stage.session, stage.reporter, take, stop=stage.stopped, title=title)
        except Exception as error:  # of a worker that died, of whatever a training raises
            # The search has ended well; what the others answered is kept and judges.
            first = next(iter(str(error).strip().splitlines()), type(error).__name__)
            stage.reporter.warn(f"the training of a fold failed: {first}")


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
    found = not_behind(there, stage.judges)
    for one in there:
        if one not in found:
            stage.reporter.line(
                f"{one.trial_id} gets no more folds: it is clearly worse on {int(one.answered().sum())} images"
            )
    return found


def _write(run: Run, judged: Sequence[Judged]) -> None:
    import pandas as pd

    table = pd.DataFrame([vars(one) for one in judged])
    write_atomically(run.judged_file, partial(table.to_parquet, index=False))
