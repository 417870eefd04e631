"""Whether a network takes images of a size, found out before anything expensive.

Some networks of timm (Mixer, CaiT, LeViT, MaxViT) take only the size that they were described at, and most need a few
pixels more than none. One forward pass tells, on PyTorch's meta device, which computes shapes and no numbers: a second
at most, and no memory.
"""

import contextlib
import functools
from collections.abc import Iterable

from trainables import models
from trainables.errors import InvalidValue
from trainables.models.candidates import find

__all__ = ["SMALLEST", "require_size", "trouble_at"]

SMALLEST = 32
"""From this side on every registered model and every candidate takes images of any size."""

_META, _CPU = "meta", "cpu"


def require_size(names: Iterable[str], image_size: int) -> None:
    """Raise InvalidValue, with the size to give, if one of the models `names` can't take images of `image_size` px."""
    troubles = {name: trouble for name in names if (trouble := trouble_at(name, image_size)) is not None}
    if troubles:
        said = "; ".join(f"model {name}: {trouble}" for name, trouble in troubles.items())
        others = ", or leave it out" if len(troubles) == 1 else ", or leave them out"
        raise InvalidValue(f"--image-size {image_size}: {said}{others}")


@functools.lru_cache(maxsize=256)
def trouble_at(name: str, image_size: int) -> str | None:
    """Why the model `name` can't take images of `image_size` px, and the size to give instead; None if it can.

    Raises what `models.source` raises.
    """
    if image_size >= SMALLEST and (find(name) is not None or name in models.names()):
        return None
    error = _error_at(name, image_size, _META)
    if error is None:
        return None
    described = models.source(name).image_size
    remedy = f"; --image-size {described} would do"
    if _error_at(name, described, _META) is not None:
        # Not the size, but something that the meta device can't do: real numbers tell.
        error, remedy = _error_at(name, image_size, _CPU), ""
        if error is None:
            return None
    first = str(error).strip().partition("\n")[0]
    return f"it fails at {image_size} px ({type(error).__name__}: {first}){remedy}"


def _error_at(name: str, image_size: int, device: str) -> Exception | None:
    """What one forward pass of two black images through the backbone of `name` raises; None if it succeeds."""
    import torch

    from trainables.models.empty import without_numbers

    origin = models.source(name)
    try:
        with torch.random.fork_rng(devices=[]), torch.device(device), torch.no_grad():
            with without_numbers() if device == _META else contextlib.nullcontext():
                network = origin.build()
            origin.trunk(network).eval()(torch.zeros(2, 3, image_size, image_size))
    except Exception as error:  # networks raise kinds of their own
        return error
    return None
