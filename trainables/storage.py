"""Where the files of living trials are: in the run directory, or in a bucket that every machine reaches.

In the run directory a trial writes alive/<trial>/ itself. With a bucket it writes a folder of its machine's, and
each file is sent after it is whole:

    <address>/split.parquet, images.parquet    what a machine without the run directory needs to start
    <address>/alive/<trial>/                   the files of trainables/checkpoint.py
"""

import hashlib
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit, urlunsplit

from trainables.checkpoint import BASE, best_name, settled
from trainables.config import RunContext
from trainables.errors import InvalidValue, TrialFailed
from trainables.private import private_folder

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

__all__ = [
    "Bucket",
    "RunFolder",
    "address_below",
    "check_address",
    "is_address",
    "open_storage",
    "storage_of",
    "try_out",
]

SCHEMES = ("s3", "gs", "gcs", "abfs", "abfss", "hdfs", "viewfs")
"""What pyarrow opens by an address."""

SHARED = ("split.parquet", "images.parquet")
"""What the driver shares with machines that do not see the run directory."""

SECONDS_TO_ARRIVE = 20.0
SECONDS_BETWEEN_LOOKS = 0.1


class RunFolder:
    """The run directory itself, which all machines see: nothing needs to be sent or fetched."""

    def __init__(self, run_dir: Path) -> None:
        self._run_dir = run_dir

    def enter(self, trial_id: str) -> Path:
        """The folder that a worker reads and writes for the trial, with what earlier workers left."""
        folder = self._run_dir / "alive" / trial_id
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def publish(self, trial_id: str, names: Sequence[str]) -> None:
        """Let others see the files `names` of the worker's folder, in this order; older best weights go."""

    def leave(self, trial_id: str) -> None:
        """Forget what this machine alone keeps of the trial."""

    def collect(self, trial_id: str, epoch: int, folder: Path) -> None:
        """Return when the best weights, those of `epoch`, are in the driver's `folder`, or can't be had."""
        settled(folder)

    def replace(self, trial_id: str, file: Path) -> None:
        """Let workers see a file of the trial that the driver wrote."""

    def forget(self, trial_id: str) -> None:
        """Delete what others see of the trial beside the driver's folder."""

    def keep_only(self, trials: Collection[str]) -> None:
        """`forget` all trials but these; the whole run, if there are none."""

    def share(self) -> None:
        """Let machines that do not see the run directory start trials."""

    def shared(self) -> Path:
        """A folder with the run's split and image hashes; raises TrialFailed if this machine sees none."""
        if not (self._run_dir / SHARED[0]).is_file():
            raise TrialFailed(
                f"{platform.node()} does not see the run directory {self._run_dir}; start the search with"
                " --storage: a folder that all machines share, or the address of a bucket"
            )
        return self._run_dir


