"""Which backbones are looked at, which pretrained weights they have, and what is done where there are none.

A command names backbones ("auto", "small", "all", or names) and weights ("auto", "imagenet", "none", a file or a
folder); this module makes models with their weights of both, or says in one sentence what would be right.
"""

import functools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from trainables import models
from trainables.errors import InvalidValue, WeightsUnavailable
from trainables.folders import require_folder
from trainables.image_size import trouble_at
from trainables.models.candidates import CANDIDATES, SMALL_MILLIONS
from trainables.models.known import KNOWN, SPREAD
from trainables.wording import printable, some

__all__ = [
    "DOMINATED",
    "NAMED_SETS",
    "ONE_FILE",
    "RANDOM_WEIGHTS",
    "WITHOUT",
    "Origins",
    "Weights",
    "backbones_of",
    "fetch",
    "list_weights",
    "none_can",
    "settle_weights",
    "unused",
    "with_weights",
    "without_dominated",
    "without_weights",
]

NAMED_SETS = ("auto", "small", "all")
"""Words for several candidates."""

WITHOUT = "its pretrained weights are neither cached nor downloadable"

RANDOM_WEIGHTS = "--weights none (random weights)"
ONE_FILE = "--models NAME --weights FILE"
"""Ways out where there are no pretrained weights."""

FAR = 2 * SPREAD
"""In the logarithm of the error, how much worse a backbone has to be expected to be than one that is no slower to be
passed over."""

DOMINATED = "by published results "
"""How the reason begins why such a backbone is passed over."""


def backbones_of(wanted: str, device: str) -> tuple[str, ...]:
    """The models that `wanted` names: auto, small, all, or names with commas between.

    `small` are the candidates of up to `SMALL_MILLIONS` million parameters, `auto` those on a processor and all on a
    GPU. Raises UnknownName for a model that nobody has, InvalidValue for none at all.
    """
    if wanted in NAMED_SETS:
        small = wanted == "small" or (wanted == "auto" and device == "cpu")
        return tuple(one.name for one in CANDIDATES if not small or one.millions <= SMALL_MILLIONS)
    names = tuple(dict.fromkeys(name.strip() for name in wanted.split(",") if name.strip()))
    if not names:
        raise InvalidValue(f"--backbones {wanted!r} names no model; auto, small, all or names would")
    for name in names:
        models.check(name)
    return names


@dataclass(frozen=True)
class Origins:
    """Where each model has its weights from, why others have none, and sentences for the person who asked."""

    weights: Mapping[str, str]
    passed_over: Mapping[str, str]
    notes: tuple[str, ...] = ()


def with_weights(
    names: Sequence[str],
    weights: str,
    weights_dir: Path | None,
    image_size: int,
    ways: Sequence[str] = (),
) -> Origins:
    """Where each of the models `names` has its weights from; raises WeightsUnavailable if none has any.

    Models that take no images of `image_size` pixels are passed over; raises InvalidValue if none takes them. A file in
    `weights_dir` that does not fit its model raises WeightsUnavailable, too; files there that are named as none of the
    models are noted. `ways` are ways out that only the command at work has.
    """
    if weights == "none":
        return _that_take(dict.fromkeys(names, "none"), {}, image_size, ())
    if weights not in ("auto", "imagenet"):
        raise InvalidValue(
            f"--weights {weights} fits one model; a probe takes --weights-dir DIR, a search {ONE_FILE}"
        )
    folder = weights_dir and weights_dir.expanduser().resolve()
    if folder is not None:
        require_folder(folder, f"--weights-dir {printable(folder)} must be a folder of weights")
    origins = {name: models.weights_origin(name, str(folder)) if folder else "imagenet" for name in names}
    asked = [name for name, origin in origins.items() if origin == "imagenet"]
    for name in asked:
        models.check(name)
    missing = without_weights(asked)
    found = {name: origin for name, origin in origins.items() if name not in missing}
    for name, origin in found.items():
        if origin != "imagenet":
            models.create(name, 2, weights=origin)
    idle = [] if folder is None else unused(folder, names)
    if not found:
        where = "here" if folder is None else f"in {printable(folder)}"
        none = f"none of the {len(names)} backbones has pretrained weights {where}, cached or downloadable"
        raise WeightsUnavailable("; ".join([f"{none} ({some(names)})", *idle, ways_out(*ways)]))
    passed_over = {name: WITHOUT for name in names if name not in found}
    return _that_take(found, passed_over, image_size, tuple(idle))


