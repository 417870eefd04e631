import click
import pytest
from click.testing import CliRunner

from tuner.cli.app import commands
from tuner.cli.parameters import Number, Seconds, Share

OPTIONS = [
    (name, option)
    for name, command in commands.commands.items()
    for option in command.params
    if isinstance(option.type, (Number, Seconds, Share))
]


def test_every_number_of_every_command_has_its_range():
    for name, command in commands.commands.items():
        for option in command.params:
            assert not isinstance(option.type, (click.types.IntParamType, click.types.FloatParamType)), (
                name,
                option.name,
            )
    assert {"samples", "seed", "time_budget", "port", "most", "top", "epochs"} <= {
        option.name for _, option in OPTIONS
    }


@pytest.mark.parametrize(
    "text", ["nan", "inf", "-inf", "-1", "1e400", "99999999999999999999", "1,5", "", "x"]
)
@pytest.mark.parametrize(("command", "option"), OPTIONS, ids=lambda value: getattr(value, "name", value))
def test_a_number_out_of_its_range_is_refused_in_a_sentence_with_its_option(command, option, text):
    said = CliRunner().invoke(commands, [command, "x", "y", f"{option.opts[0]}={text}"])
    assert said.exit_code == 2, said.output
    assert option.opts[0] in said.output
    assert said.exception is None or isinstance(said.exception, SystemExit)


@pytest.mark.parametrize("text", ["0s", "999999999d", f"{'9' * 400}h"])
def test_a_duration_out_of_range_is_refused(text):
    with pytest.raises(click.UsageError, match="--time-budget"):
        Seconds().convert(text, None, None)
