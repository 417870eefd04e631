"""A Ray on which finalists are retrained with other seeds, for `compare --seeds`. Nothing heavy at import."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tuner.tracking.reporter import Reporter

if TYPE_CHECKING:
    from tuner.evaluation.comparison import SeedScorer

__all__ = ["SeedDemands", "seeds_scored"]


@dataclass(frozen=True)
class SeedDemands:
    """What the seeds ask of Ray; see `tuner.cluster.session.Demands`."""

    address: str | None = None
    concurrent: int | None = None
    cpus_per_trial: float | None = None
    gpus_per_trial: float | None = None


@contextlib.contextmanager
def seeds_scored(seeds: int, demands: SeedDemands, reporter: Reporter) -> "Iterator[SeedScorer | None]":
    """What gives the test accuracy of every finalist under `seeds` other seeds, on a Ray; None without any."""
    if seeds < 1:
        yield None
        return
    from tuner.cluster.environment import ray_environment

    with ray_environment(demands.address):
        from tuner.cluster.session import ray_session
        from tuner.release.seed_scores import seed_scores

        with ray_session(demands) as session:
            yield lambda finalists: seed_scores(finalists, seeds, session, reporter)
