"""Which pretrained backbone suits the images: a linear probe on the frozen features of each candidate.

The images go through the cache once and the features into the feature cache, where frozen trials of a later search find
them. Each image of training and validation is answered by a head that was solved without its group; the test images are
not read. Where no size of the images was asked for, the best two are probed at several (see `sizes`). Which are
fine-tuned follows from the probe and from what is known of each (see `outlook`).
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trainables.models.known import relative_seconds
from trainables.models.selection import (
    NAMED_SETS,
    RANDOM_WEIGHTS,
    Origins,
    backbones_of,
    none_can,
    with_weights,
    without_dominated,
)
from tuner.cluster.isolated import results_apart
from tuner.console.reporter import Reporter, clock
from tuner.dataset.config import DataConfig
from tuner.dataset.loading import Examined, build_run_cache, scan_and_split
from tuner.probing.linear import ProbeImages, ProbeJob, probe_images_of, probe_one
from tuner.probing.outlook import Outlook, chosen, outlooks
from tuner.probing.probed import Probed
from tuner.probing.sizes import FIRST, LARGER, SMALLER, Plan, affords, at_side, choose_size
from tuner.statistics.means import half_width

if TYPE_CHECKING:
    import pandas as pd

PROBE_SHARE = 0.15
"""Of the time that is left for a search, what the probe may take of it to look at larger sides."""

LOOKED_FOR = "the weights of the backbones are looked for"
"""What a person who waits for that is told."""

FROZEN_SHARE = 0.5
"""The same where no trial will be trained. Solving the heads on all images and writing the model come after."""

__all__ = ["LOOKED_FOR", "Probe", "Probed", "Prober", "SplitImages", "probe", "probe_images", "tied"]


@dataclass(frozen=True)
class SplitImages:
    """What a probe reads: a folder, the names of the classes, the split, and the hash of each image's pixels by path.

    Only the training and validation images of `split` are read.
    """

    folder: Path
    classes: tuple[str, ...]
    split: "pd.DataFrame"
    hashes: Mapping[str, str]

    @classmethod
    def of(cls, found: Examined) -> "SplitImages":
        """Those of a search that is being prepared."""
        return cls(found.scan.folder, tuple(map(str, found.scan.classes)), found.split, found.hashes)


@dataclass(frozen=True)
class Probe:
    """The candidates that were probed, best first, and why others were not.

    `image_size` is the side that was asked for or chosen, for which `size_reason` says why. Candidates that were not
    probed at it come last, with what they showed at another. `sizes` are all results where several sides were looked
    at. `groups` [n] are those of the images of the losses. `again` counts results that were kept from an earlier
    probe. `outlook` is what is to be expected of each at that side, and `fine_tuned` which of them are advised.
    """

    rows: tuple[Probed, ...]
    passed_over: Mapping[str, str]
    groups: tuple[str, ...]
    images: Mapping[str, int]
    image_size: int
    precision: str
    seconds: float
    again: int
    size_reason: str | None = None
    sizes: tuple[Probed, ...] = field(default=(), repr=False)
    fit: str = "crop"
    outlook: tuple[Outlook, ...] = ()
    fine_tuned: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """All of it in plain values, as `--json` prints and a run's directory keeps it."""
        alike = tied(self)
        outlook = {one.model: vars(one) for one in self.outlook}
        return {
            "backbones": [
                {**one.row(), "tied_with_best": one.model in alike, "outlook": outlook.get(one.model)}
                for one in self.rows
            ],
            "sizes": [one.row() for one in self.sizes],
            "size_reason": self.size_reason,
            "advised": list(self.fine_tuned),
            "passed_over": [{"model": name, "reason": reason} for name, reason in self.passed_over.items()],
            "images": dict(self.images),
            "image_size": self.image_size,
            "fit": self.fit,
            "precision": self.precision,
            "seconds": self.seconds,
        }


