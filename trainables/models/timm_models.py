"""Any model of timm, by its name there."""

import logging
import os
from collections.abc import Iterator, Mapping
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from trainables.models import weights
from trainables.models.candidates import TIMM_MAX_STAGES
from trainables.models.source import Source
from trainables.models.stages import Stage, stage_of

_FILES = ("model.safetensors", "pytorch_model.bin")

_SAFE = {"open_clip_pytorch_model.bin": "open_clip_model.safetensors"}
"""Files in safetensors that are named otherwise than those that they stand for."""

_NHWC_UNTOLD = ("VOLO",)
"""Networks whose stages put out [b, h, w, c] without an `output_fmt` that says so."""

_WORTH_A_STAGE = 0.001
"""Share of the backbone's parameters below which a child never opens a stage."""


def timm_source(name: str) -> Source:
    """How timm's `name` is built and taken apart."""
    import timm

    settings: Any = timm.get_pretrained_cfg(name)
    heads = settings.classifier or ()
    return Source(
        build=partial(_build, name),
        trunk=_trunk,
        width=_width,
        stages=_stages,
        heads=tuple(f"{head}." for head in ([heads] if isinstance(heads, str) else heads)),
        pretrained=partial(_pretrained, name, settings),
        available=partial(_available, settings),
        cached=partial(_cached, settings),
        url=_url(settings),
        mean=settings.mean,
        std=settings.std,
        image_size=settings.input_size[-1] if settings.fixed_input_size else Source.image_size,
        layout=_layout,
        on_meta=False,
    )


def _build(name: str, **how: Any) -> nn.Module:
    import timm

    settings: Any = timm.get_pretrained_cfg(name)
    if settings.fixed_input_size:
        try:
            return _padding(timm.create_model(name, dynamic_img_size=True, **how))
        except TypeError:
            logging.getLogger(__name__).debug("%s does not take dynamic_img_size", name)
    plain: nn.Module = timm.create_model(name, **how)
    return plain


def _padding(network: nn.Module) -> nn.Module:
    """The same, its images padded to whole patches where it can; Swin has no argument for that."""
    patches: Any = getattr(network, "patch_embed", None)
    if hasattr(patches, "dynamic_img_pad"):
        patches.dynamic_img_pad = True
    return network


def _pretrained(name: str, settings: Any) -> Mapping[str, Tensor]:
    """The state dict of the file on this machine, else of what timm fetches.

    A file that is here is named to timm, which would ask the server for a newer revision and load that: what a run
    starts from changes only when somebody replaces the file.
    """
    file = _cached(settings)
    if file is not None:
        # Only the .npz files of JAX want the loaders that some networks of timm have.
        here = {"file": str(file), "custom_load": file.suffix == ".npz"}
        return _build(name, pretrained=True, pretrained_cfg_overlay=here).state_dict()
    # huggingface_hub would retry for most of a minute, talking to stderr all the while.
    if not _available(settings):
        raise ConnectionError(f"{settings.hf_hub_id or settings.url} does not answer")
    return _build(name, pretrained=True).state_dict()


def on_hub(repository: str) -> bool:
    """Whether the weights in `repository` on Hugging Face are cached, or its server has them. Imports no timm."""
    offline = os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes", "on")
    return _cached_of_hub(repository) is not None or (not offline and weights.reachable(_address(repository)))


def _available(settings: Any) -> bool:
    if settings.hf_hub_id:
        return on_hub(settings.hf_hub_id)
    return bool(settings.url) and weights.cached_or_reachable(settings.url)


def _cached(settings: Any) -> Path | None:
    if settings.hf_hub_id:
        return _cached_of_hub(settings.hf_hub_id, settings.hf_hub_filename)
    return weights.cached(settings.url) if settings.url else None


def _cached_of_hub(repository: str, own: str | None = None) -> Path | None:
    """The file of `repository` that timm takes, `own` where its settings name one; None if it is not cached."""
    from huggingface_hub import try_to_load_from_cache

    # As timm.models._hub.load_state_dict_from_hf looks, which prefers safetensors.
    files = _FILES if own is None else (_SAFE.get(own, str(Path(own).with_suffix(".safetensors"))), own)
    name, _, revision = repository.partition("@")
    found = (try_to_load_from_cache(name, file, revision=revision or None) for file in files)
    return next((Path(file) for file in found if isinstance(file, str)), None)


