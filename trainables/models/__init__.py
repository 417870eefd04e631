"""Models by name: torchvision's with one file a family, and any of timm's as `timm:NAME`.

A family file registers functions that return a `Source`; it imports torch inside them only, so that names can
be listed and checked without torch.
"""

import difflib
import functools
import importlib
import importlib.util
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from trainables.errors import InvalidValue, UnknownName, UserMistake
from trainables.models import candidates
from trainables.models.candidates import TIMM_PREFIX
from trainables.models.source import Source
from trainables.wording import some

if TYPE_CHECKING:
    import torch

    from trainables.models.classifier import Classifier

__all__ = [
    "Source",
    "check",
    "create",
    "fetch",
    "has_auxiliary",
    "names",
    "num_stages",
    "register",
    "source",
    "weights_available",
    "weights_file",
    "weights_files",
    "weights_origin",
]

TAGS_SHOWN = 5
WEIGHTS_SUFFIXES = (".safetensors", ".pt", ".pth")
_SUPPORT = {
    "candidates",
    "classifier",
    "empty",
    "known",
    "source",
    "stages",
    "torchvision_weights",
    "timm_models",
    "weights",
}


@dataclass(frozen=True)
class _Entry:
    make: Callable[[], Source]
    num_stages: int
    auxiliary: bool


_ENTRIES: dict[str, _Entry] = {}


def register(
    name: str, *, num_stages: int, auxiliary: bool = False
) -> Callable[[Callable[[], Source]], Callable[[], Source]]:
    """A decorator that registers a function returning the `Source` of `name`, and returns the function.

    `num_stages` is stated so that a space can be checked without building the network.
    """

    def remember(make: Callable[[], Source]) -> Callable[[], Source]:
        _ENTRIES[name] = _Entry(make, num_stages, auxiliary)
        return make

    return remember


def names() -> tuple[str, ...]:
    """Every registered model, sorted; timm's are not among them. Imports no torch."""
    return tuple(sorted(_entries()))


def num_stages(name: str) -> int:
    """How many stages the backbone of `name` has; of a timm model that is no candidate: at most. Imports no torch."""
    if not name.startswith(TIMM_PREFIX):
        return _entry(name).num_stages
    known = candidates.find(name)
    return candidates.TIMM_MAX_STAGES if known is None else known.num_stages


def has_auxiliary(name: str) -> bool:
    """Whether `name` has auxiliary heads to train. Imports no torch."""
    return not name.startswith(TIMM_PREFIX) and _entry(name).auxiliary


def check(name: str) -> None:
    """Raise UnknownName for a model that nobody has, UserMistake for a timm model without timm."""
    if not name.startswith(TIMM_PREFIX):
        _entry(name)
        return
    wanted = name.removeprefix(TIMM_PREFIX)
    if importlib.util.find_spec("timm") is None:
        raise UserMistake(f"model {name!r} needs timm: pip install timm")
    if candidates.find(name) is not None:
        return
    import timm

    try:
        # None also for the names of earlier versions, which timm only keeps to tell today's.
        settings = timm.get_pretrained_cfg(wanted) if timm.is_model(wanted) else None
    except RuntimeError as error:
        network, _, tag = wanted.partition(".")
        tags = [name.partition(".")[2] for name in timm.list_models(network, include_tags=True)]
        raise UnknownName(
            f"no weights {tag!r} of timm model {network!r}; it has {some(tags, TAGS_SHOWN)}"
        ) from error
    if settings is None:
        near = difflib.get_close_matches(wanted, timm.list_models(), n=3)
        hint = f"did you mean {', '.join(map(repr, near))}?" if near else "see timm.list_models()"
        raise UnknownName(f"unknown timm model {wanted!r}; {hint}")


def source(name: str) -> Source:
    """How the network of `name` is built and taken apart; raises what `check` raises."""
    check(name)
    if name.startswith(TIMM_PREFIX):
        from trainables.models.timm_models import timm_source

        return timm_source(name.removeprefix(TIMM_PREFIX))
    return _entry(name).make()


def weights_available(name: str) -> bool:
    """Whether ImageNet weights of `name` are cached, or can be downloaded right now; asks for a few seconds at most.

    Of a candidate without importing timm or torchvision, which takes seconds itself.
    """
    repository, url = candidates.hub_id(name), candidates.torchvision_url(name)
    if repository is None and url is None:
        return source(name).available()
    from trainables.models import timm_models, weights

    return timm_models.on_hub(repository) if repository else weights.cached_or_reachable(str(url))


def weights_file(folder: Path, name: str) -> Path | None:
    """The file of weights of `name` in `folder`: named as the model, a timm model with or without its prefix.

    The tag that timm takes where none is given may be missing in `name` or in the file's name, unless that is then the
    name of another model. Of several the first of .safetensors, .pt, .pth. Imports no torch where no tag is missing.
    """
    plain = name.removeprefix(TIMM_PREFIX)
    found = _first_file(folder, dict.fromkeys((name, plain)))
    if found is not None or not name.startswith(TIMM_PREFIX):
        return found
    architecture, _, tag = plain.partition(".")
    stems = {file.stem.removeprefix(TIMM_PREFIX) for file in weights_files(folder)}
    if not any(stem.partition(".")[0] == architecture for stem in stems):
        return None
    import timm

    usual = getattr(timm.get_pretrained_cfg(architecture), "tag", None)
    if not usual or tag not in ("", usual):
        return None
    other = architecture if tag else f"{architecture}.{usual}"
    return _first_file(folder, [TIMM_PREFIX + other, *([] if other in _entries() else [other])])


