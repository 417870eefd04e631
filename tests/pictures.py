"""Tiny real data for tests: coloured noise in class folders, cached and split."""

from pathlib import Path

import cv2
import numpy as np

from trainables.data.cache import ImageCache, build_cache
from trainables.trial_data import TrialData, load_trial_data


def write_pictures(folder: Path, counts: dict[str, int], side: int = 40, seed: int = 0) -> list[str]:
    """Class folders of PNGs whose colour tells the class, through noise; their paths."""
    random = np.random.default_rng(seed)
    paths = []
    for number, (label, count) in enumerate(counts.items()):
        (folder / label).mkdir(parents=True, exist_ok=True)
        for index in range(count):
            noise = random.random((side, side, 3)) * 140
            picture = (noise + np.eye(3)[number % 3] * 110).astype(np.uint8)
            paths.append(f"{label}/{index:03d}.png")
            cv2.imwrite(str(folder / paths[-1]), picture)
    return paths


def stretch(folder: Path, factor: int = 3) -> None:
    """Make the PNGs below `folder` wide and tall by turns, `factor` times as long as they were."""
    for number, path in enumerate(sorted(folder.rglob("*.png"))):
        picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        height, width = picture.shape[:2]
        shape = (factor * width, height) if number % 2 else (width, factor * height)
        cv2.imwrite(str(path), cv2.resize(picture, shape, interpolation=cv2.INTER_NEAREST))


def trial_data(folder: Path, counts: dict[str, int] | None = None, image_size: int = 32) -> TrialData:
    """Three classes of pictures below `folder`, every fourth for validation."""
    counts = counts or {"blue": 12, "green": 12, "red": 8}
    paths = write_pictures(folder / "pictures", counts)
    built = build_cache(folder / "pictures", paths, paths, image_size, cache_dir=folder / "cache")
    rows = [(path, path.split("/")[0], "val" if int(path[-7:-4]) % 4 == 3 else "train") for path in paths]
    return load_trial_data(ImageCache.open(built), rows, tuple(counts))