def _url(settings: Any) -> str:
    return _address(settings.hf_hub_id) if settings.hf_hub_id else str(settings.url or "")


def _address(repository: str) -> str:
    return f"https://huggingface.co/{repository}/resolve/main/{_FILES[0]}"


def _trunk(network: nn.Module) -> nn.Module:
    reset: Any = network.reset_classifier
    reset(0)
    return network


def _layout(network: nn.Module) -> str:
    """NHWC where timm says so of the network or of its patches, else NCHW."""
    parts = (network, getattr(network, "patch_embed", None))
    told = {getattr(part, "output_fmt", None) for part in parts}
    # timm's Format is an enum of strings, some networks have the bare string.
    return "NHWC" if "NHWC" in told or type(network).__name__ in _NHWC_UNTOLD else "NCHW"


def _width(network: nn.Module) -> int:
    """Features per image once the classifier is gone; some models have a hidden layer after pooling."""
    settings: Any = network
    return int(getattr(settings, "head_hidden_size", None) or settings.num_features)


def _stages(network: nn.Module) -> tuple[Stage, ...]:
    """At most six stages, cut where timm says that a level of features ends; what has no levels is cut evenly."""
    children = list(_children(network, ""))
    bins = _by_levels(network, children) or _evenly(children)
    inside = {id(p) for _, module in children for p in module.parameters()}
    loose = [p for p in network.parameters() if id(p) not in inside]
    return tuple(
        stage_of(name, [module for _, module in members], loose if number == 0 else ())
        for number, (name, members) in enumerate(bins)
    )


Children = list[tuple[str, nn.Module]]


def _by_levels(network: nn.Module, children: Children) -> list[tuple[str, Children]]:
    """Named runs of `children`, each up to the end of a module in timm's `feature_info`; none if they are not found.

    What is before the first level belongs to it, what is after the last to the last. Of more than six levels (a
    transformer has one a block) neighbours are merged, to like numbers of levels.
    """
    levels = [str(level["module"]) for level in getattr(network, "feature_info", ())]
    names = [name for name, _ in children]
    ends = []
    for level in levels:
        inside = [place for place, name in enumerate(names) if f"{name}.".startswith(f"{level}.")]
        if not inside:
            return []
        ends.append(inside[-1] + 1)
    count = min(len(ends), TIMM_MAX_STAGES)
    if count < 2 or ends != sorted(set(ends)):
        return []
    chosen = [(number + 1) * len(ends) // count - 1 for number in range(count)]
    cuts = [0, *(ends[place] for place in chosen[:-1]), len(children)]
    bins = []
    for place, (start, end) in zip(chosen, pairwise(cuts), strict=True):
        members = children[start:end]
        whole = count == len(ends) and any(name.startswith(f"{levels[place]}.") for name, _ in members)
        bins.append((levels[place] if whole else members[0][0], members))
    return bins


def _evenly(children: Children) -> list[tuple[str, Children]]:
    """Neighbours merged to like numbers of children, named as the first of each."""
    sizes = [sum(p.numel() for p in module.parameters()) for _, module in children]
    # Something too small to be worth an unfreeze of its own (a last norm, a pooling) goes with what is below it.
    weighty = [size > sum(sizes) * _WORTH_A_STAGE for size in sizes]
    bins: list[Children] = [[]]
    seen, index = 0, 0
    for child, counts in zip(children, weighty, strict=True):
        wanted = seen * TIMM_MAX_STAGES // max(1, sum(weighty))
        if counts and wanted > index and bins[-1]:
            bins.append([])
            index = wanted
        bins[-1].append(child)
        seen += counts
    return [(members[0][0], members) for members in bins]


def _children(network: nn.Module, prefix: str) -> Iterator[tuple[str, nn.Module]]:
    for name, child in network.named_children():
        if isinstance(child, (nn.Sequential, nn.ModuleList)):
            yield from _children(child, f"{prefix}{name}.")
        else:
            yield prefix + name, child
