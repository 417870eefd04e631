"""What a command shows on a terminal: the screens on the way and the last one.

`record` runs a command on a pseudo-terminal, where the command draws live tables and bars and removes them, as it does
for a person. `Screen` understands the escape codes that rich writes, and no others. It breaks no line: a command knows
the width of the terminal and breaks its tables and sentences itself.
"""

import codecs
import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["COLUMNS", "Recording", "Screen", "plain", "record"]

COLUMNS, ROWS = 112, 50
"""Size of the terminal in characters."""

CONTROL = re.compile(r"\x1b\[(?P<number>[0-9;?]*)(?P<letter>[A-Za-z])|\r\n|\n|\r|[^\x1b\r\n]+|\x1b[^\[]")
STYLE = re.compile(r"\x1b\[[0-9;]*m")


@dataclass
class Screen:
    """The lines of a terminal that never scrolls, each with its styles as escape codes."""

    lines: list[str] = field(default_factory=lambda: [""])
    row: int = 0

    def write(self, text: str) -> None:
        """Take what a command prints; an escape code must not be cut."""
        for part in CONTROL.finditer(text):
            self._take(part[0], part["letter"], part["number"])

    def _take(self, text: str, letter: str | None, number: str | None) -> None:
        if text in ("\n", "\r\n"):
            self.row += 1
            if self.row == len(self.lines):
                self.lines.append("")
        elif letter == "A":
            self.row = max(0, self.row - int(number or 1))
        elif letter == "K":
            self.lines[self.row] = ""
        elif letter == "m" or not text.startswith(("\x1b", "\r")):
            self.lines[self.row] += text

    def text(self) -> str:
        """All lines, with their styles, without blanks at their ends."""
        return "\n".join(line.rstrip() for line in self.lines).strip("\n")


@dataclass(frozen=True)
class Recording:
    """A command, what stood on the terminal on the way and in the end, and how long it took in seconds."""

    command: str
    exit_status: int
    seconds: float
    screen: str
    frames: tuple[str, ...] = ()


def record(command: str, folder: Path, environment: Mapping[str, str]) -> Recording:
    """Run `command` in `folder` on a terminal of its own; every screen that was redrawn is a frame."""
    driver, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    started = time.monotonic()
    with subprocess.Popen(
        ["/bin/bash", "-c", command],
        cwd=folder,
        env={**environment, "TERM": "xterm-256color"},
        stdin=subprocess.DEVNULL,
        stdout=terminal,
        stderr=terminal,
    ) as process:
        os.close(terminal)
        screen, frames = Screen(), list[str]()
        for text in _chunks(driver):
            screen.write(text)
            if "\x1b[2K" in text and (not frames or screen.text() != frames[-1]):
                frames.append(screen.text())
    os.close(driver)
    return Recording(command, process.returncode, time.monotonic() - started, screen.text(), tuple(frames))


def _chunks(driver: int) -> Iterator[str]:
    """What arrives at the terminal, no character and no escape code cut in two."""
    decoder, rest = codecs.getincrementaldecoder("utf-8")("replace"), ""
    while True:
        try:
            data = os.read(driver, 65_536)
        except OSError:  # Linux says so when the command has closed the terminal
            data = b""
        text = rest + decoder.decode(data, final=not data)
        cut = re.search(r"\x1b(\[[0-9;?]*)?$|\r$", text) if data else None
        rest = text[cut.start() :] if cut else ""
        yield text[: cut.start()] if cut else text
        if not data:
            return


def plain(text: str) -> str:
    """`text` without its styles."""
    return STYLE.sub("", text)
