import optuna
import pytest

from tuner.runs.journal import create_study, load_study


@pytest.fixture(autouse=True)
def verbosity():
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.DEBUG)
    yield
    optuna.logging.set_verbosity(before)


def test_opening_a_study_says_nothing_and_leaves_optuna_as_talkative_as_it_was(tmp_path, capfd):
    create_study(tmp_path / "journal", "val_loss")
    load_study(tmp_path / "journal")
    assert optuna.logging.get_verbosity() == optuna.logging.DEBUG
    assert capfd.readouterr().err == ""
