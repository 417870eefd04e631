"""The files of pretrained weights that a run began with, so that one that is gone or replaced is noticed.

That goes for the files of --weights and --weights-dir, and for those that torchvision and timm keep on this machine.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from trainables import models
from trainables.errors import WeightsUnavailable
from trainables.weights_content import weights_content, weights_path

__all__ = ["LIBRARY", "WeightsFiles", "changed_files", "fingerprints"]

WeightsFiles = Mapping[str, Mapping[str, str]]
"""Name ("file") and content ("sha256") of the file that each model starts from; "origin" is LIBRARY where torchvision
or timm keeps it, else the key is absent."""

LIBRARY = "imagenet"


def fingerprints(weights: str, names: Iterable[str]) -> dict[str, dict[str, str]]:
    """The files of the models `names` under `weights`: imagenet, none, a file or a folder; no entry without a file.

    Pretrained weights that are not on this machine yet are fetched. Raises WeightsUnavailable if they can't be.
    """
    found = {}
    for name in names:
        content = weights_content(name, weights)
        if content is not None:
            found[name] = {
                "file": LIBRARY if content.path is None else content.path.name,
                "sha256": content.sha256,
            }
            if models.weights_origin(name, weights) == LIBRARY:
                found[name]["origin"] = LIBRARY
    return found


def changed_files(
    weights: str, before: WeightsFiles, names: Iterable[str] | None = None, fetch: bool = False
) -> list[str]:
    """A sentence for each model whose weights have other content than `before`, of the models `names` or all.

    Raises WeightsUnavailable in one sentence if a file of --weights or --weights-dir is gone, or the folder. What is
    not in `before` is not looked for: a run of an earlier version has nothing there. Files of the libraries that are
    not on this machine are passed over, or with `fetch` fetched, which raises WeightsUnavailable if it fails.
    """
    if weights == "none":
        return []
    place = Path(weights).expanduser()
    if weights != LIBRARY and not place.exists():
        raise WeightsUnavailable(f"{place} is gone, but models start from it; put it back where it was")
    wanted = {name: before[name] for name in (before if names is None else names) if name in before}
    said = (_changed(name, weights, known, fetch) for name, known in wanted.items())
    return [sentence for sentence in said if sentence is not None]


def _changed(name: str, weights: str, known: Mapping[str, str], fetch: bool) -> str | None:
    """What is to be said of the model `name`, whose file was `known`; None where its content is the same."""
    ours = known.get("origin") != LIBRARY
    if ours and models.weights_origin(name, weights) in (LIBRARY, "none"):
        raise WeightsUnavailable(
            f"{known['file']} in {weights} is gone, but {name} starts from it; put it back where it was"
        )
    if not ours and not fetch and weights_path(name, weights) is None:
        return None
    now = weights_content(name, weights)
    if now is not None and now.sha256 == known["sha256"]:
        return None
    if now is None or now.path is None:
        return f"the weights of {name} have other content than when the run began"
    if ours:
        return f"{now.path} has other content than when the run began"
    return f"the weights of {name} in {now.path} have other content than those that the run began with"
