from itertools import pairwise

import pytest
from click.testing import CliRunner

from tuner.cli import commands
from tuner.cli.help import COMMANDS, OPTIONS

ONE_LINE = 10_000


def shown(*words, width=80):
    result = CliRunner().invoke(commands, [*words, "--help"], terminal_width=width)
    assert result.exit_code == 0, result.output
    return result.output


def test_commands_stand_in_the_order_of_the_work():
    text = shown(width=ONE_LINE)
    order = ["inspect", "probe", "plan", "run", "resume", "compare", "export", "retrain", "predict", "spaces"]
    places = [text.index(f"\n  {name} ") for name in order]
    assert all(first < second for first, second in pairwise(places))


def test_every_command_and_every_option_of_a_search_has_its_section():
    assert set(commands.commands) <= {name for names in COMMANDS.values() for name in names}
    told = {name for names in OPTIONS.values() for name in names}
    assert {param.name for name in ("run", "plan") for param in commands.commands[name].params} <= told
    assert "Other:" not in shown()


def test_a_command_that_was_parsed_by_itself_keeps_both_options_of_help():
    for name, command in commands.commands.items():
        alone = command.make_context(name, [], resilient_parsing=True)
        assert [option for param in command.get_params(alone)[-1:] for option in param.opts] == [
            "-h",
            "--help",
        ]


@pytest.mark.parametrize("width", [60, 80, 110])
def test_no_sentence_is_cut(width):
    text = shown(width=width)
    assert "..." not in text.partition("\n")[2]
    words = " ".join(text.split())
    for command in commands.commands.values():
        first = " ".join(command.help.split()).partition(". ")[0]
        assert first.rstrip(".") in words


def test_the_options_of_a_search_stand_by_what_they_are_about():
    text = shown("run", width=ONE_LINE)
    heads = [line for line in text.splitlines() if line.endswith(":") and not line.startswith(" ")]
    assert heads == ["Images:", "Search:", "Machines:", "Output:", "Other:"]
    assert text.partition("Other:")[2].split()[:2] == ["-h,", "--help"]
    parts = dict(zip(heads, text.split("\n\n")[2:], strict=True))
    for head, options in (
        ("Images:", ("--data", "--groups", "--split")),
        ("Search:", ("--space", "--samples", "--metric")),
        ("Machines:", ("--concurrent", "--address")),
        ("Output:", ("--name", "--log", "--no-dashboard")),
    ):
        for option in options:
            assert f" {option} " in parts[head]


def test_a_line_breaks_at_no_hyphen_of_an_option():
    for width in range(60, 100, 7):
        for name in ("run", "inspect", "retrain"):
            assert not [line for line in shown(name, width=width).splitlines() if line.endswith("-")]
