"""The search repeated inside every fold, so that no image has a part in choosing what answers it.

For `tuner compare --nested`. Each search is a run directory of its own in the run's folder `folds/`, with the settings
of the run and the other folds' images split anew into training and validation; it is resumed where it was interrupted,
and found again once it has ended. Where a probe chose the run's backbones, a probe inside each fold chooses them anew
among the same candidates.
"""

import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import search_spaces
from trainables.errors import Interrupted, RunProblem
from tuner.console.reporter import Reporter
from tuner.dataset.allocation import allocate
from tuner.dataset.loading import build_run_cache
from tuner.evaluation.retrained.folds import FOLDER, assign_folds, groups_of
from tuner.evaluation.retrained.nested_probe import candidates_of, narrowed, probe_inside
from tuner.runs.best import Best
from tuner.runs.best_trial import best_of
from tuner.runs.directory import Run, fit_of
from tuner.tuning.estimates import best_row
from tuner.tuning.loop import execute
from tuner.tuning.prepare import prepared_from
from tuner.tuning.result import SearchResult
from tuner.tuning.resume import resume

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["nested_searches"]


def nested_searches(run: Run, count: int, reporter: Reporter) -> list[Best]:
    """The winner of a search inside each of `count` folds, in their order.

    Raises RunProblem where a search ends without one or was made with other settings, and for images of which no search
    inside a fold could see every class; Interrupted at Ctrl-C or SIGTERM.
    """
    split = run.split()
    fold = assign_folds(split, count, int(run.record["seed"]))
    inside = [_inner_split(run, split, fold == number) for number in range(count)]
    winners = []
    for number, own in enumerate(inside):
        path = run.path / FOLDER / f"search-{number + 1}of{count}"
        reporter.line(f"search inside fold {number + 1} of {count}: {path}")
        winners.append(_winner(_searched(run, path, own, reporter)))
    return winners


def _searched(run: Run, path: Path, split: "pd.DataFrame", reporter: Reporter) -> Run:
    """The finished search at `path`, made or gone on with; one of fewer trials than `run` has gets the others."""
    if (path / "run.yaml").exists():
        inner = Run.open(path)
        _check_alike(run, inner, split)
        more = run.record["settings"]["samples"] - inner.record["settings"]["samples"]
        if inner.record["finished"] is not None and more <= 0:
            return inner
        result = resume(path, samples=more if more > 0 else None, reporter=reporter)
    else:
        result = _search(run, path, split, reporter)
    if result.interrupted:
        raise Interrupted(f"{path}: the search was interrupted; the same command goes on with it")
    return result.run


def _check_alike(run: Run, inner: Run, split: "pd.DataFrame") -> None:
    """Raise RunProblem unless `inner` is a search with the settings of `run`, on `split`."""
    wanted = _comparable(_record(dict(run.record), split, inner.path.name), run.probe())
    found = _comparable(inner.record, inner.probe())
    if other := [name for name, value in wanted.items() if found.get(name) != value]:
        raise RunProblem(
            f"{inner.path} is a search with another {other[0].replace('_', ' ')} than {run.path} has now; remove that"
            " folder to search anew"
        )


def _comparable(record: Mapping[str, Any], probe: Mapping[str, Any] | None) -> dict[str, Any]:
    """What makes two searches the same, but for the number of their trials, where they run and what a probe chose."""
    names = ("space_fingerprint", "metric", "positive", "seed", "image_size", "weights", "precision")
    settings = ("max_epochs", "grace_period", "overrides", "reduction_factor", "sampler", "prior")
    allowed = dict(record["settings"].get("allowed") or {})
    if probe is not None:
        allowed.pop("model", None)
    return {
        **{name: record.get(name) for name in names},
        "fit": fit_of(record),
        **{name: record["settings"].get(name) for name in settings},
        "probe_of_backbones": None if probe is None else candidates_of(probe),
        "choice_of_models_or_strategies": allowed,
        "split": record["data"]["split_fingerprint"],
    }


