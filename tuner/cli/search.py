"""The commands that search: run, resume, leaderboard."""

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from tuner.cli import as_json as documents
from tuner.cli.as_json import json_option, print_json
from tuner.cli.help import SearchCommand
from tuner.cli.names import (
    BACKBONES,
    MODELS,
    PRECISION,
    SAMPLER,
    SINKS,
    SPACE,
    STRATEGIES,
    WEIGHTS,
)
from tuner.cli.parameters import (
    FOLDER,
    METRIC_CHOICES,
    Number,
    Seconds,
    Share,
    data_options,
    fit_option,
    side_option,
    split_names,
)
from tuner.console.terminal import open_console

if TYPE_CHECKING:
    from tuner.release.ship import ShipConfig
    from tuner.tuning.budget import Budget
    from tuner.tuning.result import SearchResult

__all__ = ["leaderboard", "resume", "run"]


@click.command(cls=SearchCommand)
@click.option(
    "--space",
    type=SPACE,
    default="auto",
    show_default=True,
    help="A space's name (see `tuner spaces`) or the path of your own .py file.",
)
@click.option(
    "--data",
    type=FOLDER,
    help="Image folder, one sub-folder a class unless --labels says. Without it: drawn sample pictures.",
)
@data_options
@click.option(
    "--groups-from-similar",
    is_flag=True,
    help="Group pictures that look like one object, by a backbone's features, as `tuner inspect --similar` proposes.",
)
@click.option("--samples", type=Number("samples"), help="How many trials. [default: the space's]")
@click.option(
    "--max-epochs",
    type=Number("max_epochs"),
    help="Epochs of a trial that nobody stops. [default: the space's]",
)
@click.option(
    "--grace-period",
    type=Number("grace_period"),
    help="What a trial may spend before ASHA may stop it, in full epochs: an epoch that trains the whole network"
    " counts 1, a frozen one next to nothing. [default: three tenths of --max-epochs, at most 10]",
)
@click.option(
    "--reduction-factor",
    type=Number("reduction_factor"),
    default=2.0,
    show_default=True,
    help="ASHA keeps the best 1 of this many.",
)
@click.option("--concurrent", type=Number("concurrent"), help="Trials at once. [default: as many as fit]")
@click.option(
    "--cpus-per-trial", type=Number("cpus_per_trial"), help="Cores of a trial. [default: 1, or a GPU's share]"
)
@click.option(
    "--gpus-per-trial",
    type=Share(),
    help="GPUs of a trial, may be a fraction; auto measures how many trials fit (not run on a GPU)."
    " [default: 1 if there are any]",
)
@side_option
@fit_option
@click.option("--batch-size", type=Number("batch_size"), help="Images a step. [default: the space's]")
@click.option(
    "--weights",
    type=WEIGHTS,
    default="auto",
    show_default=True,
    help="auto, imagenet, none or a FILE with a state dict.",
)
@click.option(
    "--weights-dir",
    type=FOLDER,
    help="Folder of state dicts named as the models; models without one there as with --weights.",
)
@click.option(
    "--precision",
    type=PRECISION,
    default="auto",
    show_default=True,
    help="auto, fp32, bf16 or fp16 (not run on a GPU).",
)
@click.option(
    "--metric", type=METRIC_CHOICES, default="val_loss", show_default=True, help="What is optimised."
)
@click.option("--positive", metavar="CLASS", help="The class that val_sensitivity@95 is of.")
@click.option(
    "--sampler", type=SAMPLER, default="tpe", show_default=True, help="tpe, random, gp, cmaes or auto."
)
@click.option(
    "--prior/--no-prior",
    default=True,
    show_default=True,
    help="Half of the first proposals from what the space expects to do well.",
)
@click.option(
    "--seed", type=Number("seed"), default=0, show_default=True, help="Of split, augmentation and proposals."
)
@click.option(
    "--time-budget", type=Seconds(), help="End after this time, as 20m or 2h. [sample pictures: 6m]"
)
@click.option(
    "--keep", type=Number("keep"), default=5, show_default=True, help="Top trials whose weights are kept."
)
@click.option(
    "--max-failures",
    type=Number("max_failures"),
    default=2,
    show_default=True,
    help="Retries of a trial whose worker dies.",
)
@click.option(
    "--out",
    type=FOLDER,
    help="Model folder to write at the end, within the time budget: trained on all but the test images.",
)
@click.option("--final", is_flag=True, help="With --out: train that model on the test images, too.")
@click.option("--name", help="Name of the run directory. [default: space and time]")
@click.option(
    "--runs-dir", type=FOLDER, default=Path("runs"), show_default=True, help="Where run directories go."
)
@click.option(
    "--address",
    envvar="RAY_ADDRESS",
    help="Ray cluster to join: auto or HOST:PORT. [default: RAY_ADDRESS, else one of its own]",
)
@click.option(
    "--storage",
    metavar="FOLDER|URI",
    help="Folder that all machines see: the run goes there, not into --runs-dir. Or a bucket that all reach"
    " (s3://bucket/path): what trials write goes there.",
)
@click.option(
    "--log",
    type=SINKS,
    help="Log there too, comma-separated: mongodb, mlflow, tensorboard, wandb. See `tuner sync`.",
)
@click.option("--log-weights", is_flag=True, help="Give kept weights to mlflow or wandb as artifacts.")
@click.option("--dashboard/--no-dashboard", default=True, show_default=True, help="Ray's, on 127.0.0.1.")
@click.option(
    "--folds",
    type=Number("folds"),
    help="Folds on which the best trials are judged in the end, validation being one; 0: none."
    " [default: 5 where validation has under 300 groups]",
)
@click.option(
    "--until-settled",
    is_flag=True,
    help="End before --samples once what more trials may gain can't be told from noise.",
)
@click.option(
    "--start-from",
    metavar="RUN[,RUN]",
    help="Begin with the best two configurations of each of these runs, on whatever images they were.",
)
@click.option(
    "--backbones",
    type=BACKBONES,
    default="auto",
    show_default=True,
    help="What the space auto probes: auto, small, all, or names with commas between; see `tuner probe`.",
)
@click.option("--models", type=MODELS, help="Only these of the space's models, comma-separated.")
@click.option("--strategies", type=STRATEGIES, help="Only these of the space's strategies, comma-separated.")
def run(
    time_budget: float | None,
    models: str | None,
    strategies: str | None,
    log: str | None,
    start_from: str | None,
    out: Path | None,
    final: bool,
    **options: Any,
) -> None:
    """Search a space on your images and keep everything in a run directory."""
    started = time.monotonic()
    from tuner.console.reporter import Reporter
    from tuner.dataset.loading import require_given
    from tuner.tuning.budget import Budget
    from tuner.tuning.config import search_config
    from tuner.tuning.loop import search

    if out is not None:
        _check_out(out)
    elif final:
        raise click.UsageError("--final says what the model of --out is trained on; give --out MODEL")

    config = search_config(
        time_budget_s=time_budget,
        models=split_names(models),
        strategies=split_names(strategies),
        log=split_names(log),
        start_from=tuple(Path(name) for name in split_names(start_from)),
        **options,
    )
    require_given(config.data)
    console = open_console()
    result = search(config, Reporter(console), started=started, ships=out is not None)
    _finish(
        result,
        console,
        None if out is None else _shipping(result, out, final, Budget.of(time_budget, started, ships=True)),
    )


