"""Run the commands of the tutorial and the README, fill the pages, and make the pictures of the same run.

    python docs/make_pictures.py --data FOLDER --groups FILE.csv --weights-dir FOLDER --new-images FOLDER

It takes the options of `make_tutorial.py` and runs what has not run yet in the folder --work: on photographs and with
pretrained weights, about half an hour on two cores. Chromium is on the PATH. No photograph comes into a picture, since
those of the data set may not be copied into the repository: the sheet of answers is that of another search, on the
pictures that tuner draws itself. `--advice RUN` makes only the picture of what would help a run.
"""

import io
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from make_tutorial import Output, fill, laid_out, parser, play, played
from PIL import Image, ImageChops
from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text
from terminal import COLUMNS, plain

from tuner.advice.advise import advise
from tuner.console.reporter import Reporter
from tuner.evaluation.plots.advice import gains
from tuner.html.canvas import paint

IMAGES = Path(__file__).resolve().parent / "images"

DRAWN = (
    "tuner run --weights-dir weights --samples 3 --max-epochs 4 --folds 0 --name drawn",
    "tuner compare runs/drawn",
)
"""A search on tuner's own pictures, whose answers may be shown."""

FIGURES = {
    "accuracy": "potato",
    "learning-curves": "potato",
    "answers": "drawn",
}
"""Figures of a report that the tutorial shows, by the name of their run."""

WIDEST = 1240

LARGEST = 300_000
"""Bytes of a picture in the repository."""


def main() -> None:
    """Play, fill the pages, photograph."""
    options = parser(__doc__)
    options.add_argument("--out", type=Path, default=IMAGES)
    options.add_argument(
        "--advice", type=Path, metavar="RUN", help="only the picture of what would help this run"
    )
    asked = options.parse_args()
    if asked.advice is not None:
        advised(asked.advice, asked.out)
        return
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("chromium is not on the PATH")
    outputs = play(asked)
    fill(outputs)
    work = asked.work.resolve()
    for command in DRAWN:
        played(command, work, laid_out(asked, work))
    asked.out.mkdir(parents=True, exist_ok=True)
    page = work / "search.html"
    page.write_text(terminal(*live_table(outputs)), encoding="utf-8")
    photograph(chromium, page, asked.out / "search.png", 1100, 900)
    photograph(chromium, _report(work, "potato") / "index.html", asked.out / "report.png", 1240, 1150)
    for name, run in FIGURES.items():
        with Image.open(_report(work, run) / "figures" / f"{name}.png") as figure:
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


def _report(work: Path, run: str) -> Path:
    return work / "runs" / run / "report"


def live_table(outputs: Sequence[Output]) -> tuple[str, str]:
    """The command of the first search, and its live table with some trials running, some ended and the probe's on top.

    Of the frames in which most trials run at once it is the last in which the probe's models lead; where they never
    do, the one in the middle.
    """
    search = next(one for one in outputs if "trials " in "".join(one.frames))
    frames = [frame for frame in search.frames if re.search(r"^trials \d", plain(frame), re.MULTILINE)]
    most = max(map(_running, frames))
    full = [frame for frame in frames if _running(frame) == most]
    led = [frame for frame in full if _leads_probe(plain(frame))]
    frame = led[-1] if led else full[len(full) // 2]
    return search.command, frame[re.search(r"(\x1b\[[0-9;]*m)*trials \d", frame).start() :]  # type: ignore[union-attr]


def _running(frame: str) -> int:
    found = re.search(r"(\d+) running", plain(frame))
    return int(found[1]) if found else 0


def _leads_probe(frame: str) -> bool:
    """Whether the first of the best trials comes from the probe."""
    lines = frame.partition("best trials")[2].splitlines()
    return len(lines) > 2 and lines[2].rstrip().endswith("probe")


def terminal(command: str, frame: str) -> str:
    """A page that shows `frame` as a terminal does."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, highlight=False)
    console.print(Text(f"$ {command}\n", style="bold"))
    console.print(Text.from_ansi(frame))
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
