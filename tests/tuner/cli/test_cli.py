import subprocess
import sys

import click
import pytest
from pictures import write_pictures
from tiny import write_space

from tuner.cli.parameters import Bytes, Seconds


def tuner(*words, **options):
    return subprocess.run(
        [sys.executable, "-m", "tuner", *map(str, words)], capture_output=True, text=True, **options
    )


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("20m", 1200), ("1h30m", 5400), ("2h", 7200), ("0.5h", 1800), ("1d", 86400)],
)
def test_a_duration_is_read_in_its_units(text, seconds):
    assert Seconds().convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["", "2", "h", "2 weeks", "-2h", "1h x"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(click.BadParameter):
        Seconds().convert(text, None, None)


def test_a_size_is_read_in_its_units():
    assert Bytes().convert("8GB", None, None) == 8 * 2**30
    assert Bytes().convert("500 mb", None, None) == 500 * 2**20
    assert Bytes().convert("0", None, None) == 0


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["run", "--space", "googelnet_full"], ["googelnet_full", "googlenet_full"]),
        (["run", "--space", "googlenet_full", "--metric", "val_los"], ["val_los", "val_loss"]),
        (["run", "--space", "googlenet_full", "--split", "0.8,0.1"], ["0.8,0.1"]),
        (["run", "--space", "googlenet_full", "--models", "googelnet"], ["googelnet", "googlenet"]),
        (["run", "--space", "googlenet_full", "--models", "resnet18"], ["resnet18", "googlenet"]),
        (["run", "--space", "googlenet_full", "--strategies", "ful"], ["ful", "full"]),
        (["run", "--space", "googlenet_full", "--samples", "0"], ["--samples 0", "at least 1"]),
        (["run", "--space", "googlenet_full", "--samples", "two"], ["two"]),
        (["run", "--space", "googlenet_full", "--sampler", "tpo"], ["tpo", "tpe"]),
        (["run", "--space", "googlenet_full", "--precision", "fp8"], ["fp8", "fp16"]),
        (["run", "--space", "googlenet_full", "--data", "no/such/folder"], ["no/such/folder"]),
        (["run", "--space", "googlenet_full", "--time-budget", "soon"], ["soon", "20m"]),
        (["run", "--space", "googlenet_full", "--max-epochs", "2", "--grace-period", "3"], ["3", "2"]),
        (["run", "--space", "googlenet_grid", "--samples", "12"], ["12", "11"]),
        (["run", "--space", "./nowhere.py"], ["nowhere.py"]),
        (["run", "--backbones", "resnet8"], ["resnet8", "resnet18"]),
        (["run", "--weights", "none", "--weights-dir", "."], ["--weights none it has no effect"]),
        (["probe", "--weights", "none", "--weights-dir", "."], ["--weights none it has no effect"]),
        (["leaderboard", "no/such/run"], ["no/such/run", "run.yaml"]),
        (["resume", "no/such/run"], ["no/such/run", "run.yaml"]),
        (["inspect", "no/such/folder"], ["no/such/folder"]),
        (["models", "googelnet"], ["googelnet", "googlenet"]),
        (["spaces", "googelnet_full"], ["googelnet_full", "googlenet_full"]),
    ],
    ids=lambda value: "-".join(value)[:60] if isinstance(value, list) else None,
)
def test_a_mistake_is_answered_in_a_line_with_the_value_and_the_remedy(words, parts, tmp_path, here):
    result = here(*words)
    assert result.returncode == 2
    assert "Traceback" not in result.stderr + result.stdout
    assert all(part in result.stderr for part in parts), result.stderr
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("trial.suggest_float('lerning_rate', 1e-4, 1e-2)", ["lerning_rate", "learning_rate"]),
        ("trial.suggest_float('dropout', 0.0, 1.5)", ["dropout", "0.99"]),
        ("trial.suggest_int('unfreeze_at', 1, 3)", ["unfreeze_at", "gradual_unfreeze"]),
        ("raise RuntimeError('oh')", ["RuntimeError", "oh"]),
    ],
)
def test_a_space_that_can_not_be_run_is_refused_before_any_trial(tmp_path, here, line, parts):
    text = f'def space(trial):\n    {line}\n    return {{"model": "resnet18", "strategy": "full"}}\n'
    space = write_space(tmp_path, text)
    write_pictures(tmp_path / "pictures", {"a": 12, "b": 12})
    result = here("run", "--space", space, "--data", tmp_path / "pictures", "--weights", "none")
    assert result.returncode == 2
    assert all(part in result.stderr for part in parts), result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "runs").exists()


def test_a_run_on_own_images_without_weights_names_the_ways_out(tmp_path):
    write_pictures(tmp_path / "pictures", {"a": 12, "b": 12})
    environment = {"TORCH_HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    result = tuner(
        "run", "--space", "googlenet_full", "--data", tmp_path / "pictures", cwd=tmp_path, env=environment
    )
    if result.returncode == 0:
        pytest.skip("the weights could be downloaded")
    assert result.returncode == 2
    assert all(way in result.stderr for way in ("--weights none", "--weights FILE", "TORCH_HOME"))


@pytest.mark.parametrize("command", [("run",), ("run", "--space", "googlenet_full"), ("plan",), ("probe",)])
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ("no/such/folder",),
            "no/such/folder does not exist; --data no/such/folder must be a folder of images",
        ),
        ((".", "--groups", "none.csv"), "groups file none.csv can't be read"),
        ((".", "--labels", "none.csv"), "labels file none.csv can't be read"),
        ((".", "--without", "none.csv"), "--without file none.csv can't be read"),
    ],
)
def test_a_path_that_is_not_there_is_said_before_weights_that_are_missing(
    tmp_path, monkeypatch, command, options, said
):
    from click.testing import CliRunner

    from trainables.errors import DataProblem
    from trainables.models import selection
    from tuner.cli import commands

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(selection, "without_weights", list)
    data = options if command == ("probe",) else ("--data", *options)
    found = CliRunner().invoke(commands, [*command, *data])
    assert isinstance(found.exception, DataProblem)
    assert said in str(found.exception)
    assert list(tmp_path.iterdir()) == []
