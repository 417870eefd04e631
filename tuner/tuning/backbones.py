"""The backbones of a search whose space leaves them to a probe."""

import time
from dataclasses import dataclass, replace

from search_spaces import Space
from trainables.errors import InvalidValue, WeightsUnavailable
from trainables.models.selection import (
    NAMED_SETS,
    ONE_FILE,
    RANDOM_WEIGHTS,
    backbones_of,
    with_weights,
    without_dominated,
)
from tuner.console.reporter import Reporter
from tuner.dataset.config import DataConfig
from tuner.dataset.loading import Examined, scan_and_split
from tuner.probing.mirrored import with_mirror_images
from tuner.probing.outlook import MOST
from tuner.probing.ranking import LOOKED_FOR, Probe, SplitImages, probe_images
from tuner.probing.sizes import Plan
from tuner.runs.hardware import usable_cores
from tuner.tuning.config import SearchConfig, SpaceSettings, models_of, resolve
from tuner.tuning.schedule_length import plan_of, schedule_in_time

__all__ = ["FIRST_MODELS", "Narrowed", "check_backbones", "narrow"]

FIRST_MODELS = 3
"""Heads of the probe that become trials of the run: the best, and others that an ensemble may take."""

FEW_DRAWS = 20
"""Random configurations that are checked once the probe has narrowed a space that was checked before."""

INSTEAD = "resnet18"
"""What the drawn sample pictures are searched with where no backbone has weights: small, and quick from random ones."""


@dataclass(frozen=True)
class Narrowed:
    """A search whose models are settled: its config and settings, and what the probe found, if there was one."""

    config: SearchConfig
    settings: SpaceSettings
    found: Examined | None = None
    probe: Probe | None = None


def check_backbones(config: SearchConfig, space: Space) -> None:
    """Raise InvalidValue for backbones that nothing would look at: no probe, and no search for similar pictures."""
    if (
        config.data.backbones == "auto"
        or config.data.groups_from_similar
        or (space.probe and not config.models)
    ):
        return
    why = f"with --models {','.join(config.models)}" if config.models else f"the space {space.name}"
    verb = "nothing is probed" if config.models else "probes nothing"
    raise InvalidValue(f"--backbones {config.data.backbones} says what the space auto probes; {why} {verb}")


def narrow(config: SearchConfig, settings: SpaceSettings, reporter: Reporter) -> Narrowed:
    """The search of `config`; its models are chosen by a probe where the space wants that and --models is silent.

    `settings` are those that `resolve` makes of `config`. Raises what `resolve` and `probe` raise. The drawn sample
    pictures are searched without weights if there are none.
    """
    if not settings.space.probe or config.models:
        return Narrowed(config, settings)
    chooses_size = _chooses_size(config, settings)
    # A probe at another size than the search's would judge other features, where the space has a size of its own.
    config = replace(config, data=settings.data)
    try:
        ways = [RANDOM_WEIGHTS, ONE_FILE]
        with reporter.waiting(LOOKED_FOR):
            # Imports torch, for seconds.
            from trainables.inference import best_device

            names = _known_to_space(backbones_of(config.data.backbones, best_device().type), config, settings)
            origins = with_weights(
                names, config.data.weights, config.data.weights_dir, settings.data.side(), ways
            )
    except WeightsUnavailable:
        if not _drawn_without_asking(config.data):
            raise
        reporter.warn(
            f"no backbone has pretrained weights here and none can be downloaded: {INSTEAD} from random weights"
        )
        config = replace(config, models=(INSTEAD,), data=replace(config.data, weights="none"))
        return Narrowed(config, resolve(config))
    # What the space makes of them has to be right before minutes go into probing them.
    resolve(replace(config, models=tuple(origins.weights)))
    if config.data.backbones in NAMED_SETS:
        origins = without_dominated(origins, best_device().type)
    for note in origins.notes:
        reporter.warn(note)
    found = scan_and_split(config.data, reporter)
    started = time.perf_counter()
    cores = _free_cores(config) if config.max_epochs is None else 1
    plan = plan_of(int((found.split["split"] == "train").sum()), config.time_budget_s, cores)
    images = SplitImages.of(found)
    probe = probe_images(config.data, images, origins, reporter, plan=plan, choose=chooses_size)
    left = None if plan.seconds is None else plan.seconds - (time.perf_counter() - started)
    probe = with_mirror_images(probe, config.data, images, origins, reporter, most=FIRST_MODELS, seconds=left)
    reporter.line(_to_fine_tune(probe, plan))
    config = replace(config, models=probe.fine_tuned, data=replace(config.data, image_size=probe.image_size))
    now = plan.after(time.perf_counter() - started)
    config = _with_schedule_in_time(config, settings, probe, now, reporter)
    return Narrowed(config, resolve(config, draws=FEW_DRAWS), found, probe)


