"""ASHA that counts the cost of a trial's epochs, and judges no trial while a part of it is still frozen.

Rungs stand at grace_period * reduction_factor ** k, as in Li et al. 2020 (A System for Massively Parallel
Hyperparameter Tuning) and Ray's ASHAScheduler, but what is counted is cost, not epochs: one is an epoch that trains the
whole of the reference network, and one of another network costs as much more as it takes more seconds in the probe (see
`trainables.epoch_cost` and `relative_costs`). A trial is judged in the
first epoch by which it has spent that much, and stopped when its best value so far is outside the best
1 / reduction_factor of those judged there before, by more than the standard error of its own value: on few validation
images a smaller difference is chance. A trial that stays frozen spends next to nothing and reaches no rung.
"""

import bisect
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from trainables import epoch_cost, strategies
from trainables.config import TrialConfig
from trainables.image_losses import LOSSES, Losses
from trainables.metrics import METRICS
from tuner.runs.trial_table import BUDGET_OVER, STOPPED_BY_HAND
from tuner.statistics.means import error_of_mean
from tuner.tuning.rungs import ladder_of

if TYPE_CHECKING:
    import pandas as pd

    from tuner.tuning.prepare import Prepared

Spent = Callable[[str, int], float]
"""What the trial of that id has spent by the end of an epoch (1-based), in full epochs."""


class Costs:
    """What the trials of a run have spent, from their configurations; `cached` as `trainables.epoch_cost` asks.

    `relative` is what a full epoch of each model costs; 1 for those that are not there.

    `configs` may grow as trials begin.
    """

    def __init__(
        self, configs: Mapping[str, TrialConfig], *, cached: bool, relative: Mapping[str, float] | None = None
    ) -> None:
        self.configs, self.cached, self.relative = configs, cached, relative or {}

    def __call__(self, trial_id: str, epoch: int) -> float:
        """The cost of the trial up to and with `epoch`, in full epochs."""
        config = self.configs[trial_id]
        return epoch_cost.spent(config, epoch, cached=self.cached) * self.relative.get(config.model, 1.0)

    def first_result(self, trial_id: str) -> int:
        """The first epoch of the trial that is a result of its strategy: an earlier one leaves no score."""
        return strategies.first_result(self.configs[trial_id].strategy)


def _every_epoch(trial_id: str) -> int:
    return 1


def _one_each(trial_id: str, epoch: int) -> float:
    return float(epoch)


def _exact(losses: Losses | None) -> float:
    return 0.0


def noise_of(prepared: "Prepared") -> Callable[[Losses | None], float]:
    """The standard error of the mean of the losses [n] of the run's validation images, over whole groups.

    0 where the search is by another metric than the log loss, and where losses are not kept, since images are many.
    Infinity with a single group, which says nothing of others: then nobody is stopped early.
    """
    if prepared.context.metric != "val_loss":
        return _exact
    groups = prepared.run.images_and_parts().part("val").groups

    def noise(losses: Losses | None) -> float:
        if losses is None or np.isnan(losses).any():
            return 0.0
        error = error_of_mean(losses.astype(np.float64), groups)
        return error if math.isfinite(error) else math.inf

    return noise


def quantile_of_sorted(values: Sequence[float], share: float) -> float:
    """What `numpy.quantile` gives for `values` that are sorted already, in no time.

    >>> quantile_of_sorted([1.0, 2.0, 4.0], 0.5), quantile_of_sorted([1.0, 2.0], 0.25)
    (2.0, 1.25)
    """
    place = share * (len(values) - 1)
    low = math.floor(place)
    first, second = values[low], values[min(low + 1, len(values) - 1)]
    step, part = second - first, place - low
    return second - step * (1 - part) if part >= 0.5 else first + step * part


