"""A trial's files while it lives: resume state and best weights, written beside the training.

alive/<trial>/state.pt                resume state after the last written epoch
alive/<trial>/best-00007.safetensors  weights of the best epoch so far
alive/<trial>/split                   in how many parts a batch is computed, after an out-of-memory
"""

import contextlib
import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn

STATE = "state.pt"

WRITING = ".writing"
"""A file of this name stands beside the others while they are being written."""


def best_name(epoch: int) -> str:
    """File name of the best weights when `epoch` is the best."""
    return f"best-{epoch:05d}.safetensors"


class CheckpointWriter:
    """Writes one trial's files in a background thread, at most one job behind the training.

    A folder that has disappeared means that the trial is over: nothing is written then.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    def write(self, state: Mapping[str, Any], best: "tuple[int, Mapping[str, Tensor]] | None") -> None:
        """Write `state`, and `best` as (epoch, weights) if given, once the job before is done."""
        self.wait()
        snapshot = _copied(state)
        weights = None if best is None else (best[0], _copied(best[1]))
        with contextlib.suppress(FileNotFoundError):
            (self.folder / WRITING).touch()
        self._thread = threading.Thread(target=self._work, args=(snapshot, weights), daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Return when everything given so far is on disk; raises what the writing raised."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def _work(self, state: Mapping[str, Any], best: "tuple[int, Mapping[str, Tensor]] | None") -> None:
        import torch
        from safetensors.torch import save_file

        try:
            if best is not None:
                name = best_name(best[0])
                weights = {key: tensor.contiguous() for key, tensor in best[1].items()}
                _replace(self.folder / name, lambda file: save_file(weights, file))
                for old in self.folder.glob("best-*.safetensors"):
                    if old.name != name:
                        old.unlink(missing_ok=True)
            # Half of the cost of writing; the file is renamed when whole, so a checksum would find nothing.
            torch.serialization.set_crc32_options(False)
            _replace(self.folder / STATE, lambda file: torch.save(dict(state), file))
        except FileNotFoundError:
            return
        except (OSError, RuntimeError) as error:
            self._error = error
        finally:
            (self.folder / WRITING).unlink(missing_ok=True)


def read_state(folder: Path) -> dict[str, Any] | None:
    """The resume state in `folder`, or None before the first epoch."""
    if not (folder / STATE).exists():
        return None
    import torch

    state: dict[str, Any] = torch.load(folder / STATE, weights_only=True, map_location="cpu")
    return state


def read_split(folder: Path) -> int:
    """In how many parts a batch of this trial is to be computed; 1 unless memory ran out."""
    try:
        return int((folder / "split").read_text(encoding="ascii"))
    except (FileNotFoundError, ValueError):
        return 1


def write_split(folder: Path, parts: int) -> None:
    """Note in how many parts a batch of this trial is to be computed from now on."""
    temporary = folder / ".split"
    temporary.write_text(str(parts), encoding="ascii")
    temporary.replace(folder / "split")


def weights_of(model: "nn.Module") -> "dict[str, Tensor]":
    """The model's state_dict, detached."""
    return {name: tensor.detach() for name, tensor in model.state_dict().items()}


def settled(folder: Path, seconds: float = 20.0) -> None:
    """Return when nothing in `folder` is being written any more, or after `seconds` if a writer has died."""
    deadline = time.monotonic() + seconds
    while (folder / WRITING).exists() and time.monotonic() < deadline:
        time.sleep(0.01)


def _replace(path: Path, write: Callable[[str], None]) -> None:
    temporary = path.with_name(f".{path.name}")
    write(str(temporary))
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.replace(path)


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