def _to_fine_tune(probe: Probe, plan: Plan) -> str:
    """Which backbones are fine-tuned, and why so few where the time is short."""
    few = plan.seconds is not None and len(probe.fine_tuned) < min(MOST, len(probe.outlook))
    why = "; the time budget has no room for whole trainings of more" if few else ""
    return f"to fine-tune, by the expected log loss: {', '.join(probe.fine_tuned)}{why}"


def _chooses_size(config: SearchConfig, settings: SpaceSettings) -> bool:
    """Whether the probe is to choose the side: nobody named one, neither the space, and the pictures are not drawn."""
    data = config.data
    return data.image_size is None and "image_size" not in settings.space.defaults and data.folder is not None


def _with_schedule_in_time(
    config: SearchConfig, settings: SpaceSettings, probe: Probe, left: Plan, reporter: Reporter
) -> SearchConfig:
    """The same with more cores and fewer epochs a trial where the time budget is short and nobody said how many."""
    if config.max_epochs is not None or left.seconds is None:
        return config
    first = next(row for row in probe.rows if row.model == probe.fine_tuned[0])
    whole = settings.max_epochs
    found = schedule_in_time(first, left, whole)
    several = "" if found.cores == 1 else f"trials train on {found.cores} cores each"
    shorter = "" if found.epochs == whole else f"{found.epochs} epochs, not {whole}"
    if several:
        reporter.line(
            f"{several}{', for ' if shorter else ''}{shorter}: whole schedules of more at once would not fit into the"
            " time budget"
        )
        return replace(config, max_epochs=found.epochs, cpus_per_trial=float(found.cores))
    if shorter:
        reporter.line(f"trials of {shorter}: more would not fit into the time budget")
    return replace(config, max_epochs=found.epochs) if shorter else config


def _free_cores(config: SearchConfig) -> int:
    """The cores of this machine that its trials may share as suits them; 1 where that is settled, or a GPU trains."""
    from trainables.inference import best_device

    told = (config.address, config.concurrent, config.cpus_per_trial, config.gpus_per_trial)
    return usable_cores() if best_device().type == "cpu" and all(one is None for one in told) else 1


def _known_to_space(names: tuple[str, ...], config: SearchConfig, settings: SpaceSettings) -> tuple[str, ...]:
    """Those of `names` that the space can propose, or all that it can; others that were named raise InvalidValue."""
    if settings.space.any_model:
        return names
    own = sorted(models_of(settings))
    outside = [name for name in names if name not in own]
    if outside and config.data.backbones not in NAMED_SETS:
        raise InvalidValue(
            f"--backbones {','.join(outside)}: space {settings.space.name} has {', '.join(own)}"
        )
    return tuple(name for name in names if name in own) or tuple(own)


def _drawn_without_asking(data: DataConfig) -> bool:
    """Whether the images are the sample pictures and nobody asked for certain weights."""
    return data.folder is None and data.weights == "auto" and data.weights_dir is None
