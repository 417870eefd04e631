"""The commands `probe` and `weights`: which pretrained backbone suits the images, and what there is of them."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from trainables.wording import some
from tuner.cli.as_json import json_option, print_json
from tuner.cli.names import BACKBONES, PRECISION
from tuner.cli.parameters import FOLDER, Number, data_options, fit_option, side_option
from tuner.console.terminal import open_console

if TYPE_CHECKING:
    from tuner.probing.ranking import Probe

__all__ = ["probe", "render", "weights"]


@click.command()
@click.argument("data", type=FOLDER, required=False)
@data_options
@click.option(
    "--backbones",
    type=BACKBONES,
    default="auto",
    show_default=True,
    help="auto, small, all, or names of `tuner models` with commas between; auto is small on a CPU.",
)
@side_option
@fit_option
@click.option(
    "--weights-dir",
    type=FOLDER,
    help="Folder of state dicts named as the models; those without one there need cached or downloadable weights.",
)
@click.option(
    "--weights",
    type=click.Choice(["auto", "none"]),
    default="auto",
    show_default=True,
    help="none probes random networks, to try things out.",
)
@click.option(
    "--precision",
    type=PRECISION,
    default="auto",
    show_default=True,
    help="auto, fp32, bf16, or fp16, which was not run on a GPU.",
)
@click.option("--seed", type=Number("seed"), default=0, show_default=True, help="Of the split and the folds.")
@click.option("--out", type=FOLDER, help="Folder for the table as CSV and JSON, and for the picture.")
@json_option
def probe(data: Path | None, backbones: str, out: Path | None, as_json: bool, **options: Any) -> None:
    """Say which pretrained backbone suits the images, by a linear probe on each one's frozen features.

    Without DATA: drawn sample pictures. The test images are not read. An equal probe is not computed again.
    """
    from tuner.console.reporter import Reporter
    from tuner.dataset.config import DataConfig
    from tuner.dataset.loading import require_given
    from tuner.probing.ranking import probe as find
    from tuner.runs.paths import try_folder

    if out is not None:
        try_folder(out, "--out")
    config = DataConfig(folder=data, **options)
    require_given(config)
    console = Console(stderr=True, highlight=False) if as_json else open_console()
    found = find(config, backbones, Reporter(console))
    if out is not None:
        save(found, out)
    if as_json:
        print_json(found.document())
        return
    for part in render(found):
        console.print(part, soft_wrap=isinstance(part, Text))
    if out is not None:
        console.print(Text(f"table and picture are in {out}"), soft_wrap=True)


@click.command()
@click.option(
    "--backbones",
    type=BACKBONES,
    default="all",
    show_default=True,
    help="all, small, or names of `tuner models` with commas between.",
)
@click.option("--weights-dir", type=FOLDER, help="Folder of state dicts named as the models.")
@click.option("--fetch", is_flag=True, help="Fetch what is not here into the libraries' own caches.")
@json_option
def weights(backbones: str, weights_dir: Path | None, fetch: bool, as_json: bool) -> None:
    """List the pretrained weights of the backbones: which are here, where others come from, how large; or fetch them.

    For nodes without a network: fetch where there is one, then copy TORCH_HOME and HF_HOME over.
    """
    from trainables.models.selection import backbones_of, list_weights
    from trainables.models.selection import fetch as fetch_all

    names = backbones_of("all" if backbones == "auto" else backbones, "cpu")
    rows = list_weights(names, weights_dir)
    if fetch:
        words = Console(stderr=True, highlight=False) if as_json else open_console()
        failed = fetch_all(rows, lambda row, said: words.print(Text(f"{row.model}: {said}"), soft_wrap=True))
        rows = list_weights(names, weights_dir)
    if as_json:
        print_json({"weights": rows})
    else:
        table = Table(box=None, pad_edge=False)
        for head in ("model", "MB", "state", "source"):
            table.add_column(head, justify="right" if head == "MB" else "left", overflow="fold")
        for row in rows:
            table.add_row(row.model, f"{row.megabytes:.0f}", row.state, row.source)
        open_console().print(table)
    if fetch and failed:
        raise click.exceptions.Exit(1)


def render(found: "Probe") -> list[RenderableType]:
    """The probe as a table and what follows from it."""
    from trainables.models.selection import WITHOUT
    from tuner.console.reporter import clock
    from tuner.probing.probed import ms
    from tuner.probing.ranking import advised, tied

    alike = tied(found)
    table = Table(title="backbones", title_justify="left", box=None, pad_edge=False)
    for head in (
        "backbone",
        "px",
        "log loss",
        "95 %",
        "balanced acc",
        "parameters",
        "MB",
        "ms",
        "licence",
        "",
    ):
        table.add_column(
            head, justify="left" if head in ("backbone", "licence", "") else "right", overflow="fold"
        )
    for row in found.rows:
        interval = "-" if row.low is None or row.high is None else f"{row.low:.3f} to {row.high:.3f}"
        table.add_row(
            row.model,
            str(row.image_size),
            f"{row.log_loss:.4f}",
            interval,
            f"{row.balanced_accuracy:.3f}",
            f"{row.parameters / 1e6:.1f}M",
            f"{row.megabytes:.0f}",
            ms(row.milliseconds, row.gpu_milliseconds),
            row.licence or "",
            "tied with the best" if row.model in alike and row is not found.rows[0] else "",
        )
    count = found.images["train"] + found.images["val"]
    said = (
        f"on {count} images of training and validation, fit {found.fit}, each answered by a head solved without"
        f" its group, in {clock(found.seconds)}; ms: one image on one thread"
    )
    lines = [Text(said)]
    without = [name for name, reason in found.passed_over.items() if reason == WITHOUT]
    if without:
        lines.append(Text(f"note: skipped, since they have no weights: {some(without)}", style="yellow"))
    lines.append(Text(f"to fine-tune: {', '.join(advised(found))}"))
    return [table, *lines]


def save(found: "Probe", out: Path) -> None:
    """Write `probe.csv`, `probe.json` and the picture `probe.png`, light and dark SVG, into the folder `out`."""
    import json

    import pandas as pd

    from tuner.cli.as_json import plain
    from tuner.evaluation.plots.backbones import probed
    from tuner.html.canvas import paint

    out.mkdir(parents=True, exist_ok=True)
    document = plain(found.document())
    (out / "probe.json").write_text(json.dumps(document, indent=1, allow_nan=False), encoding="utf-8")
    pd.DataFrame(document["backbones"]).to_csv(out / "probe.csv", index=False)
    size, draw = probed(document)
    paint(out, "probe", size, draw)
