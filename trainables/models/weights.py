"""Pretrained weights: where they come from, and whether a file of them fits.

No torchvision or timm here, and torch only where weights are read: registering a network takes no second.
"""

import contextlib
import io
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainables.errors import WeightsUnavailable
from trainables.wording import some

if TYPE_CHECKING:
    from torch import Tensor, nn

OWN_PREFIX = "backbone."
"""A state dict with such keys is that of a Classifier."""

CONNECT_S, ANSWER_S = 1.5, 2.0
"""How long a server may take to be reached or to say something, and to answer in all."""

_SHOWN = 4


def read(path: Path) -> "dict[str, Tensor]":
    """The state dict in `path` (.pt, .pth or .safetensors), floating-point tensors in fp32.

    Pickles are read with weights_only=True. Raises WeightsUnavailable for a file that is missing or holds no
    state dict.
    """
    from torch import Tensor

    if not path.is_file():
        raise WeightsUnavailable(f"--weights {str(path)!r}: no such file; give a file, 'imagenet' or 'none'")
    try:
        content = _content(path)
    except OSError as error:
        raise WeightsUnavailable(f"{path} can't be read: {error.strerror or error}") from error
    except Exception as error:  # torch, pickle, zip and safetensors each raise kinds of their own
        kind = "safetensors file" if path.suffix == ".safetensors" else "state dict of PyTorch"
        raise WeightsUnavailable(
            f"{path} is no {kind}, or a damaged one; give what model.state_dict() returns, saved as .pt, .pth or"
            " .safetensors"
        ) from error
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        raise WeightsUnavailable(f"{path} holds no state dict; save model.state_dict(), not the model")
    return {key: value.float() if value.is_floating_point() else value for key, value in content.items()}


def _content(path: Path) -> Any:
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    import torch

    return torch.load(path, map_location="cpu", weights_only=True)


def load_network(
    network: "nn.Module", state: "Mapping[str, Tensor]", heads: tuple[str, ...], origin: str
) -> None:
    """Put a plain `state` into `network`, but for the `heads`, which are made anew whatever their classes.

    Raises WeightsUnavailable naming the keys that are missing, unknown, of another shape or not finite.
    """
    given = {key: value for key, value in state.items() if not key.startswith(heads)}
    expected = {key: value for key, value in network.state_dict().items() if not key.startswith(heads)}
    _fill_counters(expected, given)
    _check_keys(expected, given, origin)
    _check_finite(network, given, origin)
    network.load_state_dict(given, strict=False, assign=True)


def load_classifier(classifier: "nn.Module", state: "Mapping[str, Tensor]", origin: str) -> None:
    """Put one of our own states into `classifier`.

    Auxiliary heads that only one side has are passed over: the file's are not wanted, or ours start afresh.
    Raises WeightsUnavailable naming the keys that are missing, unknown, of another shape or not finite.
    """
    expected = classifier.state_dict()
    ours, theirs = (any(key.startswith("auxiliary.") for key in keys) for keys in (expected, state))
    if ours != theirs:
        expected = {key: value for key, value in expected.items() if not key.startswith("auxiliary.")}
        state = {key: value for key, value in state.items() if not key.startswith("auxiliary.")}
    given = dict(state)
    _fill_counters(expected, given)
    _check_keys(expected, given, origin)
    _check_finite(classifier, given, origin)
    classifier.load_state_dict(given, strict=False, assign=True)


def _fill_counters(expected: "Mapping[str, Tensor]", given: "dict[str, Tensor]") -> None:
    import torch

    # Files older than torch 0.4.1 lack BatchNorm's counter, which nothing here reads.
    for key in expected:
        if key.endswith("num_batches_tracked"):
            given.setdefault(key, torch.zeros((), dtype=torch.long))


def _check_keys(expected: "Mapping[str, Tensor]", given: "Mapping[str, Tensor]", origin: str) -> None:
    problems = [
        *_listed("missing", [key for key in expected if key not in given]),
        *_listed("unexpected", [key for key in given if key not in expected]),
        *_listed(
            "of another shape",
            [
                f"{key} {tuple(given[key].shape)} instead of {tuple(value.shape)}"
                for key, value in expected.items()
                if key in given and given[key].shape != value.shape
            ],
        ),
    ]
    if problems:
        raise WeightsUnavailable(f"{origin} does not fit the model: {'; '.join(problems)}")


