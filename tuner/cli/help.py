"""What `--help` shows: commands in the order of the work, options of a search by what they are about, nothing cut."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

__all__ = ["COMMANDS", "HELP", "OPTIONS", "Commands", "SearchCommand"]

HELP = ["-h", "--help"]
"""The options that ask for help."""

COMMANDS: Mapping[str, Sequence[str]] = {
    "Before a search": ("inspect", "probe", "plan"),
    "The search": ("run", "status", "leaderboard", "stop", "resume"),
    "After a search": ("compare", "advise", "export", "retrain", "release", "predict"),
    "What there is": ("spaces", "models", "weights"),
    "Dashboards and logs": ("board", "grafana", "sync"),
}
"""The commands in the order in which they are used; one that is missing here stands at the end."""

OPTIONS: Mapping[str, Sequence[str]] = {
    "Images": (
        *("data", "labels", "without", "groups", "group_regex", "groups_from_similar", "split"),
        *("positive", "image_size", "fit"),
    ),
    "Search": (
        *("space", "models", "strategies", "backbones", "weights", "weights_dir", "metric", "samples"),
        *("max_epochs", "time_budget", "until_settled", "start_from", "grace_period", "reduction_factor"),
        *("sampler", "prior", "batch_size", "folds", "seed"),
    ),
    "Machines": (
        *("concurrent", "cpus_per_trial", "gpus_per_trial", "precision", "max_failures", "address"),
        "storage",
    ),
    "Output": (
        "name",
        "runs_dir",
        "keep",
        "out",
        "final",
        "networks",
        "log",
        "log_weights",
        "dashboard",
        "as_json",
    ),
}
"""The options of a search by what they are about; one that is missing here stands at the end."""

_HYPHEN = "\N{NON-BREAKING HYPHEN}"


class Formatter(click.HelpFormatter):
    """Breaks no line within a name such as --max-epochs."""

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        """Write names and their meaning side by side."""
        held = [(name, meaning.replace("-", _HYPHEN)) for name, meaning in rows]
        super().write_dl(held, col_max, col_spacing)

    def write_text(self, text: str) -> None:
        """Write paragraphs."""
        super().write_text(text.replace("-", _HYPHEN))

    def write(self, string: str) -> None:
        """Write what is wrapped already."""
        super().write(string.replace(_HYPHEN, "-"))


class Context(click.Context):
    """A call whose help is written by `Formatter`."""

    formatter_class = Formatter


class Commands(click.Group):
    """A group that lists its commands in the order of `COMMANDS`, each with its whole first sentence."""

    context_class = Context

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        """Attach a command."""
        cmd.context_class = Context
        cmd.context_settings = {"help_option_names": HELP, **cmd.context_settings}
        super().add_command(cmd, name)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of the work."""
        return [name for names in _sections(COMMANDS, self.commands).values() for name in names]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write a section for each part of the work."""
        for title, names in _sections(COMMANDS, self.commands).items():
            with formatter.section(title):
                formatter.write_dl([(name, _first_sentence(self.commands[name])) for name in names])


class SearchCommand(click.Command):
    """A command that takes the options of a search; its help has a section for each of `OPTIONS`."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options."""
        records: dict[str, tuple[str, str]] = {}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None and param.name is not None:
                records[param.name] = record
        for title, names in _sections(OPTIONS, records).items():
            with formatter.section(title):
                formatter.write_dl([records[name] for name in names])


def _sections(order: Mapping[str, Sequence[str]], there: Mapping[str, Any]) -> dict[str, list[str]]:
    """The names that are there by the title of their section, those of no section at the end."""
    found = {title: [name for name in names if name in there] for title, names in order.items()}
    placed = {name for names in order.values() for name in names}
    found["Other"] = [name for name in there if name not in placed]
    return {title: names for title, names in found.items() if names}


def _first_sentence(command: click.Command) -> str:
    text = " ".join((command.help or "").split())
    return re.split(r"(?<=\.)\s", text, maxsplit=1)[0]