def _search(run: Run, path: Path, split: "pd.DataFrame", reporter: Reporter) -> SearchResult:
    inner = _made(run, path, split, reporter)
    record = inner.record
    folder, size = Path(record["data"]["folder"]), record["image_size"]
    cache = build_run_cache(folder, split, inner.images(), size, fit_of(record), reporter)
    prepared = prepared_from(inner, search_spaces.load(record["space"]), cache)
    with inner.owned():
        return execute(prepared, reporter)


def _made(run: Run, path: Path, split: "pd.DataFrame", reporter: Reporter) -> Run:
    """The run directory of a search inside a fold, at `path` once it is whole: half a one could not be resumed."""
    record, outer = _record(dict(run.record), split, path.name), run.probe()
    probe = None if outer is None else probe_inside(run, outer, split, reporter)
    if outer is not None and probe is not None:
        record = narrowed(record, outer, probe)
    begun = path.with_name(f".{path.name}.tmp")
    shutil.rmtree(begun, ignore_errors=True)
    inner = Run.create(begun, record)
    if probe is not None:
        inner.write_probe(probe.document())
    inner.write_split(split)
    inner.write_images(run.images())
    begun.rename(path)
    return Run(path)


def _record(record: dict[str, Any], split: "pd.DataFrame", name: str) -> dict[str, Any]:
    """That of the outer run, with the inner split, without what the outer search wrote while it ran."""
    from tuner.dataset.splitting import fingerprint, leaks

    settings = {**record["settings"], "dashboard": False, "log": [], "earlier": [], "storage": ""}
    data = {**record["data"], "split_fingerprint": fingerprint(split), "leaks": leaks(split)}
    kept = {
        key: value for key, value in record.items() if key not in ("ended", "space_trouble", "space_edits")
    }
    started = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    return {**kept, "name": name, "started": started, "finished": None, "settings": settings, "data": data}


def _inner_split(run: Run, split: "pd.DataFrame", held: Any) -> "pd.DataFrame":
    """The held fold as test, the rest split into training and validation in the run's proportion, by group."""
    low, middle, _ = run.record["data"]["fractions"]
    rest = split[~held].reset_index(drop=True)
    # One of so many folds is nearest to the validation's share.
    val = _validating(run, rest, max(2, round((low + middle) / middle)))
    parts = split["split"].to_numpy(dtype=object).copy()
    parts[held] = "test"
    parts[~held] = ["val" if chosen else "train" for chosen in val]
    return split.assign(split=parts)


def _validating(run: Run, split: "pd.DataFrame", wanted: int) -> Any:
    """Which rows of `split` validate: one of `wanted` folds, of fewer where some class has fewer groups.

    It is the first fold that holds every class and leaves every class to train on, else what `allocate` finds; raises
    RunProblem if that does not either.
    """
    classes, fewest = split["label"].nunique(), int(split.groupby("label")["group"].nunique().min())
    if fewest > 1:
        seed, wanted = int(run.record["seed"]), min(wanted, fewest)
        fold = assign_folds(split, wanted, seed)
        place = allocate(groups_of(split), ("train", "val"), (1 - 1 / wanted, 1 / wanted), seed)
        found = [fold == number for number in range(int(fold.max()) + 1)]
        for own in [*found, split["group"].map(place).eq("val").to_numpy()]:
            if split.loc[own, "label"].nunique() == split.loc[~own, "label"].nunique() == classes:
                return own
    raise RunProblem(
        f"{run.path}: some class has too few groups to train and to validate a search inside every fold; leave --nested"
        " out, or give fewer --folds"
    )


def _winner(run: Run) -> Best:
    """The best trial of a search that has ended; raises RunProblem if it has none."""
    row = best_row(run)
    if row is None:
        raise RunProblem(f"{run.path}: no trial of this search has a score; look into its failures/")
    return best_of(run, row)
