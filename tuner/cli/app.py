"""The group of all commands, and what happens around each. Nothing heavy is imported before a command needs it."""

import gc
import os
import sys

import click

from trainables.collection import collect_less
from trainables.errors import Interrupted, UserMistake
from trainables.late_compiler import import_compiler_late
from tuner.cli import advise, compare, models, operate, plan, probe, search
from tuner.cli import listing as look
from tuner.cli.help import HELP, Commands
from tuner.console.terminal import (
    MENDABLE,
    escape_what_cannot_be_shown,
    give_a_home,
    require_posix,
    say,
    sigterm_as_ctrl_c,
)


@click.group(cls=Commands, context_settings={"help_option_names": HELP, "max_content_width": 110})
@click.version_option(package_name="tuner")
def commands() -> None:
    """Find the model and the fine-tuning that classify your images best, learn how sure that is, and get the model."""


for command in (
    search.run,
    search.resume,
    look.spaces,
    look.list_models,
    look.inspect,
    probe.probe,
    probe.weights,
    compare.compare,
    advise.advise,
    models.export,
    models.release,
    models.retrain,
    models.predict,
    *operate.COMMANDS,
    plan.plan_command(search.run),
):
    commands.add_command(command)


def main() -> None:
    """Run the command line; a person's mistake is one line and exit status 2."""
    collect_less()
    import_compiler_late()
    try:
        _run()
    finally:
        # The process ends: what it holds goes with it, and need not be looked through once more, for a second.
        gc.freeze()


def _run() -> None:
    try:
        require_posix()
        escape_what_cannot_be_shown()
        give_a_home()
        with sigterm_as_ctrl_c():
            commands.main(standalone_mode=False, prog_name="tuner")
    except click.exceptions.Abort:
        say("tuner: interrupted", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show(sys.stderr)
        sys.exit(error.exit_code)
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except UserMistake as error:
        say(f"tuner: {error}", err=True)
        sys.exit(2)
    except Interrupted as error:
        say(f"tuner: {error}", err=True)
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        if error.errno not in MENDABLE:
            raise
        say(f"tuner: {error.filename or 'the system'}: {error.strerror or error}", err=True)
        sys.exit(2)
    except KeyboardInterrupt:
        say("tuner: interrupted", err=True)
        sys.exit(130)
