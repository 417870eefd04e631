"""Run the commands of the tutorial and of the README, and put what they print into the pages.

    python docs/make_tutorial.py --data FOLDER --groups FILE.csv --weights-dir FOLDER --new-images FOLDER

On a page, an output stands between `<!-- output: all -->` and `<!-- output: end -->`, behind the block of the command
that prints it: the last command of the last block before it. `first 5 last 10` in place of `all` leaves out the lines
between. The commands run as they stand on the page, without the internet, on a terminal, in a folder that holds
`potato/`, `potato-groups.csv`, `weights/` and `new-images/`. What a command printed is kept in the folder --work, so a
second call runs only what is new. `make_pictures.py` does the same, and makes the pictures of the same run.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from terminal import plain, record

from tuner.console.reporter import clock
from tuner.console.sentences import broken
from tuner.runs.hardware import hardware

DOCS = Path(__file__).resolve().parent
PAGES = (DOCS / "tutorial.md", DOCS.parent / "README.md")
CODE = ("tuner", "trainables", "search_spaces")
"""What prints the outputs."""

COMMANDS = re.compile(r"^```console\n(.*?)^```$", re.DOTALL | re.MULTILINE)
OUTPUT = re.compile(r"(<!-- output: ((?!end)[^>]+) -->\n).*?(<!-- output: end -->)", re.DOTALL)
PRINTED = re.compile(r"(<!-- printed -->\n).*?(<!-- printed: end -->)", re.DOTALL)

WIDEST = 120
"""Characters of a line of output on a page; longer ones are broken at words."""


@dataclass(frozen=True)
class Output:
    """What a command showed on its terminal, in the end and on the way, and the code and machine that did it."""

    command: str
    screen: str
    frames: tuple[str, ...]
    seconds: float
    source: str


def main() -> None:
    """Play what is new, fill the pages."""
    asked = parser(__doc__).parse_args()
    fill(play(asked))


def parser(description: str | None) -> argparse.ArgumentParser:
    """The options of the scripts that need the photographs."""
    made = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    source = os.environ.get("TUNER_POTATO_DATA")
    there = None if source is None else Path(source)
    made.add_argument("--data", type=Path, default=there and there / "potato", help="about 400 photographs")
    made.add_argument("--groups", type=Path, default=there and there / "potato-groups.csv")
    made.add_argument("--weights-dir", type=Path, help="weights of EfficientNet-Lite0 to Lite2")
    made.add_argument("--new-images", type=Path, help="photographs that are not in --data")
    made.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "tuner-tutorial")
    return made


def play(asked: argparse.Namespace) -> list[Output]:
    """What each command of the pages printed, in the order of the pages; run where that is not known yet."""
    if None in (asked.data, asked.groups, asked.weights_dir, asked.new_images):
        sys.exit("--data, --groups, --weights-dir and --new-images are needed")
    work = asked.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    names = laid_out(asked, work)
    return [
        played(command, work, names) for page in PAGES for command in commands_of(page.read_text("utf-8"))
    ]


def laid_out(asked: argparse.Namespace, work: Path) -> dict[str, str]:
    """Put the images and weights where the pages say; the places that outputs may name, and what to call them."""
    links = {"potato": asked.data, "potato-groups.csv": asked.groups, "weights": asked.weights_dir}
    for name, target in links.items():
        if not (work / name).exists():
            (work / name).symlink_to(target.resolve())
    new = work / "new-images"
    if not new.exists():
        new.mkdir()
        for folder in sorted(one for one in asked.new_images.iterdir() if one.is_dir()):
            first = min(folder.iterdir())
            shutil.copy(first, new / f"{folder.name.rpartition('___')[2].lower()}{first.suffix.lower()}")
    found = {str(target.resolve()): f"…/{name}" for name, target in links.items()}
    return {**found, str(work): "…"}


def commands_of(text: str) -> list[str]:
    """The commands of a page whose output stands there, and those before them in the same block, in their order."""
    blocks = dict.fromkeys(_block_before(text, output) for output in OUTPUT.finditer(text))
    return [command for block in blocks for command in _commands(block)]


def _block_before(text: str, output: re.Match[str]) -> str:
    """The block of commands to which an output belongs: the last before it."""
    return COMMANDS.findall(text[: output.start()])[-1]


def _commands(block: str) -> list[str]:
    r"""The commands of tuner in a block, without prompts; what installs something is left out.

    >>> _commands("$ pip install -e . && python -m tuner run --space x\n$ tuner compare y \\\n    --seeds 2\n")
    ['python -m tuner run --space x', 'tuner compare y --seeds 2']
    """
    lines = re.sub(r"\\\n\s*", "", block).splitlines()
    parts = [part.strip() for line in lines for part in line.removeprefix("$ ").split("&&")]
    return [part for part in parts if re.match(r"(tuner|python -m tuner|python \S+/predict\.py) ", part)]


def played(command: str, work: Path, names: Mapping[str, str]) -> Output:
    """What `command` prints in the folder `work`, with its places named as in `names`; ends where it fails."""
    file = work / f"output-{hashlib.sha256(command.encode()).hexdigest()[:12]}.json"
    if file.exists():
        known = json.loads(file.read_text(encoding="utf-8"))
        return Output(**{**known, "frames": tuple(known["frames"])})
    print(command, flush=True)
    done = record(command, work, _environment(work))
    if done.exit_status != 0:
        sys.exit(f"{plain(done.screen)}\nexit status {done.exit_status}")
    frames = tuple(renamed(frame, names) for frame in done.frames)
    output = Output(command, renamed(done.screen, names), frames, done.seconds, source())
    file.write_text(json.dumps(asdict(output)), encoding="utf-8")
    return output


def _environment(work: Path) -> dict[str, str]:
    """As a newcomer has it: this Python's commands, no internet, nothing cached."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    inherited = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    return {**inherited, "PATH": path, "HF_HUB_OFFLINE": "1", "TUNER_CACHE_DIR": str(work / "cache")}


