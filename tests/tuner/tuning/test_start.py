import pytest
import ray
from pictures import write_pictures
from tiny import write_space

from tuner.errors import ClusterProblem
from tuner.tuning.config import SearchConfig
from tuner.tuning.loop import search


def test_a_search_that_no_ray_starts_for_leaves_its_place_free(tmp_path, monkeypatch):
    def init(**_):
        raise OSError("AF_UNIX path length cannot exceed 107 bytes")

    monkeypatch.setattr(ray, "init", init)
    write_pictures(tmp_path / "pictures", {"a": 12, "b": 12})
    config = SearchConfig(
        space=str(write_space(tmp_path)),
        data=tmp_path / "pictures",
        weights="none",
        image_size=32,
        name="r",
        runs_dir=tmp_path / "runs",
    )
    with pytest.raises(ClusterProblem, match="AF_UNIX"):
        search(config)
    assert not (tmp_path / "runs" / "r").exists()


@pytest.mark.parametrize("word", ["", "local"])
def test_rays_word_for_a_ray_of_ones_own_is_none_to_join(word):
    assert SearchConfig(space="all_models", address=word).address is None
