"""The command that compares; attached to the others in `cli`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console

from tuner.cli import as_json as documents
from tuner.cli.as_json import json_option, print_json
from tuner.cli.parameters import FOLDER, Number
from tuner.cli.terminal import say

if TYPE_CHECKING:
    import pandas as pd


@click.command()
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=FOLDER)
@click.option("--out", type=FOLDER, help="Where tables and pictures go. [default: RUN/report]")
@click.option(
    "--top",
    type=Number("top"),
    default=5,
    show_default=True,
    help="Best trials that are finalists in any case.",
)
@click.option(
    "--seeds",
    type=Number("more_seeds"),
    default=0,
    help="Retrain every finalist this often with other seeds.",
)
@click.option("--seed", type=Number("seed"), default=0, show_default=True, help="Of the bootstraps.")
@click.option("--concurrent", type=Number("concurrent"), help="Seeds at once. [default: as many as fit]")
@click.option(
    "--cpus-per-trial", type=Number("cpus_per_trial"), help="Cores of a seed. [default: 1, or a GPU's share]"
)
@click.option(
    "--gpus-per-trial",
    type=Number("gpus_per_trial"),
    help="GPUs of a seed, may be a fraction. [default: 1 if any]",
)
@click.option("--address", help="Ray cluster to join: auto or HOST:PORT. [default: one of its own]")
@json_option
def compare(
    runs: tuple[Path, ...],
    out: Path | None,
    top: int,
    seeds: int,
    seed: int,
    concurrent: int | None,
    cpus_per_trial: float | None,
    gpus_per_trial: float | None,
    address: str | None,
    as_json: bool,
) -> None:
    """Say which finalist is really better, on the test images, and how sure that is."""
    from tuner.evaluation.comparison import compare as compare_runs
    from tuner.evaluation.table import markdown
    from tuner.runs.directory import Run
    from tuner.runs.places import try_folder
    from tuner.tracking.sync import log_final_tests

    # Seeds are trained before `compare_runs` looks at its places.
    for run in runs:
        try_folder(Run.open(run).path)
    try_folder(out or runs[0] / "report", "--out")
    scores = _seed_scores(runs, top, seeds, _Demands(address, concurrent, cpus_per_trial, gpus_per_trial))
    comparison = compare_runs(runs, out=out, top=top, seed=seed, seed_scores=scores)
    if as_json:
        print_json(documents.comparison(comparison))
    else:
        say(f"{markdown(comparison)}\n\nreport: {comparison.report}")
    for run in runs:
        for log in log_final_tests(Run.open(run), comparison.table):
            if log.trouble is not None:
                say(f"{log.name} did not take the test scores ({log.trouble}): tuner sync {run}", err=True)
    say(f"next: tuner export {runs[0]}, then tuner retrain best.yaml", err=as_json)


@dataclass(frozen=True)
class _Demands:
    """What the seeds ask of Ray; see `ray_session.Demands`."""

    address: str | None
    concurrent: int | None
    cpus_per_trial: float | None
    gpus_per_trial: float | None


def _seed_scores(runs: Sequence[Path], top: int, seeds: int, demands: _Demands) -> "pd.DataFrame | None":
    """The test accuracy of every finalist under `seeds` other seeds; None without any."""
    if seeds < 1:
        return None
    from tuner.cluster.session import ray_session
    from tuner.evaluation.finalists import check_same_split, choose_finalists
    from tuner.release.seed_scores import seed_scores
    from tuner.runs.directory import Run
    from tuner.tracking.reporter import Reporter

    opened = [Run.open(run) for run in runs]
    check_same_split(opened)
    finalists, _ = choose_finalists(opened, top)
    with ray_session(demands) as session:
        trials = [(finalist.run, finalist.row) for finalist in finalists]
        return seed_scores(trials, seeds, session, Reporter(Console(stderr=True, highlight=False)))
