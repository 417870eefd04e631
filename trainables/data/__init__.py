"""From a folder of images to batches: scan, split, cache, augment."""

import os
from pathlib import Path

import platformdirs

__all__ = ["cache_home"]


def cache_home() -> Path:
    """Folder of everything that can be made anew: scans, images, samples. `TUNER_CACHE_DIR` overrides it."""
    chosen = os.environ.get("TUNER_CACHE_DIR")
    return Path(chosen).expanduser().absolute() if chosen else Path(platformdirs.user_cache_dir("tuner"))
