"""Go on with a run that ended early, or add trials to one that is finished."""

import dataclasses
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import search_spaces
from search_spaces import Space
from trainables.errors import InvalidValue, RunProblem
from trainables.ranges import check
from trainables.storage import address_below, try_out
from tuner.console.reporter import Reporter
from tuner.dataset.loading import build_run_cache, warn_of_full_disk
from tuner.runs.directory import Run, fit_of
from tuner.runs.hardware import PACKAGES, versions
from tuner.runs.journal import repair
from tuner.runs.paths import try_folder
from tuner.runs.weights_files import changed_files
from tuner.tuning.budget import Budget
from tuner.tuning.config import space_fingerprint
from tuner.tuning.loop import execute
from tuner.tuning.prepare import Prepared, prepared_from
from tuner.tuning.result import SearchResult

if TYPE_CHECKING:
    from tuner.tracking.events import Observer


def resume(
    path: Path,
    samples: int | None = None,
    time_budget_s: float | None = None,
    reporter: Reporter | None = None,
    observers: "Sequence[Observer]" = (),
    *,
    started: float | None = None,
    networks: int = 0,
) -> SearchResult:
    """Finish the run at `path`; with `samples`, add that many trials to it.

    `time_budget_s` counts from `started`, as in `search`; None goes on without one. `observers` hear of each epoch.
    Raises RunProblem if the run is in use or if images, space, weights or versions have changed since it began,
    WeightsUnavailable if its files of weights are gone.
    """
    reporter = reporter or Reporter()
    samples, time_budget_s = check("samples", samples), check("time_budget_s", time_budget_s)
    run = Run.open(path.resolve())
    try_folder(run.path)
    with run.owned():
        run.sweep()
        prepared = _reopen(run, samples, time_budget_s, reporter)
        budget = Budget.of(time_budget_s, started, networks=networks)
        return execute(prepared, reporter, observers=observers, budget=budget)


def _reopen(run: Run, samples: int | None, time_budget_s: float | None, reporter: Reporter) -> Prepared:
    record = run.record
    space = search_spaces.load(record["space"])
    mended = record.get("space_trouble") is not None
    with reporter.starting("the run is checked: images, space, weights, versions"):
        changed = _changed_versions(record["versions"])
        changed += [] if mended else _changed_space(space, record["space_fingerprint"])
        changed += changed_files(record["weights"], record.get("weights_files") or {}, fetch=True)
        split, hashes, folder = run.split(), run.images(), Path(record["data"]["folder"])
        changed += _changed_images(folder, split.loc[split["split"] != "test", "path"].tolist(), hashes)
    if changed:
        raise RunProblem(
            f"{run.path} can't go on, since new trials could not be compared with the old ones: {'; '.join(changed)}"
        )
    if mended:
        _take_mended(run, space)
    if record["settings"].get("storage"):
        # A folder beside those of the living trials, since what is tried out is deleted.
        try_out(address_below(record["settings"]["storage"], "tried"))
    repair(run.journal)
    shutil.rmtree(run.path / "alive" / "ray", ignore_errors=True)
    if samples is not None:
        _extend(run, space, samples)
    cache = build_run_cache(folder, split, hashes, record["image_size"], fit_of(record), reporter)
    warn_of_full_disk(record["settings"]["feature_cache_bytes"], reporter)
    # Whoever interrupts it now finds a search that has not ended, though a time budget may have ended it before.
    run.update_record(finished=None)
    return dataclasses.replace(prepared_from(run, space, cache), time_budget_s=time_budget_s)


def _take_mended(run: Run, space: Space) -> None:
    """Go on with a space that failed in this run, as its file is now; raises UserMistake if it still fails."""
    record = run.record
    settings = record["settings"]
    overrides = {**settings["overrides"], "max_epochs": settings["max_epochs"]}
    allowed = {name: tuple(values) for name, values in settings["allowed"].items()}
    search_spaces.check(space, overrides, allowed, settings["grace_period"])
    now = space_fingerprint(space)
    edits = [
        *record.get("space_edits", []),
        {"before": record["space_fingerprint"], "why": record["space_trouble"]},
    ]
    run.update_record(space_fingerprint=now, space_trouble=None, space_edits=edits)


def _extend(run: Run, space: Space, samples: int) -> None:
    record = run.record
    if space.grid:
        raise InvalidValue(
            f"--samples {samples}: {space.name} is a fixed list of configurations, none can be added"
        )
    # Who asks for more trials is to have them, settled or not.
    more = {"samples": record["settings"]["samples"] + samples, "until_settled": False}
    run.update_record(settings={**record["settings"], **more}, finished=None, ended=None)


def _changed_versions(before: dict[str, str]) -> list[str]:
    now = versions()
    return [
        f"{name} was {before.get(name, 'absent')} and is {now.get(name, 'absent')}"
        for name in PACKAGES
        if before.get(name) != now.get(name)
    ]


def _changed_space(space: Space, before: str) -> list[str]:
    return [] if space_fingerprint(space) == before else [f"the space {space.reference} was edited"]


def _changed_images(folder: Path, paths: list[str], hashes: dict[str, str]) -> list[str]:
    from tuner.dataset.reading.scan import changed_images

    changed = changed_images(folder, {path: hashes[path] for path in paths})
    if not changed:
        return []
    more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
    return [f"image {changed[0]!r}{more} in {folder} changed or is gone"]
