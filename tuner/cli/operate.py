"""The commands that look at a search, stop it and bring its logs up to date."""

import sys
from pathlib import Path

import click

from tuner.cli import as_json as documents
from tuner.cli.as_json import json_option, print_json
from tuner.cli.names import SINKS
from tuner.cli.parameters import FOLDER, Number, split_names
from tuner.console.terminal import open_console, say

RUN = click.argument("run_dir", metavar="RUN", type=FOLDER)


@click.command()
@RUN
@json_option
def status(run_dir: Path, as_json: bool) -> None:
    """Say how far a search is. Works from another terminal, and from another machine that sees the run directory."""
    if as_json:
        print_json(documents.status(run_dir))
        return
    from tuner.tracking.status import render

    open_console().print(render(run_dir), soft_wrap=True)


@click.command()
@RUN
@click.option("--most", type=Number("most"), default=20, show_default=True, help="Most rows to show.")
@json_option
def leaderboard(run_dir: Path, most: int, as_json: bool) -> None:
    """Show the best trials of a finished or running search."""
    if as_json:
        print_json(documents.leaderboard(run_dir, most))
        return
    from tuner.tracking.leaderboard import leaderboard as table

    open_console().print(table(run_dir, most))


@click.command()
@RUN
@click.option(
    "--trial",
    metavar="ID",
    help="Stop only this trial; it is not continued later. The search goes on with other trials.",
)
def stop(run_dir: Path, trial: str | None) -> None:
    """Stop a running search, as Ctrl-C does. `tuner resume` continues it. With --trial: stop one trial for good."""
    from tuner.tracking.status import stop_run, stop_trial

    say(stop_run(run_dir) if trial is None else stop_trial(run_dir, trial))


@click.command()
@RUN
@click.option(
    "--port", type=Number("port"), default=8080, show_default=True, help="Port of the page; 0: any free port."
)
@click.option(
    "--writable",
    is_flag=True,
    help="Allow the pages to change the study: to write notes and tags and to end trials. The pages can't"
    " start trials.",
)
def board(run_dir: Path, port: int, writable: bool) -> None:
    """Show a run in optuna-dashboard, on 127.0.0.1, during or after the search. Ctrl-C ends the page only."""
    from tuner.tracking.board import serve

    serve(run_dir, port, writable=writable, tell=say)


@click.command()
@click.option(
    "--out",
    type=FOLDER,
    default=Path("grafana"),
    show_default=True,
    help="Folder for the dashboard and the scrape file.",
)
@click.option(
    "--datasource",
    default="Prometheus",
    show_default=True,
    help="Name of the Prometheus data source in your Grafana.",
)
def grafana(out: Path, datasource: str) -> None:
    """Write a Grafana dashboard of tuner's metrics, and a scrape file for Prometheus."""
    from tuner.tracking.grafana import write

    for file in write(out, datasource):
        say(file)


@click.command()
@RUN
@click.option(
    "--log", type=SINKS, help="Send only to these logs, with commas between. [default: all logs of the run]"
)
def sync(run_dir: Path, log: str | None) -> None:
    """Send results to the logs of a run that the logs did not accept while the search ran."""
    from tuner.runs.directory import Run
    from tuner.tracking.outbox import doubtful_file
    from tuner.tracking.sync import sync as synchronise

    run = Run.open(run_dir)
    found = synchronise(run, None if log is None else list(split_names(log)))
    for one in found:
        say(f"{one.name}: " + (f"sent {one.events}" if one.trouble is None else f"failed: {one.trouble}"))
        if one.doubtful:
            verb = "is" if one.doubtful == 1 else "are"
            file = doubtful_file(run, one.name)
            say(f"{one.name}: {one.doubtful} may have arrived and {verb} not sent again: {file}")
    if not found:
        say("this run logs to nothing but its own directory")
    sys.exit(int(any(one.trouble is not None for one in found)))


COMMANDS = (status, leaderboard, stop, board, grafana, sync)
