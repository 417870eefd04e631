"""Folders that a person names."""

import os
from pathlib import Path

from trainables.errors import DataProblem
from trainables.wording import printable

__all__ = ["reason_of", "require_folder"]


def require_folder(folder: Path, expected: str) -> None:
    """Raise DataProblem unless `folder` is one that can be opened and whose name is UTF-8."""
    shown = printable(folder)
    try:
        is_folder, exists = folder.is_dir(), folder.exists()
        if is_folder:
            with os.scandir(folder):
                pass
    except OSError as error:
        raise DataProblem(f"{shown} can't be opened: {reason_of(error)}") from error
    if not is_folder:
        raise DataProblem(f"{shown} {'is not a folder' if exists else 'does not exist'}; {expected}")
    if shown != str(folder):
        raise DataProblem(f"{shown} is no valid UTF-8, so it can't be written down; rename the folder")


def reason_of(error: OSError) -> str:
    """What the system says of `error`, without the path."""
    return (error.strerror or str(error)).lower()
