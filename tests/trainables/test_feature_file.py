"""A file of features: rows come back as they were written, and only what the mask vouches for counts."""

import numpy as np
import pytest

from trainables.feature_file import FeatureFile, Gaps
from trainables.feature_room import size_on_disk


def numbers(rows, width=3):
    """Features that say which row they are of."""
    return (
        np.repeat(np.asarray(rows, np.float32)[:, None], width, 1) + np.arange(width, dtype=np.float32) / 10
    )


def test_rows_come_back_once_they_are_vouched_for(tmp_path):
    rows = np.array([1, 2, 5, 6, 7, 9])
    with FeatureFile.locked(tmp_path / "a" / "v.f32", 10, 3) as file:
        file.write(rows, numbers(rows))
        assert not file.holds(rows).any()
        file.vouch(rows[1:])
    with FeatureFile.locked(tmp_path / "a" / "v.f32", 10, 3) as file:
        assert file.holds(np.arange(10)).nonzero()[0].tolist() == [2, 5, 6, 7, 9]
        wanted = np.array([7, 2, 7, 9])
        assert (file.read(wanted) == numbers(wanted)).all()
        assert file.read(np.array([], int)).shape == (0, 3)


@pytest.mark.parametrize("changed", ["width", "mask", "missing", "short"])
def test_files_of_another_size_are_begun_anew(tmp_path, changed):
    path, rows = tmp_path / "v.f32", np.arange(4)
    with FeatureFile.locked(path, 10, 3) as file:
        file.write(rows, numbers(rows))
        file.vouch(rows)
    mask = path.with_suffix(".mask")
    if changed == "mask":
        mask.write_bytes(b"\1")
    elif changed == "missing":
        path.unlink()
    elif changed == "short":
        path.write_bytes(b"\1")
    with FeatureFile.locked(path, 10, 4 if changed == "width" else 3) as file:
        assert not file.holds(np.arange(10)).any()
        assert mask.stat().st_size == 10


def test_rows_that_nobody_filled_take_no_room(tmp_path):
    path, rows = tmp_path / "v.f32", np.array([0])
    with FeatureFile.locked(path, 10_000, 1024) as file:
        file.write(rows, numbers(rows, 1024))
        file.vouch(rows)
    assert path.stat().st_size == 10_000 * 4096
    assert size_on_disk(path.stat()) < 2**20


def test_each_missing_row_is_computed_once_and_put_wherever_it_is_wanted():
    rows = np.array([5, 3, 5, 9, 3, 1])
    gaps = Gaps(rows, np.array([False, False, False, True, False, False]))
    assert gaps.rows.tolist() == [1, 3, 5]
    found = np.full((6, 3), -1, np.float32)
    for start in range(3):
        gaps.put(found, start, numbers(gaps.rows[start : start + 1]))
    assert (found[[0, 1, 2, 4, 5]] == numbers(rows[[0, 1, 2, 4, 5]])).all()
    assert (found[3] == -1).all()
