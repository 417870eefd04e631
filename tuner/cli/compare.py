"""The command that compares; attached to the others in `cli`."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from tuner.cli import as_json as documents
from tuner.cli.as_json import json_option, print_json
from tuner.cli.parameters import FOLDER, Number, seed_options
from tuner.console.sentences import show_part
from tuner.console.terminal import open_console, say
from tuner.html.escaping import visible

if TYPE_CHECKING:
    from tuner.evaluation.comparison.evidence import Comparison


@click.command()
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=FOLDER)
@click.option(
    "--out", type=FOLDER, help="Folder for the report, its tables and its pictures. [default: RUN/report]"
)
@click.option(
    "--top",
    type=Number("top"),
    default=5,
    show_default=True,
    help="This many best trials are finalists in any case.",
)
@click.option(
    "--ensemble",
    type=Number("members"),
    default=5,
    show_default=True,
    help="Add an ensemble as a finalist: at most N trials, chosen as the search chooses; 0: no ensemble.",
)
@click.option(
    "--costs",
    type=FOLDER,
    metavar="FILE",
    help="CSV with columns true, predicted and cost. The report then also compares the finalists by their"
    " mean cost for an image.",
)
@click.option(
    "--seeds",
    type=Number("more_seeds"),
    default=0,
    help="Train every finalist again with this many other seeds.",
)
@click.option(
    "--seed",
    type=Number("seed"),
    default=0,
    show_default=True,
    help="Random seed of the bootstrap intervals.",
)
@seed_options
@click.option(
    "--also-by-image",
    is_flag=True,
    help="Train every finalist once more on a random split that ignores groups, and say how much better the"
    " leak makes the scores look.",
)
@click.option(
    "--folds",
    type=Number("folds"),
    default=0,
    help="Train every finalist on this many folds over all images, so that every image is a test image once.",
)
@click.option(
    "--nested",
    is_flag=True,
    help="Also repeat the search inside every fold, so that the estimate contains no luck of the choice."
    " Without --folds: 5 folds.",
)
@json_option
def compare(
    runs: tuple[Path, ...],
    out: Path | None,
    top: int,
    ensemble: int,
    costs: Path | None,
    seeds: int,
    also_by_image: bool,
    folds: int,
    nested: bool,
    seed: int,
    concurrent: int | None,
    cpus_per_trial: float | None,
    gpus_per_trial: float | None,
    address: str | None,
    as_json: bool,
) -> None:
    """Say which finalist is really better, on the test images, and how sure that is."""
    from tuner.console.reporter import Reporter
    from tuner.evaluation.compare import compare as compare_runs
    from tuner.evaluation.retrained.session import Retraining, SeedDemands
    from tuner.runs.directory import Run
    from tuner.tracking.sync import log_final_tests

    demands = SeedDemands(address, concurrent, cpus_per_trial, gpus_per_trial)
    reporter = Reporter(Console(stderr=True, highlight=False))
    asked = Retraining(seeds, also_by_image, folds, nested)
    comparison = compare_runs(
        runs,
        out=out,
        top=top,
        ensemble=ensemble,
        costs=costs,
        seed=seed,
        retraining=asked,
        demands=demands,
        reporter=reporter,
    )
    if as_json:
        print_json(documents.comparison(comparison))
    else:
        console = open_console()
        for part in render(comparison):
            show_part(console, part)
    for run in runs:
        for log in log_final_tests(Run.open(run), comparison.table):
            if log.trouble is not None:
                say(f"{log.name} did not take the test scores ({log.trouble}): tuner sync {run}", err=True)
    together = (
        " --ensemble (the average: perhaps better, and slower) or without it (the first)"
        if _has_ensemble(runs[0])
        else ""
    )
    say(f"next: tuner export {runs[0]}, then tuner retrain best.yaml{together}", err=as_json)


def _has_ensemble(run: Path) -> bool:
    """Whether the run's best.yaml names an ensemble that is better than its best trial alone."""
    from tuner.runs.best_file import read_best

    best = run / "best.yaml"
    return best.is_file() and bool(read_best(best).ensemble)


def render(found: "Comparison") -> Iterator[RenderableType]:
    """What a person reads: five columns, conclusion, findings, warnings; all columns are in the files."""
    from tuner.evaluation.comparison.table import brief_rows

    header, rows = brief_rows(found.table)
    table = Table(box=None, pad_edge=False)
    for position, head in enumerate(header):
        table.add_column(
            head, overflow="fold", justify="left" if position in (0, len(header) - 1) else "right"
        )
    for row in rows:
        table.add_row(*map(Text, row))
    yield table
    folds = found.folds
    paragraphs: list[Sequence[str]] = [found.plain, found.sentences]
    paragraphs += [] if folds is None else [(f"In {folds.count} folds: {folds.conclusion}", *folds.remarks)]
    paragraphs += [found.findings, [f"Warning: {note}" for note in found.warnings]]
    for sentences in filter(None, paragraphs):
        yield Text()
        yield from map(Text, map(visible, sentences))
    yield Text()
    yield Text(f"report: {found.report}\nall columns: {found.out / 'comparison.md'}, comparison.csv")
