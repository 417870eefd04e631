"""From a folder of images to batches: scan, split, cache, augment."""

import os
from pathlib import Path

from trainables.errors import DataProblem
from trainables.private import private_folder

__all__ = ["cache_home"]


def cache_home() -> Path:
    """Folder of everything that can be made anew: scans, images, samples. `TUNER_CACHE_DIR` overrides it.

    Where the user has no home that can be written, as in containers with any user id, it is a private one below
    the temporary folder. Raises DataProblem if there is none at all.
    """
    chosen = os.environ.get("TUNER_CACHE_DIR")
    try:
        if chosen:
            return Path(chosen).expanduser().absolute()
        return _usual() or private_folder() / "cache"
    except (OSError, RuntimeError) as error:
        raise DataProblem(
            f"no folder for the image cache ({error}); set TUNER_CACHE_DIR to the full path of one"
        ) from error


def _usual() -> Path | None:
    """The user's cache folder, if it can be written."""
    import platformdirs

    try:
        folder = Path(platformdirs.user_cache_dir("tuner"))
        # Without a home older platformdirs answer with a relative path, newer ones raise.
        if not folder.is_absolute():
            return None
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError):
        return None
    return folder if os.access(folder, os.W_OK | os.X_OK) else None
