"""Places that a person names to write to: tried before the work, so that nothing computed is lost for want of one."""

import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

from trainables.errors import InvalidValue

__all__ = ["is_taken", "try_folder", "try_target"]

ATTEMPTS = 5


def try_folder(path: Path, option: str = "") -> None:
    """Raise InvalidValue unless files can be written into the folder `path`, which need not be there yet.

    It is made, written to and removed again; `option` is what the message calls it.
    """
    with _said(path, option):
        for left in reversed(range(ATTEMPTS)):
            try:
                with _made(path):
                    _try(path / f".{uuid.uuid4().hex[:8]}.tmp")
            except FileNotFoundError:
                # Another process that tries the same place may just have removed it again.
                if not left:
                    raise
            else:
                return


def try_target(path: Path, option: str = "", *, parents: bool = True) -> None:
    """Raise InvalidValue unless `path` can be written beside its place and renamed to it.

    `parents` says that missing folders above it will be made.
    """
    with _said(path, option), _made(path.parent) if parents else contextlib.nullcontext():
        if path.is_dir():
            raise IsADirectoryError(0, "it is a folder")
        _try(path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp"))


def is_taken(path: Path) -> bool:
    """Whether there is something at `path`; a path that nothing can be at is free, and `try_target` refuses it."""
    return os.path.lexists(path)


@contextlib.contextmanager
def _said(path: Path, option: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InvalidValue(
            f"{option} {path}: nothing can be written there ({reason}); choose another place".lstrip()
        ) from error


@contextlib.contextmanager
def _made(folder: Path) -> Iterator[None]:
    """`folder` with all that is missing above it; what was made goes again."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    made: list[Path] = []
    try:
        for one in reversed(missing):
            with contextlib.suppress(FileExistsError):
                one.mkdir()
                made.append(one)
        yield
    finally:
        for one in reversed(made):
            # Somebody else may have put something into it meanwhile.
            with contextlib.suppress(OSError):
                one.rmdir()


def _try(file: Path) -> None:
    try:
        file.write_bytes(b"tuner was here")
    finally:
        with contextlib.suppress(OSError):
            file.unlink()
