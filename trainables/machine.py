"""What a worker needs of its machine: the run's images in a cache of the machine's own."""

import functools
import platform
from pathlib import Path

import pandas as pd

from trainables.config import RunContext
from trainables.data.cache import ImageCache, build_cache
from trainables.errors import TrialFailed
from trainables.storage import storage_of

__all__ = ["local_images"]


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
    hashes = [known[path] for path in paths]
    return ImageCache.open(build_cache(folder, paths, hashes, context.image_size, fit=context.fit))
