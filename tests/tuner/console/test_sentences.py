import io

import pytest
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tuner.console.reporter import Reporter
from tuner.console.sentences import broken, show, show_part

LONG = "the weights that the search kept are in /a/folder/with/a/name/that/is/longer/than/a/line and nowhere else"


def printed(part, *, terminal, width=40):
    file = io.StringIO()
    show_part(
        Console(file=file, force_terminal=terminal, width=width, highlight=False, color_system=None), part
    )
    return file.getvalue()


def test_a_terminal_gets_a_sentence_broken_at_words_and_a_file_gets_one_line():
    shown = printed(LONG, terminal=True).splitlines()
    assert len(shown) > 2
    assert all(line.startswith("    ") for line in shown[1:])
    assert " ".join(line.strip() for line in shown) == LONG
    assert printed(LONG, terminal=False) == f"{LONG}\n"


def test_no_word_is_broken_and_an_indented_line_stays_indented():
    assert "/a/folder/with/a/name/that/is/longer/than/a/line" in broken(LONG, 20)
    assert broken("  two words", 6) == "  two\n      words"
    assert broken("short\n\nlines", 40) == "short\n\nlines"
    assert broken("two words", 0) == "two\n    words"


def test_a_command_to_copy_stays_one_line():
    line = "next: tuner resume runs/with/a/long/name --time-budget 20m --out model"
    assert broken(line, 30) == line


def test_a_style_is_kept_and_a_table_fits_itself():
    file = io.StringIO()
    show(
        Console(file=file, force_terminal=True, width=40, color_system="standard"), Text(LONG, style="yellow")
    )
    assert "\x1b[33m" in file.getvalue()
    table = Table()
    table.add_column("name")
    table.add_row("one")
    assert "one" in printed(table, terminal=True)


@pytest.mark.parametrize("terminal", [True, False])
def test_who_waits_is_told_what_for(terminal):
    file = io.StringIO()
    reporter = Reporter(Console(file=file, force_terminal=terminal, width=60, color_system=None))
    with reporter.waiting("Ray starts"):
        reporter.line("a word meanwhile")
    assert "Ray starts" in file.getvalue()
    assert "a word meanwhile" in file.getvalue()
    with Reporter().waiting("nobody looks"):
        pass


def test_a_start_has_a_word_on_a_terminal_and_none_in_a_pipe():
    for terminal in (True, False):
        console = Console(width=80, file=(written := io.StringIO()), force_terminal=terminal)
        with Reporter(console).starting("the sample pictures are drawn"):
            pass
        assert ("the sample pictures are drawn" in written.getvalue()) == terminal
    with Reporter().starting():
        pass
