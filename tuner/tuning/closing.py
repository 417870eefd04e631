"""The end of a search: the tables, best.yaml, and whether it has finished."""

import time
from collections.abc import Mapping
from typing import Any

from tuner.runs.directory import Run
from tuner.runs.ensemble import Member
from tuner.tuning.estimates import chosen_on_folds
from tuner.tuning.result import SearchResult
from tuner.tuning.trial_store import TrialStore

__all__ = ["close", "judged_members"]


def close(run: Run, store: TrialStore, *, interrupted: bool, over_budget: bool = False) -> SearchResult:
    """Write what stands at the end; the result. A search whose time budget is over has ended, whoever lives."""
    from tuner.runs.best_trial import write_best

    if over_budget:
        store.cut_off_all()
    store.write_table()
    best = _chosen(run, store)
    if best is not None:
        write_best(run, best, judged_members(run, store.standings.scored()))
    if not interrupted and (over_budget or not store.live) and store.trouble is None:
        never_begun = store.not_begun if over_budget else 0
        run.update_record(finished=time.strftime("%Y-%m-%dT%H:%M:%S%z"), never_begun=never_begun)
    cut = len(store.live) if over_budget else 0
    return SearchResult(run, best, interrupted, store.trouble, cut)


def judged_members(run: Run, rows: Mapping[str, Mapping[str, Any]]) -> tuple[Member, ...]:
    """The members of the ensemble that all images found better than the chosen trial; none where there is none."""
    from tuner.runs.best_trial import best_of, member_of

    table = run.judged()
    if table is None:
        return ()
    voted = table[(table["votes"] > 0) & table["trial_id"].isin(list(rows))]
    return tuple(
        member_of(best_of(run, rows[name]), int(votes))
        for name, votes in zip(voted["trial_id"], voted["votes"], strict=True)
    )


def _chosen(run: Run, store: TrialStore) -> dict[str, Any] | None:
    """The row of the trial that is chosen: by what all images say where they judged, else by validation."""
    rows = store.standings.judged()
    name = chosen_on_folds(run, rows)
    return store.standings.best() if name is None else rows[name]
