"""The commands: parse, call, print. Nothing heavy is imported before a command needs it."""

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click
from rich.console import Console

from trainables.errors import InvalidValue, UserMistake
from tuner.cli import compare as cli_compare
from tuner.cli import models as cli_models
from tuner.cli import operate as cli_operate
from tuner.cli import plan as cli_plan

if TYPE_CHECKING:
    from tuner.tuning.loop import SearchResult

METRIC_CHOICES = click.Choice(["val_loss", "val_macro_f1", "val_balanced_accuracy", "val_accuracy"])
FOLDER = click.Path(path_type=Path)

UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
SIZES = ("B", "KB", "MB", "GB", "TB")


class Seconds(click.ParamType):  # type: ignore[type-arg]
    """A duration such as 90s, 20m, 1h30m or 2h, in seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds of `value`."""
        if isinstance(value, float):
            return value
        parts = re.findall(r"(\d+(?:\.\d+)?)\s*([smhd])", str(value))
        rest = re.sub(r"(\d+(?:\.\d+)?)\s*([smhd])", "", str(value)).strip()
        if not parts or rest:
            self.fail(f"{value!r} is no duration; write it as 90s, 20m or 1h30m", param, ctx)
        return sum(float(number) * UNITS[unit] for number, unit in parts)


class Bytes(click.ParamType):  # type: ignore[type-arg]
    """A size such as 500MB, 8GB or 0, in bytes."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Bytes of `value`."""
        if isinstance(value, int):
            return value
        found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(B|KB|MB|GB|TB)?", str(value).strip(), re.IGNORECASE)
        if found is None:
            self.fail(f"{value!r} is no size; write it as 500MB, 8GB or 0", param, ctx)
        return int(float(found[1]) * 1024 ** SIZES.index((found[2] or "B").upper()))


class Share(click.ParamType):  # type: ignore[type-arg]
    """A number of GPUs such as 1 or 0.25, or auto."""

    name = "number or auto"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float | Literal["auto"]:
        """`value` as a number, or "auto"."""
        if str(value) == "auto":
            return "auto"
        try:
            return float(value)
        except ValueError:
            self.fail(f"{value!r} is neither a number nor auto", param, ctx)


def _names(text: str | None) -> tuple[str, ...]:
    names = tuple(name.strip() for name in (text or "").split(",") if name.strip())
    if text is not None and not names:
        raise InvalidValue(f"{text!r} names nothing; write names with commas between")
    return names


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="tuner")
def commands() -> None:
    """Find which model, fine-tuned how, classifies your images best; say how sure that is; get the model."""


