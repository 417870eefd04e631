"""Folders below the system's temporary one that nobody else can read, write or have made."""

import contextlib
import errno
import os
import stat
import tempfile
from pathlib import Path

__all__ = ["private_folder"]


def private_folder(name: str = "tuner") -> Path:
    """The user's own folder `name`-UID below the temporary folder, made with mode 0700 unless it is there.

    Raises PermissionError if what is there belongs to somebody else, or if others may enter it.
    """
    user = os.getuid()
    folder = Path(tempfile.gettempdir()) / f"{name}-{user}"
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    # Not of what a link points to: a link is not ours.
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != user:
        raise PermissionError(
            errno.EPERM, "it is no folder of this user's own; set TMPDIR to one", str(folder)
        )
    if found.st_mode & 0o077:
        raise PermissionError(errno.EPERM, "others may enter it; remove it, or chmod 700", str(folder))
    return folder
