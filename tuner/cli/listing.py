"""The commands that show what there is and write nothing: spaces, models, inspect."""

from pathlib import Path
from typing import Any

import click
from rich.console import Console

from tuner.cli import as_json as documents
from tuner.cli.as_json import json_option, print_json
from tuner.cli.parameters import FOLDER, Number, data_options, fit_option
from tuner.console.terminal import open_console

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
@click.option(
    "--similar",
    is_flag=True,
    help="Also find pictures of one object or scene, and propose groups.",
)
@click.option("--suspects", is_flag=True, help="Also rank labels that a probe on the other images doubts.")
@click.option(
    "--backbone",
    default="auto",
    show_default=True,
    help="Whose features tell what looks alike: a model's name, or auto for the first small one with weights.",
)
@click.option(
    "--image-size", type=Number("image_size"), default=224, show_default=True, help="Side in pixels."
)
@fit_option
@click.option("--weights-dir", type=FOLDER, help="Folder of state dicts named as the models.")
@click.option(
    "--weights",
    type=click.Choice(["auto", "none"]),
    default="auto",
    show_default=True,
    help="none uses no backbone but a perceptual hash, which finds copies only.",
)
@click.option(
    "--precision", default="auto", show_default=True, help="auto, fp32, bf16 or fp16 (not run on a GPU)."
)
@click.option(
    "--out",
    type=FOLDER,
    default=Path("inspection"),
    show_default=True,
    help="Folder for what --similar and --suspects find.",
)
@json_option
def inspect(
    folder: Path,
    backbone: str,
    split: str,
    similar: bool,
    suspects: bool,
    out: Path,
    as_json: bool,
    **options: Any,
) -> None:
    """Say what is in an image folder: classes, sizes, duplicates, leaks of a random split.

    Writes nothing but what --similar and --suspects find: a table and a page of thumbnails each, into the folder --out.
    """
    from tuner.cli import inspection as inspecting
    from tuner.console.reporter import Reporter
    from tuner.dataset.config import DataConfig
    from tuner.dataset.inspection import inspect as inspection
    from tuner.dataset.loading import groups_file
    from tuner.dataset.splitting import parse_fractions, read_groups

    config = DataConfig(folder=folder, split=split, backbones=backbone, **options)
    wanted = [inspecting.GROUPS] * similar + [inspecting.SUSPECTS] * suspects
    if wanted:
        inspecting.check_out(out, wanted)
    groups = groups_file(config.labels, config.groups, config.group_regex)
    console = Console(stderr=True, highlight=False) if as_json else open_console()
    reporter = Reporter(console)
    scan, taken = inspection.look(folder, config.labels, config.without, config.seed, reporter)
    found = inspection.describe(
        scan, groups, config.group_regex, parse_fractions(split), config.seed, reporter, taken
    )
    document = documents.inspection(found)
    if not as_json:
        console.print(inspection.render(found))
    document |= {"similar": None, "suspects": None}
    if wanted:
        known = read_groups(scan, groups, config.group_regex)
        if similar:
            document["similar"] = inspecting.similar(config, scan, known, out, reporter)
        if suspects:
            document["suspects"] = inspecting.suspects(config, scan, known, out, reporter)
    if as_json:
        print_json(document)