def probe(config: DataConfig, backbones: str = "auto", reporter: Reporter | None = None) -> Probe:
    """Probe the candidates `backbones` on the images of `config`; raises UserMistake for whatever a person can mend.

    Raises WeightsUnavailable, with the ways out, if no candidate has weights, before any image is read; InvalidValue if
    none can be probed.
    """
    from trainables.inference import best_device

    reporter = reporter or Reporter()
    names = backbones_of(backbones, best_device().type)
    with reporter.waiting(LOOKED_FOR):
        origins = with_weights(names, config.weights, config.weights_dir, config.side(), [RANDOM_WEIGHTS])
    if backbones in NAMED_SETS:
        origins = without_dominated(origins, best_device().type)
    for note in origins.notes:
        reporter.warn(note)
    found = scan_and_split(config, reporter)
    sized = config.image_size is not None or config.folder is None
    return probe_images(config, SplitImages.of(found), origins, reporter, choose=not sized)


def probe_images(
    config: DataConfig,
    found: SplitImages,
    origins: Origins,
    reporter: Reporter,
    *,
    plan: Plan | None = None,
    choose: bool = False,
) -> Probe:
    """Probe the models that `origins` has weights of on images that are split already.

    The time of `plan` is left for the probe and all that follows, by default without a limit. With `choose` the side
    of the images is chosen; else it is that of `config`. A candidate that can't be probed is passed over with the
    reason; raises InvalidValue if none can. What computes on a GPU is a process of its own, and over when the search
    begins.
    """
    started = time.perf_counter()
    prober = Prober(config, found, origins, reporter)
    plan = plan or Plan(int((found.split["split"] == "train").sum()))
    first = FIRST if choose else config.side()
    rows = prober.at(first, list(origins.weights))
    if not rows:
        raise none_can(prober.failed)
    images = prober.images(first)
    groups = tuple(np.asarray(images.groups)[images.folds() >= 0].tolist())
    size, reason, others = first, None, []
    if choose:
        others = _other_sizes(prober, rows, plan, started)
        side = choose_size([*rows, *others], groups, plan)
        size, reason = side.image_size, side.reason
        reporter.line(reason)
    every = sorted([*rows, *others], key=lambda one: (one.image_size != size, one.log_loss))
    single = {one.model: one for one in reversed(every)}
    here = [one for one in every if one.image_size == size]
    left = plan.after(time.perf_counter() - started)
    return Probe(
        rows=tuple(one for one in every if single[one.model] is one),
        passed_over={**origins.passed_over, **prober.failed},
        groups=groups,
        images={part: int((found.split["split"] == part).sum()) for part in ("train", "val")},
        image_size=size,
        precision=prober.precision,
        seconds=time.perf_counter() - started,
        again=prober.again,
        size_reason=reason,
        sizes=tuple(every) if others else (),
        fit=config.fit,
        outlook=tuple(outlooks(here, left)),
        fine_tuned=chosen(here, left),
    )


def _other_sizes(prober: "Prober", rows: Sequence[Probed], plan: Plan, started: float) -> list[Probed]:
    """The best two of `rows` at other sides: larger ones while they gain and time is left, else the smaller one.

    Where no side leaves time to fine-tune, frozen features are all that there will be, and the probe has more time.
    """
    best = [row.model for row in sorted(rows, key=lambda one: one.log_loss)[:2]]
    mine = [row for row in rows if row.model in best]
    trains = any(affords(row, plan) for row in rows)
    trains_small = any(affords(at_side(row, SMALLER), plan) for row in rows)
    share = PROBE_SHARE if trains or trains_small else FROZEN_SHARE
    found: list[Probed] = []
    before = min(row.log_loss for row in mine)
    for size in LARGER:
        # Features take as long as there are pixels; a probe is to take no more than a part of the time.
        expected = sum(row.seconds for row in mine) * (size / mine[0].image_size) ** 2
        spent = time.perf_counter() - started
        if plan.seconds is not None and spent + expected > share * plan.seconds:
            break
        larger = prober.at(size, best)
        found += larger
        now = min((row.log_loss for row in larger), default=before)
        if now >= before:
            break
        before = now
    if trains_small and not trains:
        found += prober.at(SMALLER, best)
    return found


