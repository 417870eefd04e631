"""A Ray on which finalists are retrained, for `compare --seeds` and `--also-by-image`. Nothing heavy at import."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tuner.tracking.reporter import Reporter

if TYPE_CHECKING:
    from tuner.evaluation.comparison import ByImageScorer, SeedScorer

__all__ = ["SeedDemands", "retrained"]


@dataclass(frozen=True)
class SeedDemands:
    """What the seeds ask of Ray; see `tuner.cluster.session.Demands`."""

    address: str | None = None
    concurrent: int | None = None
    cpus_per_trial: float | None = None
    gpus_per_trial: float | None = None


@contextlib.contextmanager
def retrained(
    runs: Sequence[Path], seeds: int, also_by_image: bool, demands: SeedDemands, reporter: Reporter
) -> "Iterator[tuple[SeedScorer | None, ByImageScorer | None]]":
    """What scores finalists under `seeds` other seeds, and under a split by image; None for what nobody asked.

    Both train on one Ray, which lives as long as the context. Raises RunProblem for `runs` without groups if
    `also_by_image`.
    """
    if seeds < 1 and not also_by_image:
        yield None, None
        return
    from tuner.cluster.environment import ray_environment

    with ray_environment(demands.address):
        from tuner.cluster.session import ray_session
        from tuner.release.by_image import by_image_scores, check_groups
        from tuner.release.seed_scores import seed_scores
        from tuner.runs.directory import Run

        if also_by_image:
            check_groups([Run.open(run) for run in runs])
        with ray_session(demands) as session:
            yield (
                (lambda finalists: seed_scores(finalists, seeds, session, reporter)) if seeds else None,
                (lambda finalists: by_image_scores(finalists, session, reporter)) if also_by_image else None,
            )