def without_dominated(origins: Origins, device: str) -> Origins:
    """The same without candidates that are expected to be much worse than one that takes no longer on the `device`.

    Those are not fetched. One whose weights come from a file that a person gave is looked at.
    """

    def seconds(name: str) -> float | None:
        return KNOWN[name].processor if device == "cpu" else KNOWN[name].gpu

    reasons = {}
    rated = [name for name in origins.weights if name in KNOWN and seconds(name) is not None]
    for name in rated:
        if origins.weights[name] != "imagenet":
            continue
        better = [
            other
            for other in rated
            if (seconds(other) or 0.0) <= (seconds(name) or 0.0)
            and math.log(KNOWN[name].expected / KNOWN[other].expected) > FAR
        ]
        if better:
            best = min(better, key=lambda other: KNOWN[other].expected)
            fewer = 1 - KNOWN[best].expected / KNOWN[name].expected
            reasons[name] = f"{DOMINATED}{best} has {fewer:.0%} fewer errors and takes no longer"
    kept = {name: origin for name, origin in origins.weights.items() if name not in reasons}
    told = (
        (f"not fetched, since others are better and no slower by published results: {some(list(reasons))}",)
        if reasons
        else ()
    )
    return Origins(kept, {**origins.passed_over, **reasons}, (*origins.notes, *told))


def _that_take(
    weights: Mapping[str, str], passed_over: Mapping[str, str], image_size: int, notes: tuple[str, ...]
) -> Origins:
    """The same without the models that can't take images of that size; raises InvalidValue if none can."""
    failing = {name: trouble for name in weights if (trouble := trouble_at(name, image_size)) is not None}
    if len(failing) == len(weights):
        raise none_can(failing)
    fitting = {name: origin for name, origin in weights.items() if name not in failing}
    said = tuple(f"{name} is skipped: {trouble}" for name, trouble in failing.items())
    return Origins(fitting, {**passed_over, **failing}, (*notes, *said))


def none_can(failed: Mapping[str, str]) -> InvalidValue:
    """What to raise where every backbone has failed, each for the reason given."""
    name, reason = next(iter(failed.items()))
    return InvalidValue(f"none of the {len(failed)} backbones can be probed; {name}: {reason}")


def settle_weights(
    names: Sequence[str], weights: str, weights_dir: Path | None, *, sample: bool
) -> tuple[str, tuple[str, ...]]:
    """imagenet, none, or the path of a file or folder that fits all of `names`; and sentences for who asked.

    `sample`: on the drawn sample pictures training goes on without pretrained weights, and a sentence says so. Raises
    WeightsUnavailable or InvalidValue.
    """
    if weights_dir is not None:
        return _settle_folder(weights_dir, names)
    if weights in ("none", "imagenet"):
        if weights == "imagenet":
            _require_weights(names, alone=len(names) == 1)
        return weights, ()
    if weights != "auto":
        return _check_file(Path(weights).expanduser(), names), ()
    missing = without_weights(names)
    if not missing:
        return "imagenet", ()
    if not sample:
        _require_weights(missing, alone=len(names) == 1)
    return "none", (
        f"no pretrained weights for {some(missing)} here and none can be downloaded: training starts from"
        " random weights",
    )


def ways_out(*own: str) -> str:
    """What to do where there are no pretrained weights; `own` are ways that only the command at work has."""
    every = (
        "--weights-dir DIR with files named as the models",
        "TORCH_HOME or HF_HOME set to a folder of them",
    )
    return f"ways out: {'; '.join((*own, *every))}"


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


@functools.lru_cache(maxsize=256)
def num_parameters(name: str) -> int:
    """How many parameters the network of `name` has, with the head that it comes with."""
    from trainables.models.empty import without_numbers

    with without_numbers():
        return sum(parameter.numel() for parameter in models.source(name).build().parameters())


def _weights(name: str, folder: Path | None) -> Weights:
    origin, count = models.source(name), num_parameters(name)
    file = None if folder is None else models.weights_file(folder, name)
    if file is not None:
        return Weights(name, 4 * count / 1e6, "in the folder", str(file))
    here = origin.cached is not None and origin.cached() is not None
    return Weights(name, 4 * count / 1e6, "cached" if here else "not here", origin.url)


def _require_weights(names: Sequence[str], alone: bool) -> None:
    """Raise WeightsUnavailable if some of `names` have none; `alone`: the search has no other model than that."""
    if missing := without_weights(names):
        raise WeightsUnavailable(
            f"pretrained weights of {some(missing)} are neither cached nor downloadable;"
            f" {ways_out(RANDOM_WEIGHTS, '--weights FILE' if alone else ONE_FILE)}"
        )


def _settle_folder(folder: Path, names: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """The folder's path, once its files fit and every other of `names` has weights elsewhere."""
    folder = folder.expanduser()
    require_folder(folder, f"--weights-dir {printable(folder)} must be a folder of weights")
    own = {name: models.weights_file(folder, name) for name in names}
    _require_weights([name for name, file in own.items() if file is None], alone=len(names) == 1)
    for name, file in own.items():
        if file is not None:
            models.create(name, 2, weights=str(file.resolve()))
    return str(folder.resolve()), tuple(unused(folder, names))


def _check_file(path: Path, names: Sequence[str]) -> str:
    if not path.is_file():
        raise InvalidValue(f"--weights {path} is neither auto, imagenet, none nor a file")
    if len(names) > 1:
        raise InvalidValue(
            f"--weights {path} fits one model, but the space has {some(names)}; choose with --models"
        )
    models.create(names[0], 2, weights=str(path.resolve()))
    return str(path.resolve())
