"""The command `plan`: what a search would take, before it is started."""

import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from tuner.cli import as_json as documents
from tuner.cli.as_json import json_option, print_json
from tuner.cli.help import SearchCommand
from tuner.cli.parameters import split_names
from tuner.cli.shipping import networks_of
from tuner.console.reporter import clock
from tuner.console.sentences import show_part
from tuner.console.terminal import open_console

if TYPE_CHECKING:
    from tuner.planning.plan import Plan

ONLY_FOR_A_RUN = {
    "name",
    "runs_dir",
    "storage",
    "log",
    "log_weights",
    "dashboard",
    "start_from",
    "until_settled",
}
"""Options of `run` that change nothing, or next to nothing, about what a search takes: taken, so that `run` may be
written in place of `plan` and nothing else, and not shown."""


def plan_command(run: click.Command) -> click.Command:
    """The command, which takes the options of `run` that matter before a search."""

    def callback(
        time_budget: float | None,
        models: str | None,
        strategies: str | None,
        out: Path | None,
        final: bool,
        networks: int | None,
        as_json: bool,
        **options: Any,
    ) -> None:
        options = {name: value for name, value in options.items() if name not in ONLY_FOR_A_RUN}
        from tuner.console.reporter import Reporter

        reporter = Reporter(Console(stderr=True, highlight=False) if as_json else open_console())
        with reporter.starting():
            from tuner.dataset.loading import require_given
            from tuner.planning.plan import plan
            from tuner.tuning.config import search_config

        config = search_config(
            time_budget_s=time_budget,
            models=split_names(models),
            strategies=split_names(strategies),
            **options,
        )
        require_given(config.data)
        found = plan(config, reporter, networks=networks_of(out, final, networks))
        if as_json:
            print_json(documents.plan(found))
            return
        for part in render(found):
            show_part(open_console(), part)

    params = [_unseen(param) if param.name in ONLY_FOR_A_RUN else param for param in run.params]
    text = "Estimate what a search takes: epochs, hours, disk, memory. Times a few training steps; runs no trial."
    command = SearchCommand("plan", params=params, callback=callback, help=text)
    json_option(command)
    return command


def _unseen(param: click.Parameter) -> click.Parameter:
    """A copy of the option that `--help` does not show."""
    found = copy.copy(param)
    if isinstance(found, click.Option):
        found.hidden = True
    return found


def render(found: "Plan") -> list[RenderableType]:
    """The plan in words and one table."""
    from tuner.planning.plan import FASTER, SLOWER
    from tuner.planning.searches import SIMULATIONS

    low, middle, high = found.epochs
    shares = ", ".join(f"{name} {size(value)}" for name, value in found.disk.items())
    soonest, expected, latest = map(clock, found.seconds)
    lines = [
        f"trials   {found.trials:.0f}, {found.concurrent} at once, on {found.images[0]} training and"
        f" {found.images[1]} validation images",
        f"epochs   {middle:.0f} ({low:.0f} to {high:.0f}); {found.whole_epochs} if no trial were stopped early",
        f"time     {expected} ({soonest} to {latest})",
        f"disk     {size(sum(found.disk.values()))} at most: {shares}",
        f"memory   {size(found.memory_bytes)} at most",
    ]
    if found.similar_s is not None:
        lines.insert(
            3, f"similar  {clock(found.similar_s)} of it for finding similar pictures, unless they are cached"
        )
    if found.folds_s:
        judged = f"{clock(found.folds_s)} of it for training the best trials again on other folds"
        lines.insert(3, f"folds    {judged}: {found.folds}, of which the validation images are the first")
    remark = (
        f"medians and 10 to 90 % ranges of {SIMULATIONS} simulated searches, on made-up learning curves that fall as"
        f" a power of the epochs; training steps, of a batch of images each, were timed with one trial alone, so times"
        f" are widened by {FASTER:g} to {SLOWER:g}. The start and the end of Ray and of its workers come on top"
    )
    warnings = [Text(f"note: {warning}", style="yellow") for warning in found.warnings]
    return [_table(found), *map(Text, lines), Text(remark, style="dim"), *warnings]


def _table(found: "Plan") -> Table:
    table = Table(title="expected by combination", title_justify="left", box=None, pad_edge=False)
    heads = (
        "combination",
        "trials",
        "epochs",
        "training",
        "s/epoch frozen",
        "s/epoch full",
        "weights",
        "memory",
    )
    for head in heads:
        table.add_column(head, justify="left" if head == "combination" else "right", overflow="fold")
    for row in found.combinations:
        frozen, full = (
            "-" if seconds is None else f"{seconds:.1f}" for seconds in (row.frozen_epoch_s, row.full_epoch_s)
        )
        table.add_row(
            f"{row.cost.model}-{row.cost.strategy}",
            f"{row.trials:.1f}",
            f"{row.epochs:.0f}",
            clock(row.busy_s),
            frozen,
            full,
            size(row.cost.weights_bytes),
            size(row.cost.memory_bytes),
        )
    return table


def size(count: float) -> str:
    """Bytes in the largest unit that leaves a number above 1."""
    for unit in ("B", "KB", "MB"):
        if count < 1024:
            return f"{count:.0f} {unit}"
        count /= 1024
    return f"{count:.1f} GB"