def source() -> str:
    """The commit of the code, and the machine."""
    git = ("git", "-C", str(DOCS.parent))
    if subprocess.check_output([*git, "status", "--porcelain", "--", *CODE], text=True):
        sys.exit("the code has changes that are not committed; commit them first")
    commit = subprocess.check_output([*git, "log", "-1", "--format=%h", "--", *CODE], text=True).strip()
    found = hardware()
    return f"commit {commit}, {found['cores']} cores of an {found['processor']}"


def renamed(text: str, names: Mapping[str, str]) -> str:
    """`text` without the folders of this machine."""
    for place, name in names.items():
        text = text.replace(place, name)
    return text


def fill(outputs: Sequence[Output]) -> None:
    """Write the outputs into the pages."""
    for page in PAGES:
        text = page.read_text("utf-8")
        wanted = commands_of(text)
        own = [one for one in outputs if one.command in wanted]
        page.write_text(filled(text, own, printed(own)), encoding="utf-8")


def printed(outputs: Sequence[Output]) -> str:
    """What printed the outputs, and how long each command took."""
    sources = ", and ".join(dict.fromkeys(one.source for one in outputs))
    times = ", ".join(f"`{_short(one.command)}` {clock(one.seconds)}" for one in outputs)
    return f"Printed by `python docs/make_pictures.py` ({sources}; other programs used the machine, too): {times}."


def _short(command: str) -> str:
    """The command without its options."""
    words = command.removeprefix("python -m ").split()
    return " ".join(words[:2])


def filled(text: str, outputs: Iterable[Output], sentence: str) -> str:
    """A page with the output of the last command of each block behind the block, and with what printed them."""
    screens = {one.command: one.screen for one in outputs}

    def made(output: re.Match[str]) -> str:
        screen = plain(screens[_commands(_block_before(text, output))[-1]])
        shown = cut(broken("\n".join(map(str.rstrip, screen.splitlines())), WIDEST), output[2])
        return f"{output[1]}\n```text\n{shown}\n```\n\n{output[3]}"

    return PRINTED.sub(lambda match: f"{match[1]}\n{sentence}\n\n{match[2]}", OUTPUT.sub(made, text))


def cut(text: str, wanted: str) -> str:
    r"""The first and the last lines of `text` that are `wanted`, with `...` for the others.

    >>> cut("a\nb\nc\nd", "first 1 last 1")
    'a\n...\nd'
    """
    lines = text.splitlines()
    counts = {name: int(count) for name, count in re.findall(r"(first|last) (\d+)", wanted)}
    first, last = counts.get("first", 0), counts.get("last", 0)
    if not counts or first + last >= len(lines):
        return text
    return "\n".join([*lines[:first], "...", *(lines[-last:] if last else [])])


if __name__ == "__main__":
    main()
