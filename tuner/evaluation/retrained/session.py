"""A Ray on which finalists are trained anew, for what `compare` may ask. Nothing heavy at import."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from trainables.errors import Interrupted, InvalidValue
from tuner.console.reporter import Reporter

if TYPE_CHECKING:
    import pandas as pd

    from tuner.cluster.session import RaySession
    from tuner.cluster.signals import Signals
    from tuner.evaluation.comparison.by_image import ByImage
    from tuner.evaluation.comparison.finalists import Finalist
    from tuner.evaluation.comparison.folds import OutOfFold
    from tuner.runs.best import Best

__all__ = ["Retraining", "SeedDemands", "Trained", "retrained"]

NESTED_FOLDS = 5
"""Folds where --nested is asked for alone."""


@dataclass(frozen=True)
class SeedDemands:
    """What the trainings ask of Ray; see `tuner.cluster.session.Demands`."""

    address: str | None = None
    concurrent: int | None = None
    cpus_per_trial: float | None = None
    gpus_per_trial: float | None = None


@dataclass(frozen=True)
class Retraining:
    """What finalists are to be trained for: other seeds, a random split by image, folds, searches inside these."""

    seeds: int = 0
    also_by_image: bool = False
    folds: int = 0
    nested: bool = False

    @property
    def wanted(self) -> bool:
        """Whether anything is."""
        return self.seeds > 0 or self.also_by_image or self.num_folds > 0

    @property
    def num_folds(self) -> int:
        """Folds, those of --nested alone included."""
        return self.folds or (NESTED_FOLDS if self.nested else 0)


@dataclass(frozen=True)
class Trained:
    """Trains finalists as `asked` on a Ray that lives as long as the context of `retrained`.

    Each method gives None for what nobody asked. `winners` are those of the searches inside the folds.
    """

    asked: Retraining = Retraining()
    session: "RaySession | None" = None
    reporter: Reporter | None = None
    winners: "Sequence[Best]" = ()

    def seed_scores(self, finalists: "Sequence[Finalist]") -> "pd.DataFrame | None":
        """Columns key, seed, accuracy of the finalists, each trained from other seeds and scored on the test images."""
        if self.session is None or not self.asked.seeds:
            return None
        from tuner.evaluation.retrained.seed_scores import seed_scores

        return seed_scores(finalists, self.asked.seeds, self.session, self.reporter)

    def by_image(self, finalists: "Sequence[Finalist]") -> "ByImage | None":
        """The finalists trained on a random split by image."""
        if self.session is None or not self.asked.also_by_image:
            return None
        from tuner.evaluation.retrained.by_image import by_image_scores

        return by_image_scores(finalists, self.session, self.reporter)

    def fold_answers(self, finalists: "Sequence[Finalist]") -> "OutOfFold | None":
        """The finalists' answers to all images, each trained on folds."""
        count = self.asked.num_folds
        if self.session is None or not count:
            return None
        from tuner.evaluation.retrained.folds import fold_answers

        return fold_answers(finalists, count, self.session, self.reporter, self.winners)


@contextlib.contextmanager
def retrained(
    runs: Sequence[Path], asked: Retraining, demands: SeedDemands, reporter: Reporter
) -> "Iterator[Trained]":
    """What trains finalists as `asked`; all train on one Ray, which lives as long as the context.

    Searches inside folds come first, each on a Ray of its own. Raises RunProblem for `runs` that lack the groups for
    it, InvalidValue for several runs and `nested`, WeightsUnavailable where the weights that they began with are gone,
    Interrupted at Ctrl-C or SIGTERM.
    """
    if not asked.wanted:
        yield Trained()
        return
    from tuner.cluster.environment import ray_environment
    from tuner.cluster.signals import Signals

    with ray_environment(demands.address), Signals(raises=True) as signals:
        try:
            with _on_ray(runs, asked, demands, reporter, signals) as found:
                yield found
        except KeyboardInterrupt:
            places = " and ".join(map(str, runs))
            raise Interrupted(
                f"stopped; what was trained is kept in {places}, and the same command goes on with it"
            ) from None


@contextlib.contextmanager
def _on_ray(
    runs: Sequence[Path], asked: Retraining, demands: SeedDemands, reporter: Reporter, signals: "Signals"
) -> "Iterator[Trained]":
    with reporter.starting():
        from tuner.cluster.session import ray_session
        from tuner.evaluation.retrained.by_image import check_groups
        from tuner.evaluation.retrained.folds import check_folds
        from tuner.evaluation.retrained.nested import nested_searches
        from tuner.runs.directory import Run
        from tuner.runs.weights_files import changed_files

    opened, count = [Run.open(run) for run in runs], asked.num_folds
    if asked.nested and len(opened) > 1:
        raise InvalidValue("--nested repeats one search; name one run")
    for record in (run.record for run in opened):
        for sentence in changed_files(record["weights"], record.get("weights_files") or {}):
            reporter.warn(sentence)
    if asked.also_by_image:
        check_groups(opened)
    for run in opened if count else ():
        check_folds(run, count)
    winners = nested_searches(opened[0], count, reporter) if asked.nested else []
    with contextlib.ExitStack() as stack:
        with reporter.waiting("Ray starts"):
            session = stack.enter_context(ray_session(demands, signals))
        yield Trained(asked, session, reporter, winners)