class Rungs:
    """The scores at every rung and the verdicts that follow; plain Python, no Ray.

    `mode` is "min" or "max". Scores are values of the metric, smaller or larger being better. Milestones, like
    `grace_period`, are costs in full epochs, rounded to whole ones.
    """

    def __init__(self, mode: str, max_epochs: int, grace_period: int, reduction_factor: float) -> None:
        self.mode, self.grace_period, self.reduction_factor = mode, grace_period, reduction_factor
        self.ladder = ladder_of(max_epochs, grace_period, reduction_factor)
        self.milestones = self.ladder.milestones
        self.scores: dict[int, dict[str, float]] = {milestone: {} for milestone in self.milestones}
        self._sorted: dict[int, list[float]] = {milestone: [] for milestone in self.milestones}
        self._known: dict[str, tuple[int, float, float]] = {}
        self._verdicts: dict[str, float | None] = {}

    def enter(
        self,
        trial_id: str,
        epoch: int,
        full_epochs: int,
        value: float,
        spent: float | None = None,
        noise: float = 0.0,
    ) -> float | None:
        """Note `value`; the cutoff that the trial fails at the rung it reaches now, or None where it may go on.

        It fails where it is worse by more than `noise`, the standard error of `value`. `spent` is the cost of its
        epochs so far, in full epochs; by default each counts one. An epoch that is known already changes nothing, so a
        resumed trial may report its past again; its latest one gets the same verdict again, since the driver may have
        died between the verdict and the stop. No score is left and no verdict made before everything that the strategy
        trains has trained for `grace_period` epochs: a frozen trial's score would distort the comparison for others. A
        rung that is reached before stays unused.
        """
        known, best, before = self._known.get(trial_id, (0, value, 0.0))
        if epoch <= known:
            return self._verdicts.get(trial_id) if epoch == known else None
        best = min(best, value) if self.mode == "min" else max(best, value)
        total = float(epoch) if spent is None else spent
        self._known[trial_id] = (epoch, best, total)
        rung = self.ladder.reached(before, total, full_epochs)
        self._verdicts[trial_id] = None if rung is None else self._judge(trial_id, rung, best, noise)
        return self._verdicts[trial_id]

    def replay(
        self,
        epochs: Iterable[tuple[str, int, int, float]],
        spent: Spent | None = None,
        noise: Spent | None = None,
    ) -> None:
        """Enter what had been reported before a restart, as (trial_id, epoch, full_epochs, value) in order of time.

        `noise` says what the standard error of a trial's value in an epoch is.
        """
        for trial_id, epoch, full_epochs, value in epochs:
            total = None if spent is None else spent(trial_id, epoch)
            error = 0.0 if noise is None else noise(trial_id, epoch)
            self.enter(trial_id, epoch, full_epochs, value, total, error)

    def _judge(self, trial_id: str, rung: int, best: float, noise: float) -> float | None:
        sign, earlier = 1 if self.mode == "min" else -1, self._sorted[rung]
        cutoff = sign * quantile_of_sorted(earlier, 1 / self.reduction_factor) if earlier else None
        self.scores[rung][trial_id] = best
        bisect.insort(earlier, sign * best)
        return cutoff if cutoff is not None and sign * best > sign * cutoff + noise else None