def weights_files(folder: Path) -> list[Path]:
    """The files in `folder` that end as weights do, by name."""
    return sorted(file for file in folder.iterdir() if file.suffix in WEIGHTS_SUFFIXES and file.is_file())


def _first_file(folder: Path, stems: Iterable[str]) -> Path | None:
    files = (folder / f"{stem}{suffix}" for stem in stems for suffix in WEIGHTS_SUFFIXES)
    return next((file for file in files if file.is_file()), None)


def weights_origin(name: str, weights: str) -> str:
    """Where `name` has its weights from under `weights`: "imagenet", "none" or a file.

    A folder stands for its file of that model; a model without one there is looked for where its library keeps its
    weights.
    """
    if weights in ("imagenet", "none"):
        return weights
    folder = Path(weights).expanduser()
    if not folder.is_dir():
        return weights
    found = weights_file(folder, name)
    return "imagenet" if found is None else str(found)


def create(
    name: str,
    num_classes: int,
    *,
    weights: str = "none",
    dropout: float = 0.2,
    auxiliary: bool = False,
    seed: int = 0,
) -> "Classifier":
    """A classifier on the backbone of `name`, its heads new.

    `weights` is "imagenet", "none" or a file: a plain state dict of this network, or one of a Classifier,
    heads included; or a folder of such files, see `weights_origin`. Random weights of the backbone follow from
    `seed` alone, so that trials of a run share them (and a cache of frozen features); those of the heads come from
    torch's global generator. Raises UnknownName, InvalidValue (auxiliary heads where there are none),
    WeightsUnavailable.
    """
    from trainables.models import weights as files
    from trainables.models.classifier import Classifier

    origin = source(name)
    weights = weights_origin(name, weights)
    if auxiliary and origin.auxiliary is None:
        raise InvalidValue(f"model {name!r} has no auxiliary heads; only googlenet has")
    state = _state(name, weights)
    own = state is not None and any(key.startswith(files.OWN_PREFIX) for key in state)
    network = _build(origin, seed, on_meta=state is not None and origin.on_meta)
    if state is not None and not own:
        files.load_network(network, state, origin.heads, f"--weights {weights!r} for {name}")
    width = origin.width if isinstance(origin.width, int) else origin.width(network)
    backbone = origin.trunk(network)
    # The heads before the auxiliary ones: full and full_aux of one seed start from the same head.
    classifier = Classifier(
        backbone,
        width,
        num_classes,
        (),
        dropout=dropout,
        mean=origin.mean,
        std=origin.std,
        aux_inputs=origin.aux_inputs,
        layout=origin.layout if isinstance(origin.layout, str) else origin.layout(network),
    )
    if auxiliary and origin.auxiliary is not None:
        classifier.auxiliary.extend(origin.auxiliary(num_classes))
    if state is not None and own:
        files.load_classifier(
            classifier, state, f"--weights {weights!r} for {name} with {num_classes} classes"
        )
    classifier.stages = origin.stages(backbone)
    return classifier


def fetch(name: str) -> "Mapping[str, torch.Tensor]":
    """The pretrained state dict of `name`, fetched unless its file is here; raises WeightsUnavailable if that fails."""
    from trainables.models.weights import download

    origin = source(name)
    return download(name, origin.pretrained, origin.cached)


def _state(name: str, weights: str) -> "Mapping[str, torch.Tensor] | None":
    from trainables.models.weights import read

    if weights in ("none", "imagenet"):
        return fetch(name) if weights == "imagenet" else None
    return read(Path(weights).expanduser())


def _build(origin: Source, seed: int, on_meta: bool) -> "torch.nn.Module":
    """The network with random weights of its own seed, or with none at all on the meta device."""
    import torch

    if on_meta:
        from trainables.models.empty import without_numbers

        with without_numbers():
            return origin.build()
    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed: that would reseed the GPUs' generators, which the fork does not restore.
        torch.default_generator.manual_seed(seed)
        return origin.build()


def _entry(name: str) -> _Entry:
    entries = _entries()
    if name not in entries:
        if _timms(name):
            raise UnknownName(f"unknown model {name!r}; did you mean {TIMM_PREFIX + name!r}?")
        raise UnknownName.of("model", name, [*entries, TIMM_PREFIX + "NAME"])
    return entries[name]


def _timms(name: str) -> bool:
    """Whether timm has a model of that name; False without timm."""
    if importlib.util.find_spec("timm") is None:
        return False
    import timm

    return bool(timm.is_model(name))


def _entries() -> dict[str, _Entry]:
    _discover()
    return _ENTRIES


@functools.cache
def _discover() -> None:
    for module in pkgutil.iter_modules(__path__):
        if module.name not in _SUPPORT:
            importlib.import_module(f"{__name__}.{module.name}")
