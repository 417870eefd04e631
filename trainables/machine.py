"""What a machine other than the driver's needs to run trials: the run directory, and images in its own cache."""

import functools
import platform
from pathlib import Path

import pandas as pd

from trainables.config import RunContext
from trainables.data.cache import ImageCache, build_cache
from trainables.errors import TrialFailed

__all__ = ["local_images", "require_run"]


def require_run(context: RunContext) -> None:
    """Raise TrialFailed if this machine does not see the run directory."""
    if not (Path(context.run_dir) / "split.parquet").is_file():
        raise TrialFailed(
            f"{platform.node()} does not see the run directory {context.run_dir};"
            " start the search with --storage FOLDER, a folder that all machines share"
        )


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
    run = Path(context.run_dir)
    split, images = pd.read_parquet(run / "split.parquet"), pd.read_parquet(run / "images.parquet")
    known = dict(zip(images["path"], images["pixels"], strict=True))
    paths = [str(path) for path in split.loc[split["split"] != "test", "path"]]
    return ImageCache.open(build_cache(folder, paths, [known[path] for path in paths], context.image_size))
