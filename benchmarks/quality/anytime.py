"""Which model is shipped after two and eight minutes: tuner beside three ways without it, on three kinds of images.

    TUNER_POTATO_DATA=DIR TUNER_OBJECTS_DATA=DIR TUNER_CHARACTERS_DATA=DIR python -m benchmarks.quality.anytime
    python -m benchmarks.quality.anytime --table

Each contender is a command line, or several, in processes of its own, from a folder of images to a model that answers;
the clock runs from the first command to the written model, imports included. The peers are in `peers/`: `logistic`
(features of frozen networks), `recipe` (a fixed fine-tuning, at two rates) and `script` (Optuna and timm). A third of a
set is tested, and no contender sees it before. All start from the same ImageNet weights of EfficientNet-Lite0 to Lite2.

A row a contender, set, split, number of images and budget goes to a file. A run that was killed goes on with the rows
that are missing when the same command is given again. `--table` only prints what the file holds.
"""

import argparse
import csv
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

from benchmarks.common import say
from benchmarks.quality.anytime_contenders import (
    BACKBONES,
    KINDS,
    SIZES,
    Command,
    Contender,
    Task,
    contenders,
)
from benchmarks.quality.anytime_rows import Answers, Cell, Row, add_row, read_rows, score
from benchmarks.quality.anytime_sets import KNOWN, Draw, draw, lay_out, open_set
from benchmarks.quality.anytime_table import print_tables
from benchmarks.quality.fine_tuning import lite_weights
from tuner.cli.parameters import Seconds
from tuner.runs.hardware import hardware, usable_cores, versions

ROOT = Path(__file__).resolve().parents[2]
GRACE_SECONDS = 60
"""How long a contender that is told to end may take before it is killed."""


@dataclass(frozen=True)
class Failed(Exception):
    """A contender's command that failed, and its last words."""

    words: str


def main() -> None:
    """Measure what is missing, then print."""
    options = _parse()
    signal.signal(signal.SIGTERM, _interrupt)
    commit = _commit()
    if not options.table:
        with _weights(options.weights_dir) as weights:
            _measure(options, weights, commit)
    rows = read_rows(options.file)
    print_tables([row for row in rows if _counts(row, commit, options)])


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )

    def several(name: str, default: str, words: str, kind: type = str) -> None:
        parser.add_argument(
            name,
            type=lambda text: [kind(one) for one in text.split(",")],
            default=default,
            metavar="A,B",
            help=f"{words} [default: {default}]",
        )

    several("--sets", ",".join(KNOWN), "sets, or folders with one sub-folder a class")
    several("--contenders", ",".join(KINDS), "who")
    several("--sizes", ",".join(SIZES), "tuner with --pixels given, and choosing itself if this version can")
    several("--budgets", "2m,8m", "for those that heed one")
    several("--images", "400", "images to learn from, about", int)
    parser.add_argument("--splits", type=int, default=3, help="how many splits [default: 3]")
    parser.add_argument("--pixels", type=int, default=96, help="image size where it is given [default: 96]")
    parser.add_argument(
        "--weights-dir", type=Path, help="NAME.pt of each backbone [default: the test extra's]"
    )
    parser.add_argument("--file", type=Path, default=Path("anytime.jsonl"), help="[default: anytime.jsonl]")
    parser.add_argument("--table", action="store_true", help="measure nothing, print what the file holds")
    parser.add_argument(
        "--this-commit", action="store_true", help="rows of tuner at another commit do not count"
    )
    parser.add_argument("--again", action="store_true", help="rows that failed do not count")
    return parser.parse_args()


def _counts(row: Row, commit: str, options: argparse.Namespace) -> bool:
    """Whether a row is taken for what it is: not an older tuner's, no failure that is to be tried again."""
    older = row.cell.contender.startswith("tuner") and row.commit != commit
    return not (options.this_commit and older) and not (options.again and row.error)


def _measure(options: argparse.Namespace, weights: Path, commit: str) -> None:
    """Every missing row; whole splits of all sets come first, so that what is cut can be read."""
    sets = [open_set(name) for name in options.sets]
    found = contenders(options.contenders, options.sizes, options.pixels)
    budgets = [Seconds().convert(text, None, None) for text in options.budgets]
    there = {row.cell for row in read_rows(options.file) if _counts(row, commit, options)}
    for split in range(options.splits):
        for images in sets:
            for wanted in options.images:
                drawn = draw(images, split, wanted)
                for contender, budget in _asked(found, budgets):
                    cell = Cell(contender.name, images.name, split, wanted, options.pixels, budget)
                    if cell not in there:
                        add_row(options.file, measure(cell, contender, drawn, weights, commit))


