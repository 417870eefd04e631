import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tuner.dataset.reading import sample
from tuner.dataset.reading.scan import read_rgb, scan
from tuner.dataset.splitting import leaks, make_split, read_groups


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample, "LEAVES", {"early_blight": 3, "late_blight": 3, "healthy": 3})


@pytest.mark.usefixtures("few")
def test_the_same_seed_draws_the_same_files_and_another_does_not(tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        groups = sample.write_sample(tmp_path / name, seed)
        assert groups == tmp_path / f"{name}-groups.csv"
    files = sorted(p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*.jpg"))
    assert len(files) == 36
    assert all((tmp_path / "a" / f).read_bytes() == (tmp_path / "b" / f).read_bytes() for f in files)
    assert all((tmp_path / "a" / f).read_bytes() != (tmp_path / "c" / f).read_bytes() for f in files)
    assert read_rgb(tmp_path / "a" / files[0]).shape == (256, 256, 3)


@pytest.mark.usefixtures("few")
def test_the_sample_is_drawn_once_and_splits_by_leaf(own_cache: Path) -> None:
    folder, groups_csv = sample.sample_data()
    assert folder.is_relative_to(own_cache)
    stamp = folder.stat().st_mtime_ns
    assert sample.sample_data() == (folder, groups_csv)
    assert folder.stat().st_mtime_ns == stamp
    found = scan(folder)
    groups = read_groups(found, groups_csv, None)
    assert set(Counter(groups.values()).values()) == {4}
    split = make_split(found, groups)
    assert leaks(split) == 0
    assert not any(name.name.endswith(".tmp") for name in own_cache.iterdir())
    with groups_csv.open() as file:
        assert next(csv.reader(file)) == ["path", "group"]


def test_there_are_five_hundred_pictures_and_healthy_ones_are_rare() -> None:
    counts = np.array(list(sample.LEAVES.values())) * sample.VIEWS
    assert counts.sum() == 500
    assert sample.LEAVES["healthy"] / sample.LEAVES["early_blight"] == pytest.approx(0.152, abs=0.01)
