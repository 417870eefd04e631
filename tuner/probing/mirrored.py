"""The heads of the best backbones, solved on the mirror image of each image as well, where that is better.

Better is seen out of fold, so that pictures whose mirror image is something else, such as letters, keep the head
without.
"""

import itertools
import time
from dataclasses import replace

from trainables.models.selection import Origins
from tuner.console.reporter import Reporter
from tuner.dataset.config import DataConfig
from tuner.probing.probed import Probed
from tuner.probing.ranking import Probe, Prober, SplitImages

__all__ = ["with_mirror_images"]

SHARE = 0.05
"""Of the time that is left for a search, what the mirror images may take."""


def with_mirror_images(
    probe: Probe,
    config: DataConfig,
    found: SplitImages,
    origins: Origins,
    reporter: Reporter,
    *,
    most: int,
    seconds: float | None,
) -> Probe:
    """`probe` with the better heads of its `most` best backbones; `seconds` are left, None for no limit.

    Where the time is short, it is so many of the best as a share of it is enough for.

    Every row keeps its place: which backbone is better was asked without mirror images.
    """
    best = [row for row in probe.rows if row.image_size == probe.image_size][:most]
    # A backbone takes about as long again.
    if seconds is not None:
        until = list(itertools.accumulate(row.seconds for row in best))
        best = best[: sum(each <= SHARE * seconds for each in until)]
    if not best:
        reporter.line(
            "heads are solved without mirror images: these would take too much of the time that is left"
        )
        return probe
    started = time.perf_counter()
    prober = Prober(config, found, origins, reporter)
    shown = {row.model: row for row in prober.at(probe.image_size, [row.model for row in best], views=2)}
    better = {row.model: _better(row, shown.get(row.model)) for row in best}

    def chosen(rows: tuple[Probed, ...]) -> tuple[Probed, ...]:
        return tuple(
            better.get(row.model, row) if row.image_size == probe.image_size else row for row in rows
        )

    spent = probe.seconds + time.perf_counter() - started
    return replace(probe, rows=chosen(probe.rows), sizes=chosen(probe.sizes), seconds=spent)


def _better(row: Probed, mirrored: Probed | None) -> Probed:
    """The row with the lower loss; what was noted of the images themselves stays, and of each time the shorter.

    Both timed the same network: what else the machine did meanwhile makes a time longer, never shorter.
    """
    if mirrored is None:
        return row
    if mirrored.log_loss >= row.log_loss or row.solved is None or mirrored.solved is None:
        found = row
    else:
        means = {"train_means": row.solved.train_means, "validation_means": row.solved.validation_means}
        solved = replace(mirrored.solved, **means)
        found = replace(mirrored, seconds=row.seconds + mirrored.seconds, solved=solved)
    return replace(
        found,
        milliseconds=min(row.milliseconds, mirrored.milliseconds),
        gpu_milliseconds=_shorter(row.gpu_milliseconds, mirrored.gpu_milliseconds),
        step_milliseconds=_shorter(row.step_milliseconds, mirrored.step_milliseconds),
    )


def _shorter(first: float | None, second: float | None) -> float | None:
    """The shorter of two times that may not be known."""
    return min((one for one in (first, second) if one is not None), default=None)
