"""Which pretrained weights there are, and where others come from; fetched ahead, for nodes without a network."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from trainables import models
from trainables.errors import WeightsUnavailable
from trainables.folders import require_folder
from trainables.wording import printable, some

__all__ = ["Weights", "fetch", "list_weights", "unused", "without_weights"]


@dataclass(frozen=True)
class Weights:
    """The pretrained weights of one model.

    `state` is "in the folder", "cached" or "not here"; `source` the file or the address that they come from.
    `megabytes` is what they take, in millions of bytes, in single precision and with the 1000-class head.
    """

    model: str
    megabytes: float
    state: str
    source: str


def list_weights(names: Sequence[str], folder: Path | None = None) -> list[Weights]:
    """A row for each of the models `names`; nothing is fetched and no server is asked.

    `folder` holds state dicts named as the models. Raises UnknownName, or DataProblem for a folder that is none.
    """
    if folder is not None:
        require_folder(folder, f"--weights-dir {printable(folder)} must be a folder of weights")
    return [_weights(name, folder) for name in names]


def fetch(rows: Sequence[Weights], told: Callable[[Weights, str], None]) -> int:
    """Fetch what is not here into the libraries' own caches; how many failed.

    `told` hears of each with "fetched" or the reason why not.
    """
    failed = 0
    for row in rows:
        if row.state != "not here":
            continue
        try:
            models.create(row.model, 2, weights="imagenet")
        except WeightsUnavailable as error:
            failed += 1
            told(row, str(error))
        else:
            told(row, "fetched")
    return failed


def without_weights(names: Sequence[str]) -> list[str]:
    """Those of the models `names` whose weights are neither cached nor downloadable; all servers are asked at once."""
    with ThreadPoolExecutor(max_workers=max(1, len(names))) as pool:
        available = list(pool.map(models.weights_available, names))
    return [name for name, there in zip(names, available, strict=True) if not there]


def unused(folder: Path, names: Iterable[str]) -> list[str]:
    """A sentence on the files of weights in `folder` that are of none of the models `names`, if there are some."""
    used = {models.weights_file(folder, name) for name in names}
    idle = [printable(file.name) for file in models.weights_files(folder) if file not in used]
    where = printable(folder)
    return [f"in {where}, not used, since no model of that name is looked for: {some(idle)}"] if idle else []


def _weights(name: str, folder: Path | None) -> Weights:
    import torch

    origin = models.source(name)
    with torch.device("meta"):
        count = sum(parameter.numel() for parameter in origin.build().parameters())
    file = None if folder is None else models.weights_file(folder, name)
    if file is not None:
        return Weights(name, 4 * count / 1e6, "in the folder", str(file))
    here = origin.cached is not None and origin.cached() is not None
    return Weights(name, 4 * count / 1e6, "cached" if here else "not here", origin.url)
