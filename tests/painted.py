"""Fixtures of tests that read images: a cache of their own, and painted pictures."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing of a test lands in the cache of whoever runs it."""
    place = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("TUNER_CACHE_DIR", str(place))
    return place


@pytest.fixture
def paint() -> Callable[..., Path]:
    """Write a picture of noise that follows from `seed`."""

    def write(path: Path, seed: int = 0, size: tuple[int, int] = (12, 10)) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        random = np.random.default_rng(seed)
        Image.fromarray(random.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)).save(path)
        return path

    return write


@pytest.fixture
def two_classes(tmp_path: Path, paint: Callable[..., Path]) -> Path:
    """Twelve images each of cats and dogs."""
    folder = tmp_path / "pets"
    for i in range(12):
        paint(folder / "cat" / f"{i:02d}.png", seed=i)
        paint(folder / "dog" / f"{i:02d}.png", seed=100 + i)
    return folder
