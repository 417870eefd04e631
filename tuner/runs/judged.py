"""What all images said of the trials of a run, as long as it holds."""

from collections.abc import Iterable, Mapping
from typing import Any

from tuner.runs.directory import Run, rows_of

__all__ = ["judged_now"]


def judged_now(run: Run, rows: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The rows of `judged.parquet`, by trial; nothing where none judged, or where the chosen trial has moved on since.

    `rows` are those of the trials as they are now: a trial that was resumed may have another best epoch than the one
    that was judged.
    """
    table = run.judged()
    known = {} if table is None else {str(one["trial_id"]): one for one in rows_of(table)}
    epochs = {str(row["trial_id"]): row["best_epoch"] for row in rows}
    chosen = next((name for name, one in known.items() if one["chosen"]), None)
    return known if chosen is not None and epochs.get(chosen) == known[chosen]["epoch"] else {}
