"""A trial's files while it lives: resume state and best weights, written beside the training.

alive/<trial>/state.pt                resume state after the last written epoch
alive/<trial>/best-00007.safetensors  weights of the best epoch so far, without those in base.safetensors if it says so
alive/<trial>/base.safetensors        weights of what was frozen in the first epochs, written once
alive/<trial>/split                   in how many parts a batch is computed, after an out-of-memory
"""

import contextlib
import errno
import os
import re
import shutil
import threading
import time
from collections.abc import Callable, Mapping, Sequence, Set
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn

STATE, BASE, SPLIT = "state.pt", "base.safetensors", "split"

WRITING = ".writing"
"""A file of this name stands beside the others while they are being written."""


def best_name(epoch: int) -> str:
    """File name of the best weights when `epoch` is the best."""
    return f"best-{epoch:05d}.safetensors"


class CheckpointWriter:
    """Writes one trial's files in a background thread, at most one job behind the training.

    A folder that has disappeared means that the trial is over: nothing is written then. `publish` is called in the
    thread with the names of the files that have been written, the resume state last.
    """

    def __init__(self, folder: Path, publish: Callable[[Sequence[str]], None] | None = None) -> None:
        self.folder, self._publish = folder, publish
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None
        self._base: Set[str] | None = None

    def write(self, state: Mapping[str, Any], best: "tuple[int, Mapping[str, Tensor]] | None") -> None:
        """Write `state`, and `best` as (epoch, weights) if given, once the job before is done.

        Of `best`, what `state` says has not moved from the start is written once a trial, not once an epoch.
        """
        self.wait()
        files: dict[str, Mapping[str, Tensor]] = {}
        if best is not None:
            files = self._split(best[0], best[1], state.get("weights", best[1]))
        snapshot = _copied((state, files))
        with contextlib.suppress(FileNotFoundError):
            (self.folder / WRITING).touch()
        self._thread = threading.Thread(target=self._work, args=snapshot, daemon=True)
        self._thread.start()

    def _split(
        self, epoch: int, weights: "Mapping[str, Tensor]", moved: "Mapping[str, Tensor]"
    ) -> "dict[str, Mapping[str, Tensor]]":
        """What to write as the best weights by file name, in order."""
        name = best_name(epoch)
        if self._base is None:
            self._base = _names_in(self.folder / BASE)
        if not self._base and _size(moved) < _size(weights) / 2:
            self._base = weights.keys() - moved.keys()
            rest = {key: weights[key] for key in weights if key in self._base}
            return {BASE: rest, name: {key: weights[key] for key in moved}}
        if self._base.isdisjoint(moved):
            return {name: {key: tensor for key, tensor in weights.items() if key not in self._base}}
        return {name: weights}

    def wait(self) -> None:
        """Return when everything given so far is on disk; raises what the writing raised, whatever its class."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def _work(self, state: Mapping[str, Any], files: "Mapping[str, Mapping[str, Tensor]]") -> None:
        """What the thread does. Nothing may end it unheard: `wait` raises whatever is raised here."""
        try:
            try:
                self._write(state, files)
            finally:
                (self.folder / WRITING).unlink(missing_ok=True)
        except FileNotFoundError as error:
            # The trial is over once its folder has gone; while it is there, something else is missing.
            self._error = error if self.folder.exists() else None
        except BaseException as error:
            self._error = error

    def _write(self, state: Mapping[str, Any], files: "Mapping[str, Mapping[str, Tensor]]") -> None:
        import torch

        for name, weights in files.items():
            save_weights(weights, self.folder / name)
        for old in self.folder.glob("best-*.safetensors") if files else ():
            if old.name not in files:
                old.unlink(missing_ok=True)
        # Half of the cost of writing; the file is renamed when whole, so a checksum would find nothing.
        torch.serialization.set_crc32_options(False)
        _replace(self.folder / STATE, lambda file: _dump(dict(state), file))
        if self._publish is not None:
            self._publish([*files, STATE])


def _dump(state: dict[str, Any], file: str) -> None:
    import torch

    # A file of Python's, since torch's own reports a full disk as a RuntimeError without a number.
    with Path(file).open("wb") as opened:
        torch.save(state, opened)


def take_best(folder: Path, epoch: int, target: Path) -> bool:
    """Let the file `target` hold the best weights in `folder`, those of `epoch`, made whole; False if there are none.

    The trial keeps its own, for it may go on: files are replaced as a whole, so both may be the same on the disk.
    """
    source, base = folder / best_name(epoch), folder / BASE
    if not source.exists():
        return False
    if base.exists() and not _names_in(base) <= _names_in(source):
        from safetensors.torch import load_file

        save_weights({**load_file(base), **load_file(source)}, target)
        return True
    temporary = target.with_name(f".{target.name}.tmp")
    temporary.unlink(missing_ok=True)
    try:
        os.link(source, temporary)
    except OSError:
        # A file system that knows no links.
        shutil.copyfile(source, temporary)
    temporary.replace(target)
    # Of two names of one file the system leaves both.
    temporary.unlink(missing_ok=True)
    return True


def read_state(folder: Path) -> dict[str, Any] | None:
    """The resume state in `folder`, or None before the first epoch."""
    if not (folder / STATE).exists():
        return None
    import torch

    state: dict[str, Any] = torch.load(folder / STATE, weights_only=True, map_location="cpu")
    return state


def read_batch_parts(folder: Path) -> int:
    """In how many parts a batch of this trial is to be computed; 1 unless memory ran out."""
    try:
        return int((folder / SPLIT).read_text(encoding="ascii"))
    except (FileNotFoundError, ValueError):
        return 1


def write_batch_parts(folder: Path, parts: int) -> None:
    """Note in how many parts a batch of this trial is to be computed from now on."""
    temporary = folder / ".split"
    temporary.write_text(str(parts), encoding="ascii")
    temporary.replace(folder / SPLIT)


def weights_of(model: "nn.Module") -> "dict[str, Tensor]":
    """The model's state_dict, detached."""
    return {name: tensor.detach() for name, tensor in model.state_dict().items()}


