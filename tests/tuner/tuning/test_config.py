import pytest

from trainables.errors import InvalidValue
from tuner.tuning.config import SAMPLE_MAX_EPOCHS, resolve, search_config


@pytest.mark.parametrize(
    "name", ["", " ", "a/b", "/a", "..", ".", ".a", "a\nb", "a\0b", "a\\b", "-x", "a\udcff", "a\t"]
)
def test_a_name_that_is_no_plain_name_of_a_folder_is_refused(name):
    with pytest.raises(InvalidValue, match="--name"):
        search_config(space="all_models", name=name)


@pytest.mark.parametrize("name", ["r", "Kartoffel 7", "πατάτα", "a.b", "a-b_c", "50%#?"])
def test_a_plain_name_in_any_script_is_taken(name):
    assert search_config(space="all_models", name=name).name == name


@pytest.mark.parametrize("line", ["{'image_size': 100000}", "{'max_epochs': 10**9}", "{'samples': 10**30}"])
def test_a_spaces_own_defaults_have_the_same_ranges(tmp_path, line):
    space = tmp_path / "s.py"
    space.write_text(
        f"defaults = {line}\ndef space(trial):\n    return {{'model': 'resnet18', 'strategy': 'full'}}\n"
    )
    with pytest.raises(InvalidValue, match=r"default .* must be at most"):
        resolve(search_config(space=str(space)))


def test_sample_pictures_take_few_epochs_so_that_trials_end_in_the_first_minutes(tmp_path):
    assert resolve(search_config(space="googlenet_full")).max_epochs == SAMPLE_MAX_EPOCHS
    assert resolve(search_config(space="googlenet_full", max_epochs=12)).max_epochs == 12
    assert resolve(search_config(space="googlenet_full", data=tmp_path)).max_epochs == 50