class Bucket(RunFolder):
    """A folder behind one of pyarrow's filesystems, such as s3://bucket/runs/NAME; credentials are the machine's."""

    def __init__(self, run_dir: Path, address: str) -> None:
        """Open `address`; raises OSError or ValueError where pyarrow can't."""
        from pyarrow.fs import FileSystem

        super().__init__(run_dir)
        self._files, self._root = FileSystem.from_uri(address)
        mark = hashlib.sha256(address.encode()).hexdigest()[:16]
        self._scratch = private_folder() / mark

    def enter(self, trial_id: str) -> Path:
        """A folder of this machine's, filled with what the bucket holds of the trial."""
        folder = self._scratch / trial_id
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name in self._names(trial_id):
            self._get(f"alive/{trial_id}/{name}", folder / name)
        return folder

    def publish(self, trial_id: str, names: Sequence[str]) -> None:
        """Send the files, then delete the best weights that one of them replaces."""
        for name in names:
            self.replace(trial_id, self._scratch / trial_id / name)
        best = {name for name in names if _is_best(name)}
        for old in self._names(trial_id) if best else ():
            if _is_best(old) and old not in best:
                self._files.delete_file(f"{self._root}/alive/{trial_id}/{old}")

    def leave(self, trial_id: str) -> None:
        """Delete the machine's own folder."""
        shutil.rmtree(self._scratch / trial_id, ignore_errors=True)

    def collect(self, trial_id: str, epoch: int, folder: Path) -> None:
        """Fetch the weights, for which a worker that still sends them is given time."""
        name, deadline = best_name(epoch), time.monotonic() + SECONDS_TO_ARRIVE
        while name not in (there := self._names(trial_id)):
            if time.monotonic() > deadline:
                return
            time.sleep(SECONDS_BETWEEN_LOOKS)
        for wanted in {name, BASE} & set(there):
            self._get(f"alive/{trial_id}/{wanted}", folder / wanted)

    def replace(self, trial_id: str, file: Path) -> None:
        """Send one file."""
        self.send(file, f"alive/{trial_id}/{file.name}")

    def forget(self, trial_id: str) -> None:
        """Delete the trial's folder in the bucket."""
        self._delete(f"alive/{trial_id}")

    def keep_only(self, trials: Collection[str]) -> None:
        """Delete the folders of all other trials, or the run's whole folder."""
        if not trials:
            self._delete("")
            return
        for trial_id in set(self._list("alive")) - set(trials):
            self.forget(trial_id)

    def share(self) -> None:
        """Send what a machine needs that does not see the run directory."""
        for name in SHARED:
            self.send(self._run_dir / name, name)

    def shared(self) -> Path:
        """A folder of this machine's that holds what the driver shared."""
        self._scratch.mkdir(parents=True, exist_ok=True)
        for name in SHARED:
            if not (self._scratch / name).exists():
                self._get(name, self._scratch / name)
        return self._scratch

    def send(self, file: Path, name: str) -> None:
        """Write the local `file` as `name`; a reader never sees half of it."""
        from pyarrow.fs import LocalFileSystem

        target = f"{self._root}/{name}"
        # An object appears when it is whole; a file grows.
        grows = self._files.type_name in ("hdfs", "local")
        self._files.create_dir(target.rpartition("/")[0], recursive=True)
        self._copy(str(file), LocalFileSystem(), f"{target}.part" if grows else target, self._files)
        if grows:
            self._files.move(f"{target}.part", target)

    def _get(self, name: str, target: Path) -> None:
        from pyarrow.fs import LocalFileSystem

        # Processes of one machine may fetch the same file at once.
        part = target.with_name(f".{target.name}.{os.getpid()}.part")
        self._copy(f"{self._root}/{name}", self._files, str(part), LocalFileSystem())
        part.replace(target)

    def _copy(self, source: str, here: "FileSystem", target: str, there: "FileSystem") -> None:
        from pyarrow.fs import copy_files

        copy_files(source, target, source_filesystem=here, destination_filesystem=there)

    def _names(self, trial_id: str) -> list[str]:
        return [name for name in self._list(f"alive/{trial_id}") if not name.endswith(".part")]

    def _list(self, name: str) -> list[str]:
        from pyarrow.fs import FileSelector

        selector = FileSelector(f"{self._root}/{name}", allow_not_found=True)
        return [found.base_name for found in self._files.get_file_info(selector)]

    def _delete(self, name: str) -> None:
        from pyarrow.fs import FileType

        folder = f"{self._root}/{name}".rstrip("/")
        if self._files.get_file_info(folder).type != FileType.NotFound:
            self._files.delete_dir(folder)


def storage_of(context: RunContext) -> RunFolder:
    """Where the files of the run's living trials are."""
    return open_storage(Path(context.run_dir), context.storage)


def open_storage(run_dir: Path, address: str) -> RunFolder:
    """The bucket at `address`, or the run directory itself where there is none."""
    return Bucket(run_dir, address) if address else RunFolder(run_dir)


def is_address(storage: str) -> bool:
    """Whether `storage` is a bucket's address and not a folder's path."""
    return "://" in storage and not storage.startswith("file://")


def check_address(address: str) -> None:
    """Raise InvalidValue for an address that pyarrow does not know, or that holds a secret."""
    parts = urlsplit(address)
    if parts.scheme not in SCHEMES:
        raise InvalidValue(
            f"--storage {parts.scheme}://...: known addresses begin with {', '.join(SCHEMES)}; or give a folder"
        )
    if "@" in parts.netloc and parts.scheme in ("s3", "gs", "gcs"):
        raise InvalidValue(
            f"--storage {parts.scheme}://...@...: leave the keys out, run.yaml would hold them; every machine takes"
            " its own from where the bucket's own tools look, such as AWS_ACCESS_KEY_ID"
        )


def address_below(address: str, name: str) -> str:
    """The address of the folder `name` below `address`; what means something in an address is escaped."""
    parts = urlsplit(address)
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{quote(name)}"))


def try_out(address: str) -> None:
    """Raise InvalidValue unless files can be written to `address`, of which nothing is left afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "hello"
        file.write_text("hello", encoding="ascii")
        try:
            bucket = Bucket(Path(folder), address)
            bucket.send(file, file.name)
            bucket.keep_only(())
        except (OSError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise InvalidValue(f"--storage {address}: nothing can be written there ({reason})") from error


def _is_best(name: str) -> bool:
    return name.startswith("best-")