def settled(folder: Path, seconds: float = 20.0) -> None:
    """Return when nothing in `folder` is being written any more, or after `seconds` if a writer has died."""
    deadline = time.monotonic() + seconds
    while (folder / WRITING).exists() and time.monotonic() < deadline:
        time.sleep(0.01)


def save_weights(weights: "Mapping[str, Tensor]", path: Path) -> None:
    """Write `weights` to the file `path`, which is whole or absent; raises OSError where that can't be done."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    laid_out = {key: tensor.contiguous() for key, tensor in weights.items()}
    try:
        _replace(path, lambda file: save_file(laid_out, file))
    except SafetensorError as error:
        # Python chooses the kind of OSError by the number: a full disk and a folder that has gone are known by it.
        number = re.search(r"os error (\d+)", str(error))
        raise OSError(int(number[1]) if number else errno.EIO, str(error), str(path)) from error


def _names_in(path: Path) -> Set[str]:
    """Names of the tensors in a file; none if there is no file."""
    if not path.exists():
        return frozenset()
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        return frozenset(file.keys())


def _size(weights: "Mapping[str, Tensor]") -> int:
    return sum(tensor.numel() for tensor in weights.values())


def _replace(path: Path, write: Callable[[str], None]) -> None:
    temporary = path.with_name(f".{path.name}")
    try:
        write(str(temporary))
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        # Half a file on a full disk would keep others from being written.
        temporary.unlink(missing_ok=True)
        raise


def _copied(value: Any) -> Any:
    """A deep copy of `value` with every tensor on the CPU, so that training may go on.

    Tensors keep their layout: turning channels_last round here would cost the training five times the copy.
    """
    from torch import Tensor

    if isinstance(value, Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, Mapping):
        return {key: _copied(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_copied(item) for item in value)
    return value
