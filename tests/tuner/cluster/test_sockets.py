import stat
import sys
from pathlib import Path

import pytest

from tuner.cluster import sockets
from tuner.cluster.sockets import fits, ray_folder
from tuner.errors import ClusterProblem
from tuner.runs.hardware import usual_ray_folder


@pytest.fixture
def plain(monkeypatch):
    for name in ("TMPDIR", "RAY_TMPDIR"):
        monkeypatch.delenv(name, raising=False)


def test_the_usual_folder_will_do_where_its_sockets_fit(plain):
    assert fits(usual_ray_folder())
    with ray_folder() as folder:
        assert folder is None


@pytest.mark.parametrize("variable", ["TMPDIR", "RAY_TMPDIR"])
def test_a_long_tmpdir_is_left_for_a_short_private_folder_that_goes_again(
    plain, tmp_path, monkeypatch, variable
):
    place = tmp_path / ("d" * 80)
    place.mkdir()
    monkeypatch.setenv(variable, str(place))
    with ray_folder() as folder:
        assert fits(Path(folder))
        assert stat.S_IMODE(Path(folder).stat().st_mode) == 0o700
        (Path(folder) / "session").mkdir()
    assert not Path(folder).exists()


@pytest.mark.parametrize("place", ["relative", "/dev/null/below"])
def test_a_tmpdir_that_can_not_be_used_is_left_too(plain, monkeypatch, place):
    monkeypatch.setenv("TMPDIR", place)
    with ray_folder() as folder:
        assert folder is not None


def test_where_no_place_will_do_tmpdir_is_named(plain, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path / ("d" * 80)))
    monkeypatch.setattr(sockets, "SHORT", ("/dev/null/a", str(tmp_path)))
    monkeypatch.setattr(sockets, "BELOW", "/" + "s" * 100)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(ClusterProblem, match="set TMPDIR to a short folder"), ray_folder():
        pass
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(("system", "most"), [("linux", 107), ("darwin", 103)])
def test_the_limit_is_the_systems(monkeypatch, system, most):
    monkeypatch.setattr(sys, "platform", system)
    longest = most - len(sockets.BELOW)
    assert fits(Path("/" + "x" * (longest - 1)))
    assert not fits(Path("/" + "x" * longest))
    assert not fits(Path("/" + "é" * (longest // 2 + 1)))