class Prober:
    """Probes models at a side; `failed` says why some can't be, `again` counts what was kept from before."""

    def __init__(self, config: DataConfig, found: SplitImages, origins: Origins, reporter: Reporter) -> None:
        self.config, self.found, self.origins, self.reporter = config, found, origins, reporter
        self.failed: dict[str, str] = {}
        self.again, self.precision = 0, config.precision
        self._images: dict[int, ProbeImages] = {}

    def images(self, image_size: int) -> ProbeImages:
        """The images at a side, decoded into the cache once."""
        if image_size not in self._images:
            found = self.found
            cache = build_run_cache(
                found.folder, found.split, found.hashes, image_size, self.config.fit, self.reporter
            )
            self._images[image_size] = probe_images_of(found.split, cache, found.classes, self.config.seed)
        return self._images[image_size]

    def at(self, image_size: int, names: Sequence[str], views: int = 1) -> list[Probed]:
        """What the models `names` showed, in their order; those that can't be probed are noted and left out."""
        from trainables.inference import best_device

        rows = []
        what = "mirror images" if views == 2 else "backbones"
        spent: dict[str, float] = {}
        with self.reporter.progress(f"probing {what} at {image_size} px") as progress:
            for number, (name, (shown, kept, used)) in enumerate(self._results(image_size, names, views)):
                self.again, self.precision = self.again + kept, used
                if isinstance(shown, Probed):
                    rows.append(shown)
                    spent |= {} if kept else {name: shown.seconds}
                    rest = _still(spent, names[number + 1 :], best_device().type)
                    self.reporter.line(_said(shown, kept=kept) + rest)
                else:
                    self.failed[name] = shown
                    self.reporter.warn(f"{name} is skipped: {shown}")
                if progress is not None:
                    progress(number + 1, len(names))
        return rows

    def _results(
        self, image_size: int, names: Sequence[str], views: int
    ) -> "Iterable[tuple[str, tuple[Probed | str, bool, str]]]":
        from trainables.inference import best_device

        images, limit = self.images(image_size), self.config.feature_cache_bytes
        jobs = [
            ProbeJob(
                name, images, self.origins.weights[name], image_size, self.config.precision, limit, views
            )
            for name in names
        ]
        probed = map(probe_one, jobs) if best_device().type == "cpu" else results_apart(probe_one, jobs)
        return zip(names, probed, strict=True)


def _said(row: Probed, *, kept: bool) -> str:
    how = ", kept from an earlier probe" if kept else f", probed in {clock(row.seconds)}"
    mirrored = ", solved on mirror images as well" if row.views == 2 else ""
    return f"{row.model}{mirrored}: log loss {row.log_loss:.4f}, {row.milliseconds:.1f} ms an image{how}"


def _still(spent: Mapping[str, float], rest: Sequence[str], device: str) -> str:
    """How long the `rest` of the models will take, by what others took and by what is known of their speed.

    On a GPU it goes by the known seconds of GPUs, which was not run on a GPU.
    """
    if not spent or not rest:
        return ""
    costs = {name: relative_seconds(name, device) for name in (*spent, *rest)}
    known = [name for name in spent if costs[name] is not None]
    each = sum(spent.values()) / len(spent)
    unit = sum(spent[name] for name in known) / sum(costs[name] or 0.0 for name in known) if known else None
    left = sum(each if unit is None or costs[name] is None else unit * (costs[name] or 0.0) for name in rest)
    return f"; {len(rest)} more, about {clock(left)}"


def tied(found: Probe) -> tuple[str, ...]:
    """The models whose loss can't be told from the best one's, that included.

    The 95 % interval of their mean difference, image by image over whole groups, holds 0.
    """
    best = found.rows[0]
    alike = [best.model]
    for one in found.rows[1:]:
        if one.image_size != best.image_size:
            continue
        difference = np.asarray(one.losses) - np.asarray(best.losses)
        half = half_width(difference, found.groups)
        if half is None or abs(difference.mean()) <= half:
            alike.append(one.model)
    return tuple(alike)
