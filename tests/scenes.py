"""Pictures of scenes, several views of each: other sizes, qualities and light, as photographs are copied."""

from pathlib import Path

import cv2
import numpy as np


def write_scenes(folder: Path, counts: dict[str, int], views: int = 2, seed: int = 0) -> dict[str, str]:
    """Class folders of JPEGs of smooth scenes; the scene of every path. Each class has a tint of its own."""
    random = np.random.default_rng(seed)
    groups = {}
    for number, (label, count) in enumerate(counts.items()):
        (folder / label).mkdir(parents=True, exist_ok=True)
        for index in range(count):
            coarse = random.integers(40, 200, (9, 9, 3)) + 40 * np.eye(3)[number % 3]
            scene = cv2.resize(coarse.astype(np.uint8), (96, 96), interpolation=cv2.INTER_CUBIC)
            for view in range(views):
                side, light = int(random.integers(60, 97)), random.uniform(0.85, 1.0)
                picture = (cv2.resize(scene, (side, side), interpolation=cv2.INTER_AREA) * light).astype(
                    np.uint8
                )
                path = f"{label}/{index:03d}_{view}.jpg"
                cv2.imwrite(
                    str(folder / path), picture, [cv2.IMWRITE_JPEG_QUALITY, int(random.integers(60, 96))]
                )
                groups[path] = f"{label}-{index}"
    return groups