def _asked(found: Sequence[Contender], budgets: Sequence[float]) -> Iterator[tuple[Contender, float | None]]:
    for contender in found:
        for budget in budgets if contender.budgeted else (None,):
            yield contender, budget


def measure(cell: Cell, contender: Contender, drawn: Draw, weights: Path, commit: str) -> Row:
    """Run the contender's commands in an empty folder, with empty caches, and score its answers."""
    load, at = os.getloadavg()[0], datetime.now(UTC).isoformat(timespec="seconds")
    seconds, predict_seconds, answers, error = 0.0, 0.0, Answers(), None
    with tempfile.TemporaryDirectory(prefix="anytime-", ignore_cleanup_errors=True) as folder:
        place = Path(folder).resolve() / "work"
        place.mkdir()
        task = Task(lay_out(drawn, place.parent), weights, place, cell.pixels, cell.budget or 0.0, cell.split)
        limit = 3600 + 4 * task.budget
        started = time.perf_counter()
        try:
            for command in contender.fit(task):
                _run(command, place, limit)
            seconds = time.perf_counter() - started
            _run(contender.predict(task), place, limit)
            predict_seconds = time.perf_counter() - started - seconds
            answers = _scored(task.answers, task.images.test, drawn)
        except Failed as failed:
            seconds, error = seconds or time.perf_counter() - started, failed.words
    told = f"log loss {answers.log_loss:.4f}, accuracy {answers.accuracy:.3f}" if error is None else error
    say(f"{cell}: {seconds:.0f} s, {told}")
    learned, machine = len(drawn.learned), _machine()
    return Row(cell, learned, seconds, predict_seconds, answers, error, commit, machine, load, at)


def _run(command: Command, place: Path, limit: float) -> None:
    """One command to its end, in `place`; raises Failed with its last words. It ends with this process."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TUNER_CACHE_DIR": str(place / "cache")}
    with (place / "log.txt").open("a+", encoding="utf-8", errors="replace") as log:
        process = subprocess.Popen(
            command, cwd=place, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            status: int | str = process.wait(limit)
        except subprocess.TimeoutExpired:
            status = f"none after {limit:.0f} s"
        finally:
            _end(process)
        if status != 0:
            log.seek(0)
            raise Failed(f"{' '.join(command[1:5])}: status {status}: {log.read()[-1500:]}")


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Have the process, and those that it started, end in good order, or else at once."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _scored(file: Path, test: Path, drawn: Draw) -> Answers:
    """The answers in `file`, a CSV with a path and a column a class, whoever wrote it."""
    images = drawn.images
    with file.open(newline="", encoding="utf-8") as opened:
        said: Mapping[str, Mapping[str, str]] = {
            Path(row["path"]).relative_to(test).as_posix(): row for row in csv.DictReader(opened)
        }
    classes = sorted(set(map(str, images.labels[drawn.learned])))
    places = sorted(drawn.tested, key=images.file_name)
    try:
        table = [[float(said[images.file_name(place)][name]) for name in classes] for place in places]
    except (KeyError, ValueError) as error:
        raise Failed(f"{file.name} lacks an image or a class: {error}") from error
    return score(table, classes, images.labels[places].tolist(), images.groups[places])


@contextmanager
def _weights(given: Path | None) -> Iterator[Path]:
    """A folder with the weights of the backbones, as NAME.pt and nothing else."""
    with tempfile.TemporaryDirectory(prefix="weights-") as folder:
        if given is not None:
            for name in BACKBONES:
                (Path(folder) / f"{name}.pt").symlink_to((given / f"{name}.pt").resolve(strict=True))
            yield Path(folder)
            return
        with lite_weights([f"timm:{name}" for name in BACKBONES]) as files:
            for name in BACKBONES:
                (Path(folder) / f"{name}.pt").symlink_to(files[f"timm:{name}"])
            yield Path(folder)


def _commit() -> str:
    """The commit of the checkout, with a mark where files differ from it; unknown outside of one."""
    command = ["git", "describe", "--always", "--dirty", "--exclude", "*"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return found.stdout.strip() or "unknown"


def _machine() -> str:
    return f"{hardware()['processor']}, {usable_cores()} cores, torch {versions().get('torch', '?')}"


if __name__ == "__main__":
    main()