class FairASHA(FIFOScheduler):  # type: ignore[misc]
    """Ray's view of `Rungs`: stops a trial at a rung, at the end of the time budget, or when told to by hand.

    Why a trial was stopped stands in `verdicts` by tuner's trial id, which is in the trial's config. `rungs` None
    stops nobody early; `spent` tells them what a trial has cost, without it every epoch counts one. `time_left` says
    how many seconds trials may still take, None is no limit; a trial ends before an epoch that would last longer, as
    its longest did or, before all of it has trained, as `epoch_seconds` expects of the trial of an id. A file
    `<stop_folder>/<trial id>` stops that trial after its epoch. `noise` says what the standard error of the mean of an
    epoch's image losses is; without it a value counts as exact. `first_result` says which epoch of the trial of an id
    is the first that leaves a score; without it all do.
    """

    def __init__(
        self,
        metric: str,
        rungs: Rungs | None,
        time_left: Callable[[], float] | None = None,
        stop_folder: Path | None = None,
        spent: Spent | None = None,
        epoch_seconds: Callable[[str], float] | None = None,
        noise: Callable[[Losses | None], float] | None = None,
        first_result: Callable[[str], int] | None = None,
    ) -> None:
        super().__init__()
        self.epoch_seconds, self.noise = epoch_seconds, noise or _exact
        self.spent, self.first_result = spent or _one_each, first_result or _every_epoch
        self.value_name, self.rungs, self.time_left, self.stop_folder = metric, rungs, time_left, stop_folder
        self.verdicts: dict[str, str] = {}
        self.longest: dict[str, float] = {}
        self.errors: dict[str, str] = {}
        self._unfinished: list[Any] = []

    def __getstate__(self) -> dict[str, Any]:
        """All but what asks the driver: Ray writes the scheduler into its snapshots."""
        return {**vars(self), "time_left": None, "epoch_seconds": None, "noise": _exact, "_unfinished": []}

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        """Take note of a new trial; called by Ray."""
        self._unfinished.append(trial)

    def choose_trial_to_run(self, tune_controller: Any) -> Any:
        """The first trial that waits for a worker, or None; called by Ray.

        Ray's own choice looks at all trials that there ever were: after 9,300 of them that took a fifth of the time.
        """
        self._unfinished = [trial for trial in self._unfinished if not trial.is_finished()]
        waiting = (trial for trial in self._unfinished if trial.status in (Trial.PENDING, Trial.PAUSED))
        return next(waiting, None)

    def set_search_properties(self, metric: str | None, mode: str | None, **spec: Any) -> bool:
        """Accept Ray's call; metric and direction are known already."""
        return True

    def on_trial_result(self, tune_controller: Any, trial: Any, result: Mapping[str, Any]) -> str:
        """STOP or CONTINUE for one epoch's result; called by Ray."""
        verdict = self.verdict(trial.config["trial_id"], result)
        if verdict is None:
            return str(TrialScheduler.CONTINUE)
        self.verdicts[trial.config["trial_id"]] = verdict
        return str(TrialScheduler.STOP)

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        """Keep what killed a trial's worker for good; called by Ray."""
        self.errors[trial.config["trial_id"]] = str(trial.get_error() or "the worker process died")

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: Mapping[str, Any]) -> None:
        """Leave the score of a trial that ended by itself on a rung; called by Ray."""
        if self.value_name in result:
            self._enter(trial.config["trial_id"], result)

    def verdict(self, trial_id: str, result: Mapping[str, Any]) -> str | None:
        """Why the trial is to stop after this result, or None."""
        if self.value_name not in result:
            return None
        cutoff = self._enter(trial_id, result)
        if cutoff is not None:
            cost = self.spent(trial_id, result["epoch"])
            return (
                f"ASHA, epoch {result['epoch']}, at a cost of {cost:.3g} full epochs:"
                f" {self.value_name} worse than {cutoff:.4g}"
            )
        if self.stop_folder is not None and (self.stop_folder / trial_id).exists():
            return STOPPED_BY_HAND
        self.longest[trial_id] = max(
            self.longest.get(trial_id, 0.0), float(result.get("epoch_seconds") or 0.0)
        )
        following = self.longest[trial_id]
        if result["full_epochs"] < 1 and self.epoch_seconds is not None:
            following = max(following, self.epoch_seconds(trial_id))
        return BUDGET_OVER if self.left() <= following else None

    def left(self) -> float:
        """Seconds that trials may still take; infinity without a limit."""
        return math.inf if self.time_left is None else self.time_left()

    def usual_epoch(self) -> float:
        """The median of the trials' longest epochs, in seconds; 0 before the first."""
        return float(np.median(list(self.longest.values()))) if self.longest else 0.0

    def _enter(self, trial_id: str, result: Mapping[str, Any]) -> float | None:
        if self.rungs is None or result["epoch"] < self.first_result(trial_id):
            return None
        cost = self.spent(trial_id, result["epoch"])
        error = self.noise(result.get(LOSSES))
        return self.rungs.enter(
            trial_id, result["epoch"], result["full_epochs"], result[self.value_name], cost, error
        )


def rungs_of(prepared: "Prepared", epochs: "pd.DataFrame | None", costs: Costs) -> Rungs | None:
    """The rungs of a run with the scores of all `epochs` that were reported before; None for a fixed list."""
    rungs = make_rungs(
        prepared.context.metric,
        prepared.max_epochs,
        prepared.grace_period,
        prepared.reduction_factor,
        not prepared.space.grid,
    )
    if rungs is not None and epochs is not None:
        ordered = as_they_came(epochs)
        ordered = ordered[ordered["epoch"] >= ordered["trial_id"].map(costs.first_result)]
        columns = ("trial_id", "epoch", "full_epochs", prepared.context.metric)
        error = noise_of(prepared)
        kept = {name: prepared.run.losses(name) for name in set(ordered["trial_id"])}

        def noise(trial_id: str, epoch: int) -> float:
            losses = kept[trial_id]
            return error(None if losses is None or epoch > len(losses) else losses[epoch - 1])

        rungs.replay(zip(*(ordered[name].tolist() for name in columns), strict=True), costs, noise)
    return rungs


def as_they_came(epochs: "pd.DataFrame") -> "pd.DataFrame":
    """`epochs` in the order of time; those of a trial in their own order, though the clock was set back meanwhile."""
    ordered = epochs.sort_values(["trial_id", "epoch"])
    latest = ordered.groupby("trial_id")["time"].cummax()
    return ordered.assign(time=latest).sort_values("time", kind="stable")


def make_rungs(
    metric: str, max_epochs: int, grace_period: int, reduction_factor: float, early_stopping: bool
) -> Rungs | None:
    """The rungs of a run, or None for one that stops nobody early."""
    if not early_stopping:
        return None
    return Rungs(METRICS[metric].mode, max_epochs, grace_period, reduction_factor)
