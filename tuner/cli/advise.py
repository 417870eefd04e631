"""The command that says what would help; attached to the others in `cli`."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from tuner.cli.as_json import json_option, print_json
from tuner.cli.parameters import FOLDER
from tuner.console.sentences import show_part
from tuner.console.terminal import open_console
from tuner.html.escaping import visible

if TYPE_CHECKING:
    from tuner.advice.advise import Advice


@click.command()
@click.argument("run_dir", metavar="RUN", type=FOLDER)
@json_option
def advise(run_dir: Path, as_json: bool) -> None:
    """Say what would help most after a search: more images, better labels, more pixels, more hours, or nothing.

    Each line has its expected gain in log loss and in accuracy, with a 90 % interval, and what it costs. The test
    images are not read.
    """
    from tuner.console.reporter import Reporter

    reporter = Reporter(Console(stderr=True, highlight=False))
    with reporter.starting():
        from tuner.advice.advise import advise as ask

    found = ask(run_dir, reporter)
    if as_json:
        print_json(found.document())
        return
    console = open_console()
    for part in render(found):
        show_part(console, part)


def render(found: "Advice") -> Iterator[RenderableType]:
    """What a person reads: the level, a table of gains, why each is expected, and what can't be told."""
    from tuner.advice.words import HEADER, level_sentence, reasons, rows

    yield Text(visible(level_sentence(found)))
    table = Table(title="what would help", title_justify="left", box=None, pad_edge=False)
    for position, head in enumerate(HEADER):
        table.add_column(head, overflow="fold", justify="left" if position == 0 else "right")
    for row in rows(found):
        table.add_row(*(Text(visible(cell)) for cell in row))
    yield table
    for sentence in reasons(found):
        yield Text(visible(sentence))
