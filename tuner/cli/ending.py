"""What a person is told when a search ends."""

from typing import TYPE_CHECKING, Any

from rich.console import RenderableType
from rich.text import Text

from tuner.console.reporter import leaderboard_table
from tuner.runs.directory import rows_of
from tuner.tracking.leaderboard import by_all, cut_words, judged_words, remarks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tuner.tuning.result import SearchResult

__all__ = ["ending"]


def ending(result: "SearchResult", *, ships: bool = False) -> list[RenderableType]:
    """What a person is told when a search ends; `ships`: a model folder is written next."""
    run = result.run
    record = run.record
    lines: list[RenderableType] = list(map(Text, remarks(record)))
    rows = rows_of(run.trials())
    if rows:
        lines.append(leaderboard_table(by_all(run, rows), record["metric"], 8))
    failed = sum(row["status"] == "failed" for row in rows)
    if failed:
        lines.append(
            Text(
                f"{failed} trials failed; why: {run.path / 'failures'} and the column error of trials.parquet"
            )
        )
    if result.best is not None and (judged := judged_words(run, rows)):
        lines += [*map(Text, judged[:-1]), Text(judged[-1], "bold")]
    elif result.best is not None:
        best = result.best
        lines.append(
            Text(
                f"best: {best['trial_id']}, {record['metric']} {best['value']:.4f} at epoch {best['best_epoch']}"
                f"{_expected(best)}",
                "bold",
            )
        )
    elif not result.interrupted:
        over = ": the time budget was over before" if _ran_out(result, rows) else ""
        lines.append(Text(f"no trial finished{over}"))
    if record.get("ended"):
        lines.append(Text(record["ended"]))
    lines.append(Text(f"everything is in {run.path}"))
    if result.trouble is not None:
        again = f"mend it, then go on with: tuner resume {run.path}"
        lines.append(Text(f"{result.trouble}; no more trials could be proposed: {again}"))
    elif result.interrupted:
        lines.append(Text(f"stopped before the end; go on with: tuner resume {run.path}"))
    else:
        again = f"tuner resume {run.path} --time-budget DURATION"
        if result.cut:
            lines.append(Text(f"{cut_words(result.cut)}; go on with: {again}"))
        elif _ran_out(result, rows):
            lines.append(Text(f"give it more time with: {again}"))
        if not ships and result.best is not None:
            lines.append(Text(f"next: tuner compare {run.path}"))
    return lines


def _ran_out(result: "SearchResult", rows: "Sequence[Mapping[str, Any]]") -> bool:
    """Whether a search ended without a trial that finished because its time was over."""
    return result.best is None and result.trouble is None and (result.cut > 0 or not rows)


def _expected(row: "Mapping[str, Any]") -> str:
    """What the trial of `row` may expect on new images, where it is known."""
    estimate = row.get("estimate")
    if estimate is None or estimate != estimate:
        return ""
    return f", expected on new images: {estimate:.4f} ± {row['estimate_error']:.4f}"
