"""Make the pictures of the documentation from a real search: `python docs/make_pictures.py`.

It searches `googlenet_full` on the pictures that tuner draws itself, keeps what the terminal showed on the way,
compares the finalists and photographs the report with Chromium. Five minutes on two cores; chromium is on the PATH.
`--advice RUN` makes the picture of what would help a run.
The search's pictures are drawings and its weights random: the scores mean nothing, the pages are the real ones.
"""

import argparse
import io
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image, ImageChops
from rich.console import Console, RenderableType
from rich.live import Live
from rich.terminal_theme import MONOKAI

from tuner.advice.advise import advise
from tuner.console.reporter import Reporter
from tuner.evaluation.compare import compare
from tuner.evaluation.plots.advice import gains
from tuner.html.canvas import paint
from tuner.tuning import progress
from tuner.tuning.config import search_config
from tuner.tuning.loop import search

IMAGES = Path(__file__).resolve().parent / "images"
COLUMNS = 112
"""Width of the terminal in the picture."""

FIGURES = ("accuracy", "learning-curves")
"""Figures of the report that the tutorial shows."""

WIDEST = 1240

LARGEST = 300_000
"""Bytes of a picture in the repository."""


class KeptLive(Live):
    """A live table that keeps its frames."""

    frames: list[RenderableType] = []  # noqa: RUF012 (the search makes the object, so the class keeps them)

    def update(self, renderable: RenderableType, *, refresh: bool = False) -> None:
        """Draw as always, and remember."""
        self.frames.append(renderable)
        super().update(renderable, refresh=refresh)


def main() -> None:
    """Search, compare, photograph."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=14)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--out", type=Path, default=IMAGES)
    parser.add_argument(
        "--advice", type=Path, metavar="RUN", help="only the picture of what would help this run"
    )
    asked = parser.parse_args()
    if asked.advice is not None:
        advised(asked.advice, asked.out)
        return
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("chromium is not on the PATH")
    asked.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        report = searched(asked, folder)
        frame = KeptLive.frames[len(KeptLive.frames) * 4 // 5]
        page = folder / "search.html"
        page.write_text(terminal(frame), encoding="utf-8")
        photograph(chromium, page, asked.out / "search.png", 1100, 640)
        photograph(chromium, report, asked.out / "report.png", 1240, 1150)
        for name in FIGURES:
            with Image.open(report.parent / "figures" / f"{name}.png") as figure:
                save(figure.convert("RGB"), asked.out / f"{name}.png")


def advised(run: Path, out: Path) -> None:
    """The picture of what would help a run, as the report has it."""
    drawn = gains(advise(run, Reporter(Console(stderr=True))))
    if drawn is None:
        sys.exit(f"{run}: nothing is known to help")
    with tempfile.TemporaryDirectory() as folder:
        png, _, _ = paint(Path(folder), "advice", *drawn)
        with Image.open(png) as picture:
            save(picture.convert("RGB"), out / "advice.png")


def searched(asked: argparse.Namespace, folder: Path) -> Path:
    """The report of a search whose frames are kept in KeptLive."""
    progress.Live = KeptLive  # type: ignore[attr-defined]
    console = Console(file=io.StringIO(), force_terminal=True, width=COLUMNS, height=40, highlight=False)
    config = search_config(
        space="googlenet_full",
        weights="none",
        samples=asked.samples,
        max_epochs=asked.epochs,
        image_size=asked.image_size,
        time_budget_s=asked.minutes * 60,
        name="leaves",
        runs_dir=folder / "runs",
        dashboard=False,
    )
    result = search(config, Reporter(console))
    return compare([result.run.path]).report


def terminal(frame: RenderableType) -> str:
    """A page that shows `frame` as a terminal does."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, highlight=False)
    console.print("[bold]$ python -m tuner run --space googlenet_full[/bold]\n")
    console.print(frame)
    drawing = console.export_svg(title="tuner run", theme=MONOKAI)
    style = "body{margin:0;background:#fff} svg{width:1100px;height:auto;display:block}"
    return f"<!doctype html><meta charset=utf-8><style>{style}</style>{drawing}"


def photograph(chromium: str, page: Path, out: Path, width: int, height: int) -> None:
    """A picture of the top of `page`, without the white below it, in few enough bytes."""
    options = [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        "--disable-dev-shm-usage",
    ]
    options += [f"--window-size={width},{height}", f"--screenshot={out}", "--virtual-time-budget=5000"]
    profile = page.parent / f"profile-{out.stem}"
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    command = [chromium, *options, f"--user-data-dir={profile}", page.resolve().as_uri()]
    subprocess.run(command, check=True, timeout=120, **quiet)
    with Image.open(out) as opened:
        picture = opened.convert("RGB")
    white = Image.new("RGB", picture.size, (255, 255, 255))
    box = ImageChops.difference(picture, white).getbbox()
    if box is not None:
        picture = picture.crop((0, 0, picture.width, min(picture.height, box[3] + 12)))
    save(picture, out)


def save(picture: Image.Image, out: Path) -> None:
    """Write `picture` with as many colours as its size in bytes allows."""
    if picture.width > WIDEST:
        picture = picture.resize((WIDEST, round(picture.height * WIDEST / picture.width)))
    for colours in (256, 128, 64, 32):
        picture.quantize(colours, dither=Image.Dither.NONE).save(out, optimize=True)
        if out.stat().st_size < LARGEST:
            return


if __name__ == "__main__":
    main()
