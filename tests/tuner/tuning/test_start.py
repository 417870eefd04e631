import pytest
import ray
from pictures import write_pictures
from tiny import write_space

from tuner.errors import ClusterProblem
from tuner.tuning.config import search_config
from tuner.tuning.loop import search


def config_in(folder):
    write_pictures(folder / "pictures", {"a": 12, "b": 12})
    return search_config(
        space=str(write_space(folder)),
        data=folder / "pictures",
        weights="none",
        image_size=32,
        name="r",
        runs_dir=folder / "runs",
    )


def test_a_search_that_no_ray_starts_for_leaves_its_place_free(tmp_path, monkeypatch):
    def init(**_):
        raise OSError("AF_UNIX path length cannot exceed 107 bytes")

    monkeypatch.setattr(ray, "init", init)
    with pytest.raises(ClusterProblem, match="AF_UNIX"):
        search(config_in(tmp_path))
    assert not (tmp_path / "runs" / "r").exists()


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), KeyboardInterrupt()])
def test_whatever_ends_a_search_before_its_first_trial_leaves_its_place_free(tmp_path, monkeypatch, error):
    def refuse(path, timeout_s=None):
        raise error

    monkeypatch.setattr("tuner.runs.directory.locked", refuse)
    with pytest.raises(type(error)):
        search(config_in(tmp_path))
    assert not (tmp_path / "runs" / "r").exists()


@pytest.mark.parametrize("word", ["", "local"])
def test_rays_word_for_a_ray_of_ones_own_is_none_to_join(word):
    assert search_config(space="all_models", address=word).address is None