def _check_finite(network: "nn.Module", given: "Mapping[str, Tensor]", origin: str) -> None:
    """Raise WeightsUnavailable for parameters or BatchNorm statistics that are NaN or infinite.

    Other buffers may hold infinities on purpose, a mask of attention for one.
    """
    learned = {name for name, _ in network.named_parameters()}
    broken = [
        key
        for key, value in given.items()
        # A sum is quick, and finite for all weights but absurd ones: only then each number is looked at.
        if (key in learned or key.endswith(("running_mean", "running_var")))
        and not value.sum().isfinite()
        and not value.isfinite().all()
    ]
    if broken:
        more = f" and {len(broken) - _SHOWN} more" if len(broken) > _SHOWN else ""
        raise WeightsUnavailable(
            f"{origin} holds numbers that are NaN or infinite, in {', '.join(broken[:_SHOWN])}{more}; give the file of"
            " a training that did not diverge"
        )


def _listed(what: str, keys: list[str]) -> Iterable[str]:
    if keys:
        yield f"{len(keys)} {what}: {some(keys, _SHOWN)}"


def download(
    name: str, fetch: "Callable[[], Mapping[str, Tensor]]", cached: Callable[[], Path | None] | None = None
) -> "Mapping[str, Tensor]":
    """What `fetch` returns; raises WeightsUnavailable with the ways out if it can't.

    `cached` gives the file that `fetch` reads if it is on this machine, which is named where it is damaged.
    """
    try:
        # torch.hub announces a download on stdout, where tables and records go.
        with contextlib.redirect_stdout(io.StringIO()):
            return fetch()
    except Exception as error:  # urllib, http, ssl, huggingface_hub and hash checks raise kinds of their own
        file = None if cached is None else cached()
        if file is not None and _damaged(file):
            # huggingface_hub's file is a link; one that is deleted is made again to what it led to.
            raise WeightsUnavailable(
                f"the cached weights of {name} are damaged; delete {file.resolve()}, then fetch them again:"
                f" tuner weights --backbones {name} --fetch"
            ) from error
        reason = str(error).strip().partition("\n")[0][:200]
        raise WeightsUnavailable(
            f"pretrained weights of {name} are neither cached nor downloadable"
            f" ({type(error).__name__}: {reason}); fetch them where there is a network (tuner weights --fetch) and set"
            " TORCH_HOME or HF_HOME to the folder that holds them"
        ) from error


def _damaged(file: Path) -> bool:
    try:
        _content(file)
    except OSError:
        return False
    except Exception:  # as in `read`
        return True
    return False


def cached(url: str) -> Path | None:
    """Where torch.hub has the file of `url`; None if it does not. TORCH_HOME is respected."""
    import torch

    file = Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]
    return file if file.is_file() else None


def cached_or_reachable(url: str) -> bool:
    """Whether torch.hub has the file of `url` already, or its server answers."""
    return cached(url) is not None or reachable(url)


def reachable(url: str) -> bool:
    """Whether `url` answers right now, within a few seconds; where it is sent on to is not asked."""
    answers: list[bool] = []
    # A thread, since looking up a server's name has no timeout.
    asking = threading.Thread(target=lambda: answers.append(_answers(url)), daemon=True)
    asking.start()
    asking.join(ANSWER_S)
    return answers == [True]


class _SentOn(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """None, by which urllib raises the redirection as an HTTPError."""


def _answers(url: str) -> bool:
    request = urllib.request.Request(url, method="HEAD")
    try:
        with urllib.request.build_opener(_SentOn).open(request, timeout=CONNECT_S) as answer:
            return bool(answer.status == 200)
    except urllib.error.HTTPError as error:
        return 300 <= error.code < 400
    except (OSError, ValueError):  # URLError, timeouts and refused connections are OSErrors
        return False
