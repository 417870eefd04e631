"""What a worker needs of its machine: images in a cache of the machine's own, and memory that is not handed back."""

import ctypes
import functools
import platform
from pathlib import Path

import pandas as pd

from trainables.config import RunContext
from trainables.data.cache import ImageCache, build_cache
from trainables.errors import TrialFailed
from trainables.storage import storage_of

__all__ = ["keep_freed_memory", "local_images"]

M_TRIM_THRESHOLD, M_MMAP_MAX, NEVER = -1, -4, 2**31 - 1
"""Parameters of glibc's mallopt, and a threshold that is not reached."""


def keep_freed_memory() -> bool:
    """Let this process keep what it frees for its next batch; whether the C library could be told so.

    By default glibc returns each large tensor to the system and takes it back a moment later, page by page:
    GoogLeNet at 224 px spent a fifth of its time there. Source: mallopt(3).
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, TypeError, AttributeError):
        return False
    return bool(mallopt(M_MMAP_MAX, 0) and mallopt(M_TRIM_THRESHOLD, NEVER))


@functools.lru_cache(maxsize=2)
def local_images(context: RunContext) -> ImageCache:
    """Training and validation images in this machine's cache, built here on first use.

    Processes of one machine wait for the one that builds. Raises TrialFailed where the image folder is not seen,
    DataProblem if an image is not what the driver split.
    """
    if Path(context.cache).is_file():
        return ImageCache.open(Path(context.cache))
    folder = Path(context.data)
    if not context.data or not folder.is_dir():
        raise TrialFailed(
            f"{platform.node()} has neither the image cache {context.cache} nor the image folder"
            f" {context.data or '(not told)'}; put the images at the same path on every machine"
        )
    run = storage_of(context).shared()
    split, images = pd.read_parquet(run / "split.parquet"), pd.read_parquet(run / "images.parquet")
    known = dict(zip(images["path"], images["pixels"], strict=True))
    paths = [str(path) for path in split.loc[split["split"] != "test", "path"]]
    return ImageCache.open(build_cache(folder, paths, [known[path] for path in paths], context.image_size))