def data_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that name the images and how they are split."""
    for option in (
        click.option(
            "--split", default="0.8,0.1,0.1", show_default=True, help="Shares of train, val and test."
        ),
        click.option(
            "--group-regex", help="Regular expression whose first group, found in a path, is its group."
        ),
        click.option(
            "--groups", type=FOLDER, help="CSV with columns path and group: what shows the same object."
        ),
    ):
        command = option(command)
    return command


@commands.command()
@click.option(
    "--space", required=True, help="A space's name (see `tuner spaces`) or the path of your own .py file."
)
@click.option(
    "--data", type=FOLDER, help="Image folder, one sub-folder a class. Without it: drawn sample pictures."
)
@data_options
@click.option("--samples", type=int, help="How many trials. [default: the space's]")
@click.option("--max-epochs", type=int, help="Epochs of a trial that nobody stops. [default: the space's]")
@click.option(
    "--grace-period", type=int, help="Epochs before ASHA may stop. [default: a fifth of --max-epochs]"
)
@click.option(
    "--reduction-factor",
    type=float,
    default=3.0,
    show_default=True,
    help="ASHA keeps the best 1 of this many.",
)
@click.option("--concurrent", type=int, help="Trials at once. [default: as many as fit]")
@click.option("--cpus-per-trial", type=float, help="Cores of a trial. [default: 1, or a GPU's share]")
@click.option(
    "--gpus-per-trial",
    type=Share(),
    help="GPUs of a trial, may be a fraction; auto measures how many trials fit (not run on a GPU)."
    " [default: 1 if there are any]",
)
@click.option("--image-size", type=int, help="Side in pixels. [default: 224; sample pictures 96]")
@click.option("--batch-size", type=int, help="Images a step. [default: the space's]")
@click.option(
    "--weights", default="auto", show_default=True, help="auto, imagenet, none or a FILE with a state dict."
)
@click.option(
    "--precision", default="auto", show_default=True, help="auto, fp32, bf16 or fp16 (not run on a GPU)."
)
@click.option(
    "--metric", type=METRIC_CHOICES, default="val_loss", show_default=True, help="What is optimised."
)
@click.option("--sampler", default="tpe", show_default=True, help="tpe, random, gp, cmaes or auto.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of split, augmentation and proposals.")
@click.option(
    "--time-budget", type=Seconds(), help="End after this time, as 20m or 2h. [sample pictures: 6m]"
)
@click.option("--keep", type=int, default=5, show_default=True, help="Top trials whose weights are kept.")
@click.option(
    "--max-failures", type=int, default=2, show_default=True, help="Retries of a trial whose worker dies."
)
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
    "--log", help="Log there too, comma-separated: mongodb, mlflow, tensorboard, wandb. See `tuner sync`."
)
@click.option("--log-weights", is_flag=True, help="Give kept weights to mlflow or wandb as artifacts.")
@click.option("--dashboard/--no-dashboard", default=True, show_default=True, help="Ray's, on 127.0.0.1.")
@click.option("--models", help="Only these of the space's models, comma-separated.")
@click.option("--strategies", help="Only these of the space's strategies, comma-separated.")
def run(
    time_budget: float | None, models: str | None, strategies: str | None, log: str | None, **options: Any
) -> None:
    """Search a space on your images and keep everything in a run directory."""
    from tuner.tracking.reporter import Reporter
    from tuner.tuning.config import SearchConfig
    from tuner.tuning.loop import search

    config = SearchConfig(
        time_budget_s=time_budget,
        models=_names(models),
        strategies=_names(strategies),
        log=_names(log),
        **options,
    )
    console = _console()
    _finish(search(config, Reporter(console)), console)


@commands.command()
@click.argument("run_dir", metavar="RUN", type=FOLDER)
@click.option("--samples", type=int, help="Trials to add to a finished search.")
@click.option("--time-budget", type=Seconds(), help="End after this time from now, as 20m or 2h.")
def resume(run_dir: Path, samples: int | None, time_budget: float | None) -> None:
    """Go on with a search that ended early, or add trials to a finished one."""
    from tuner.tracking.reporter import Reporter
    from tuner.tuning.resume import resume as go_on

    console = _console()
    _finish(go_on(run_dir, samples, time_budget, Reporter(console)), console)


@commands.command()
@click.argument("run_dir", metavar="RUN", type=FOLDER)
@click.option("--most", type=int, default=20, show_default=True, help="Rows to show.")
def leaderboard(run_dir: Path, most: int) -> None:
    """Show the best trials of a finished or running search."""
    from tuner.tracking.leaderboard import leaderboard as table

    _console().print(table(run_dir, most))


@commands.command()
@click.argument("name", required=False)
def spaces(name: str | None) -> None:
    """List the spaces, or show one: its parameters, ranges, conditions and first trials."""
    from tuner.cli import describe

    _console().print(describe.spaces() if name is None else describe.space(name))


@commands.command("models")
@click.argument("name", required=False)
def list_models(name: str | None) -> None:
    """List the models, or show one: its stages and what trains under each strategy."""
    from tuner.cli import describe

    _console().print(describe.models() if name is None else describe.model(name))


@commands.command()
@click.argument("folder", type=FOLDER)
@data_options
@click.option("--seed", type=int, default=0, show_default=True)
def inspect(folder: Path, groups: Path | None, group_regex: str | None, split: str, seed: int) -> None:
    """Say what is in an image folder: classes, sizes, duplicates, leaks of a random split. Writes nothing."""
    from trainables.data.split import parse_fractions
    from tuner.tuning import inspection

    found = inspection.inspect(folder, groups, group_regex, parse_fractions(split), seed)
    _console().print(inspection.render(found))


for command in (cli_compare.compare, cli_models.export, cli_models.retrain, cli_models.predict):
    commands.add_command(command)
for command in cli_operate.COMMANDS:
    commands.add_command(command)
commands.add_command(cli_plan.plan_command(run, _names))


def main() -> None:
    """Run the command line; a person's mistake is one line and exit status 2."""
    try:
        commands.main(standalone_mode=False, prog_name="tuner")
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except UserMistake as error:
        click.echo(f"tuner: {error}", err=True)
        sys.exit(2)
    except KeyboardInterrupt:
        click.echo("tuner: interrupted", err=True)
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _console() -> Console:
    # The stream by itself, not by its name: while a search runs, sys.stdout is kept from what libraries print.
    console = Console(highlight=False, file=sys.stdout)
    if not console.is_terminal:
        # Redirected output is read by programs and editors: a row is one line, however long.
        console = Console(highlight=False, file=sys.stdout, width=max(console.width, 160))
    return console


def _finish(result: "SearchResult", console: Console) -> None:
    """Tell how a search ended and what to type next; exits with its status."""
    from tuner.cli.ending import ending

    for line in ending(result):
        console.print(line, soft_wrap=True)
    sys.exit(result.exit_status)
