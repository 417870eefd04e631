"""The commands that show what there is and write nothing: spaces, models, inspect."""

from pathlib import Path
from typing import Any

import click
from rich.console import Console

from tuner.cli import as_json as documents
from tuner.cli.as_json import json_option, print_json
from tuner.cli.names import BACKBONE, MODEL, PRECISION, SPACE
from tuner.cli.parameters import FOLDER, Number, data_options, fit_option
from tuner.console.terminal import open_console

__all__ = ["inspect", "list_models", "spaces"]


@click.command()
@click.argument("name", type=SPACE, required=False)
@json_option
def spaces(name: str | None, as_json: bool) -> None:
    """List the search spaces. With NAME: show its parameters, ranges, conditions and first trials."""
    if as_json:
        print_json(documents.spaces() if name is None else documents.space(name))
        return
    from tuner.cli import describe

    open_console().print(describe.spaces() if name is None else describe.space(name))


@click.command("models")
@click.argument("name", type=MODEL, required=False)
@json_option
def list_models(name: str | None, as_json: bool) -> None:
    """List the models. With NAME: show its stages and which of them each strategy trains."""
    if as_json:
        print_json(documents.models() if name is None else documents.model(name))
        return
    from tuner.cli import describe

    open_console().print(describe.models() if name is None else describe.model(name))


@click.command()
@click.argument("folder", type=FOLDER)
@data_options
@click.option("--seed", type=Number("seed"), default=0, show_default=True, help="Random seed of the split.")
@click.option(
    "--similar",
    is_flag=True,
    help="Also find pictures of the same object or scene, and propose groups.",
)
@click.option(
    "--augmentations",
    is_flag=True,
    help="Also draw eight of the images under each augmentation.",
)
@click.option(
    "--suspects",
    is_flag=True,
    help="Also list labels that may be wrong, the most doubtful first: a linear probe on the other images"
    " disagrees with them.",
)
@click.option(
    "--backbone",
    type=BACKBONE,
    default="auto",
    show_default=True,
    help="Backbone whose features --similar and --suspects compare: a model's name, or auto for the first"
    " small one with weights.",
)
@click.option(
    "--image-size",
    type=Number("image_size"),
    default=224,
    show_default=True,
    help="Width and height of the images in pixels.",
)
@fit_option
@click.option("--weights-dir", type=FOLDER, help="Folder of weight files, each named after its model.")
@click.option(
    "--weights",
    type=click.Choice(["auto", "none"]),
    default="auto",
    show_default=True,
    help="auto: pretrained weights. none: no backbone; a perceptual hash compares images, and finds only copies.",
)
@click.option(
    "--precision",
    type=PRECISION,
    default="auto",
    show_default=True,
    help="Number format of the backbone: auto, fp32, bf16 or fp16 (not run on a GPU).",
)
@click.option(
    "--out",
    type=FOLDER,
    default=Path("inspection"),
    show_default=True,
    help="Folder for the files of --similar, --suspects and --augmentations.",
)
@json_option
def inspect(
    folder: Path,
    backbone: str,
    split: str,
    similar: bool,
    suspects: bool,
    augmentations: bool,
    out: Path,
    as_json: bool,
    **options: Any,
) -> None:
    """Say what is in an image folder and what is wrong with it: classes, sizes, duplicates, leaks of a random split.

    Changes no image. --similar and --suspects each write a table and a page of thumbnails into the folder --out,
    --augmentations a picture. The warnings are kept in the cache; the report and the model card repeat them.
    """
    from tuner.cli import inspection as inspecting
    from tuner.cli.augmentations import draw_augmentations
    from tuner.console.reporter import Reporter
    from tuner.dataset.config import DataConfig
    from tuner.dataset.inspection import inspect as inspection
    from tuner.dataset.inspection.carried import Pictures, keep_background
    from tuner.dataset.loading import groups_file
    from tuner.dataset.splitting import merged_groups, parse_fractions, read_groups

    config = DataConfig(folder=folder, split=split, backbones=backbone, **options)
    wanted = [inspecting.GROUPS] * similar + [inspecting.SUSPECTS] * suspects
    if wanted or augmentations:
        inspecting.check_out(out, wanted)
    groups = groups_file(config.labels, config.groups, config.group_regex)
    console = Console(stderr=True, highlight=False) if as_json else open_console()
    reporter = Reporter(console)
    scan, taken = inspection.look(folder, config.labels, config.without, config.seed, reporter)
    with reporter.starting("copies and shortcuts are looked for"):
        found = inspection.describe(
            scan, groups, config.group_regex, parse_fractions(split), config.seed, None, taken
        )
    known = read_groups(scan, groups, config.group_regex)
    keep_background(Pictures.of(scan, merged_groups(scan.images, known)), found.photographed)
    document = documents.inspection(found)
    if not as_json:
        console.print(inspection.render(found))
    document["augmentations"] = draw_augmentations(config, scan, out, reporter) if augmentations else None
    document |= {"similar": None, "suspects": None}
    if similar:
        document["similar"] = inspecting.similar(config, scan, known, out, reporter)
    if suspects:
        document["suspects"] = inspecting.suspects(config, scan, known, out, reporter)
    if as_json:
        print_json(document)
