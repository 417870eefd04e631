"""The commands that show what there is and write nothing: spaces, models, inspect."""

from pathlib import Path

import click

from tuner.cli import as_json as documents
from tuner.cli.as_json import json_option, print_json
from tuner.cli.parameters import FOLDER, Number, data_options
from tuner.cli.terminal import open_console

__all__ = ["inspect", "list_models", "spaces"]


@click.command()
@click.argument("name", required=False)
@json_option
def spaces(name: str | None, as_json: bool) -> None:
    """List the spaces, or show one: its parameters, ranges, conditions and first trials."""
    if as_json:
        print_json(documents.spaces() if name is None else documents.space(name))
        return
    from tuner.cli import describe

    open_console().print(describe.spaces() if name is None else describe.space(name))


@click.command("models")
@click.argument("name", required=False)
@json_option
def list_models(name: str | None, as_json: bool) -> None:
    """List the models, or show one: its stages and what trains under each strategy."""
    if as_json:
        print_json(documents.models() if name is None else documents.model(name))
        return
    from tuner.cli import describe

    open_console().print(describe.models() if name is None else describe.model(name))


@click.command()
@click.argument("folder", type=FOLDER)
@data_options
@click.option("--seed", type=Number("seed"), default=0, show_default=True)
@json_option
def inspect(
    folder: Path,
    labels: Path | None,
    groups: Path | None,
    group_regex: str | None,
    without: Path | None,
    split: str,
    seed: int,
    as_json: bool,
) -> None:
    """Say what is in an image folder: classes, sizes, duplicates, leaks of a random split. Writes nothing."""
    from trainables.data.split import parse_fractions
    from tuner.tuning import inspection

    found = inspection.inspect(
        folder, groups, group_regex, parse_fractions(split), seed, labels=labels, without=without
    )
    if as_json:
        print_json(documents.inspection(found))
    else:
        open_console().print(inspection.render(found))
