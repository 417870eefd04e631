"""What the command line does about terminals, systems and users that are unlike the developer's."""

import errno
import os
import pty
import re
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from fake_run import make_run
from pictures import write_pictures

from trainables.errors import Interrupted
from tuner.cli import app
from tuner.console import terminal

GREEK = "πατάτα"


def tuner(*words, **environment):
    """`python -m tuner` with changed environment variables (None: without it); what it says as bytes."""
    changed = {name: value for name, value in {**os.environ, **environment}.items() if value is not None}
    return subprocess.run([sys.executable, "-m", "tuner", *map(str, words)], capture_output=True, env=changed)


def on_a_terminal(*words, **environment):
    """The same on a pseudo-terminal, as text."""
    here, there = pty.openpty()
    changed = {**os.environ, **environment}
    process = subprocess.Popen(
        [sys.executable, "-m", "tuner", *map(str, words)], stdout=there, stderr=there, env=changed
    )
    os.close(there)
    said = b""
    while select.select([here], [], [], 120)[0]:
        try:
            part = os.read(here, 65536)
        except OSError:
            break
        if not part:
            break
        said += part
    os.close(here)
    return process.wait(), said.decode()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("home") / "run", classes={GREEK: 25, "b": 25}).path


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_a_name_that_the_encoding_can_not_show_is_escaped(tmp_path, encoding):
    write_pictures(tmp_path, {GREEK: 12, "b": 12})
    said = tuner("inspect", tmp_path, PYTHONIOENCODING=encoding, LC_ALL="C")
    assert said.returncode == 0, said.stderr
    assert rb"\u03c0\u03b1\u03c4\u03ac\u03c4\u03b1" in said.stdout
    missing = tuner("inspect", tmp_path / GREEK / "κενό", PYTHONIOENCODING=encoding, LC_ALL="C")
    assert (missing.returncode, b"Traceback" in missing.stderr) == (2, False)
    assert rb"\u03ba" in missing.stderr


def test_a_name_is_shown_as_it_is_where_it_can_be(tmp_path):
    write_pictures(tmp_path, {GREEK: 12, "b": 12})
    assert GREEK in tuner("inspect", tmp_path, PYTHONIOENCODING="utf-8").stdout.decode()


@pytest.mark.parametrize(
    "environment",
    [
        {"TERM": "dumb"},
        {"COLUMNS": "40"},
        {"NO_COLOR": "1"},
        {"TERM": "dumb", "COLUMNS": "20"},
        {"TERM": "nonsense"},
    ],
    ids=str,
)
def test_a_plain_or_narrow_terminal_gets_the_whole_table(run, environment):
    status, said = on_a_terminal("leaderboard", run, **{"TERM": "xterm", **environment})
    assert status == 0, said
    assert "Traceback" not in said
    assert "…" not in said
    assert "0.0737" in said or environment.get("COLUMNS") == "20"
    if environment.get("TERM") == "dumb" or "NO_COLOR" in environment:
        assert not re.search(r"\x1b\[(\d+;)*[349][0-7]m", said)


def test_without_home_and_passwd_entry_the_process_gets_a_home(tmp_path, monkeypatch):
    def nowhere():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", nowhere)
    monkeypatch.setattr("trainables.private.tempfile.gettempdir", lambda: str(tmp_path))
    monkeypatch.setenv("HOME", "unset")
    terminal.give_a_home()
    assert Path(os.environ["HOME"]) == tmp_path / f"tuner-{os.getuid()}"


@pytest.fixture
def said(monkeypatch, capsys):
    """What `main` says and exits with when its command does `act`."""

    def of(act):
        monkeypatch.setattr(app.commands, "main", lambda **_: act())
        with pytest.raises(SystemExit) as ended:
            app.main()
        return ended.value.code, capsys.readouterr().err

    return of


def test_another_system_is_refused_in_a_sentence(said, monkeypatch):
    monkeypatch.setattr(terminal.os, "name", "nt")
    status, text = said(lambda: pytest.fail("started"))
    assert (status, text.count("\n")) == (2, 1)
    assert "Linux and macOS" in text
    assert "WSL" in text


@pytest.mark.parametrize(
    "number", [errno.EACCES, errno.ENOSPC, errno.EROFS, errno.ENAMETOOLONG, errno.EMFILE]
)
def test_what_the_system_refuses_is_one_sentence_with_its_path(said, number):
    def fail():
        raise OSError(number, os.strerror(number), "/some/place")

    status, text = said(fail)
    assert (status, text) == (2, f"tuner: /some/place: {os.strerror(number)}\n")


def test_sigterm_ends_a_command_as_ctrl_c_does(said):
    before = signal.getsignal(signal.SIGTERM)
    assert said(lambda: signal.raise_signal(signal.SIGTERM)) == (130, "tuner: interrupted\n")
    assert signal.getsignal(signal.SIGTERM) is before


def test_what_is_kept_of_interrupted_work_is_said_in_a_sentence(said):
    def stop():
        raise Interrupted("stopped; 2 of 5 trained models are kept")

    assert said(stop) == (130, "tuner: stopped; 2 of 5 trained models are kept\n")


def test_a_fault_of_the_programs_own_keeps_its_traceback(monkeypatch):
    def fail():
        raise FileNotFoundError(errno.ENOENT, "No such file", "x")

    monkeypatch.setattr(app.commands, "main", lambda **_: fail())
    with pytest.raises(FileNotFoundError):
        app.main()