@click.command()
@click.argument("run_dir", metavar="RUN", type=FOLDER)
@click.option("--samples", type=Number("samples"), help="Trials to add to a finished search.")
@click.option("--time-budget", type=Seconds(), help="End after this time from now, as 20m or 2h.")
@click.option("--out", type=FOLDER, help="Model folder to write at the end, as `tuner run` does.")
@click.option("--final", is_flag=True, help="With --out: train that model on the test images, too.")
def resume(
    run_dir: Path, samples: int | None, time_budget: float | None, out: Path | None, final: bool
) -> None:
    """Go on with a search that ended early, or add trials to a finished one."""
    started = time.monotonic()
    from tuner.console.reporter import Reporter
    from tuner.tuning.budget import Budget
    from tuner.tuning.resume import resume as go_on

    if out is not None:
        _check_out(out)
    console = open_console()
    result = go_on(run_dir, samples, time_budget, Reporter(console), started=started, ships=out is not None)
    _finish(
        result,
        console,
        None if out is None else _shipping(result, out, final, Budget.of(time_budget, started, ships=True)),
    )


@click.command()
@click.argument("run_dir", metavar="RUN", type=FOLDER)
@click.option("--most", type=Number("most"), default=20, show_default=True, help="Rows to show.")
@json_option
def leaderboard(run_dir: Path, most: int, as_json: bool) -> None:
    """Show the best trials of a finished or running search."""
    if as_json:
        print_json(documents.leaderboard(run_dir, most))
        return
    from tuner.tracking.leaderboard import leaderboard as table

    open_console().print(table(run_dir, most))


def _check_out(out: Path) -> None:
    """Refuse a model folder that can't be written before hours are spent; raises RunProblem."""
    from trainables.errors import RunProblem
    from tuner.runs.paths import is_taken, try_target

    if is_taken(out):
        raise RunProblem(f"{out} exists already; choose another --out")
    try_target(out, "--out")


@dataclass(frozen=True)
class _Shipping:
    """What is to be shipped, and the budget of the command."""

    config: "ShipConfig"
    budget: "Budget"


def _shipping(result: "SearchResult", out: Path, final: bool, budget: "Budget") -> _Shipping | None:
    """What to ship of a search that has ended; None where there is nothing, or it was interrupted."""
    from tuner.release.ship import ShipConfig

    if result.best is None or result.interrupted:
        return None
    return _Shipping(ShipConfig(result.run.path, out, final), budget)


def _finish(result: "SearchResult", console: Console, shipping: _Shipping | None = None) -> None:
    """Tell how a search ended and what to type next, write the model if one is asked for; exits with its status."""
    from tuner.cli.ending import ending

    for line in ending(result, ships=shipping is not None):
        console.print(line, soft_wrap=True)
    if shipping is not None:
        from tuner.console.reporter import Reporter
        from tuner.release.ship import ship

        done = ship(shipping.config, shipping.budget, Reporter(console))
        console.print(f"the model is in {done.folder}", soft_wrap=True)
        console.print(f"next: tuner predict {done.folder} IMAGES...", soft_wrap=True)
    sys.exit(result.exit_status)
