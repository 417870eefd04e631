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
from tuner.console.sentences import show, show_part
from tuner.console.terminal import open_console
from tuner.probing.sizes import FEWEST

if TYPE_CHECKING:
    from tuner.probing.outlook import Outlook
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
    help="Backbones to probe: small, all, or names of `tuner models` with commas between. auto: small on a"
    " CPU, all on a GPU.",
)
@side_option
@fit_option
@click.option(
    "--weights-dir",
    type=FOLDER,
    help="Folder of weight files, each named after its model. For a model without a file there the cached"
    " weights are taken, or downloaded.",
)
@click.option(
    "--weights",
    type=click.Choice(["auto", "none"]),
    default="auto",
    show_default=True,
    help="auto: pretrained weights. none: random weights, only to try the command out.",
)
@click.option(
    "--precision",
    type=PRECISION,
    default="auto",
    show_default=True,
    help="Number format of the backbones: auto, fp32, bf16, or fp16, which was not run on a GPU.",
)
@click.option(
    "--seed",
    type=Number("seed"),
    default=0,
    show_default=True,
    help="Random seed of the split and the folds.",
)
@click.option(
    "--out", type=FOLDER, help="Also write the table as CSV and JSON, and a picture, into this folder."
)
@json_option
def probe(data: Path | None, backbones: str, out: Path | None, as_json: bool, **options: Any) -> None:
    """Say which pretrained backbone suits the images: fit a linear classifier on the frozen features of each.

    Without DATA tuner probes on sample pictures that it draws. The test images are not read. Results are kept: the
    same probe is not computed twice.
    """
    from tuner.console.reporter import Reporter

    console = Console(stderr=True, highlight=False) if as_json else open_console()
    with Reporter(console).starting():
        from tuner.dataset.config import DataConfig
        from tuner.dataset.loading import require_given
        from tuner.probing.ranking import probe as find
        from tuner.runs.paths import try_folder

    if out is not None:
        try_folder(out, "--out")
    config = DataConfig(folder=data, **options)
    require_given(config)
    found = find(config, backbones, Reporter(console))
    if out is not None:
        save(found, out)
    if as_json:
        print_json(found.document())
        return
    for part in render(found):
        show_part(console, part)
    if out is not None:
        show(console, f"table and picture are in {out}")


@click.command()
@click.option(
    "--backbones",
    type=BACKBONES,
    default="all",
    show_default=True,
    help="Backbones to list: all, small, or names of `tuner models` with commas between.",
)
@click.option("--weights-dir", type=FOLDER, help="Folder of weight files, each named after its model.")
@click.option(
    "--fetch", is_flag=True, help="Download missing weights into the caches of torchvision and timm."
)
@json_option
def weights(backbones: str, weights_dir: Path | None, fetch: bool, as_json: bool) -> None:
    """List the pretrained weights of the backbones: which are on this machine, where the others come from, their size.

    For a machine without internet: run `tuner weights --fetch` on a machine with internet, then copy the folders
    TORCH_HOME and HF_HOME over.
    """
    from trainables.models.selection import backbones_of, list_weights
    from trainables.models.selection import fetch as fetch_all

    names = backbones_of("all" if backbones == "auto" else backbones, "cpu")
    rows = list_weights(names, weights_dir)
    if fetch:
        words = Console(stderr=True, highlight=False) if as_json else open_console()
        failed = fetch_all(rows, lambda row, said: show(words, f"{row.model}: {said}"))
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


NARROWER = ("MB", "parameters", "licence", "balanced acc", "95 % of it", "known", "px")
"""Columns that a terminal which is too narrow for all of them goes without, the first first."""


EXPECTED = (
    "known: errors after fine-tuning on other images, where an average network has 1; fine-tuned: the log loss to"
    " expect after fine-tuning, by what is known and by the probe, with a 90 % interval"
)
"""What the columns of the outlook mean."""


def render(found: "Probe") -> list[RenderableType]:
    """The probe as a table and what follows from it."""
    from trainables.models.selection import WITHOUT
    from tuner.console.reporter import Fitting, clock
    from tuner.probing.ranking import tied

    rows = _cells(found)
    table = Fitting([_table(rows, NARROWER[:count]) for count in range(len(NARROWER) + 1)])
    count = found.images["train"] + found.images["val"]
    alike = "; tied: the loss is not significantly higher than the lowest" if len(tied(found)) > 1 else ""
    said = (
        f"on {count} images of training and validation, fit {found.fit}, each answered by a head solved without"
        f" its group, in {clock(found.seconds)}; ms: one image on one thread, by PyTorch{alike}"
    )
    lines = [Text(said)]
    without = [name for name, reason in found.passed_over.items() if reason == WITHOUT]
    if without:
        lines.append(Text(f"note: skipped, since they have no weights: {some(without)}", style="yellow"))
    lines.append(Text(EXPECTED))
    lines.append(Text(f"to fine-tune, by the expected log loss: {', '.join(found.fine_tuned)}"))
    return [table, *lines]


def _cells(found: "Probe") -> list[dict[str, str]]:
    """A row for each backbone: its cells by the heads of their columns."""
    from tuner.probing.probed import ms
    from tuner.probing.ranking import tied

    alike, outlook = tied(found)[1:], {one.model: one for one in found.outlook}
    return [
        {
            "backbone": row.model,
            "px": str(row.image_size),
            "log loss": f"{row.log_loss:.4f}",
            "95 % of it": "-" if row.low is None or row.high is None else f"{row.low:.3f} to {row.high:.3f}",
            "known": f"{outlook[row.model].prior:.2f}" if row.model in outlook else "",
            "fine-tuned": _expected(outlook[row.model]) if row.model in outlook else "",
            "balanced acc": f"{row.balanced_accuracy:.3f}",
            "parameters": f"{row.parameters / 1e6:.1f}M",
            "MB": f"{row.megabytes:.0f}",
            "ms": ms(row.milliseconds, row.gpu_milliseconds),
            "licence": row.licence or "",
            "": "tied" if row.model in alike else "",
        }
        for row in found.rows
    ]


def _expected(outlook: "Outlook") -> str:
    """The loss that is expected after fine-tuning, and its interval; a dash where no time is left for that."""
    return (
        f"{outlook.expected:.3f} ({outlook.low:.3f} to {outlook.high:.3f})"
        if outlook.epochs >= FEWEST
        else "-"
    )


def _table(rows: list[dict[str, str]], without: tuple[str, ...]) -> Table:
    """The table of the backbones, `without` some of its columns."""
    table = Table(title="backbones", title_justify="left", box=None, pad_edge=False)
    heads = [head for head in rows[0] if head not in without]
    for head in heads:
        table.add_column(
            head, justify="left" if head in ("backbone", "licence", "") else "right", overflow="fold"
        )
    for row in rows:
        table.add_row(*(row[head] for head in heads))
    return table


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
