"""Reading best.yaml, which people edit: every key checked, one sentence for each mistake."""

import difflib
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from trainables import models, strategies
from trainables.config import FIELDS, METRICS, TrialConfig
from trainables.errors import InvalidValue, RunProblem, UnknownName, UserMistake
from tuner.best import FORMAT, Best, Data, Expected, SplitSource
from tuner.results import read_yaml
from tuner.settings import PRECISIONS

TOP = (
    *("format", "trial", "run", "expected", "config", "image_size", "weights", "precision", "run_seed"),
    *("normalisation", "classes", "data", "split", "versions", "plateau_reduced_after"),
)

Check = Callable[[Any], bool]


class Section:
    """One mapping of the file, whose values are taken out by key and checked on the way."""

    def __init__(self, path: Path, content: Any, name: str = "") -> None:
        self.path, self.name = path, name
        if not isinstance(content, Mapping):
            raise InvalidValue(f"{path}: {name}={content!r} is not a section of keys and values")
        self.content = content

    def take(self, key: str, good: Check, right: str) -> Any:
        """The value of `key` if it is `good`; `right` says in words what would be."""
        if key not in self.content:
            raise InvalidValue(f"{self.path}: {self._full(key)} is missing; it is {right}")
        value = self.content[key]
        if not good(value):
            raise InvalidValue(f"{self.path}: {self._full(key)}={value!r} is wrong; it is {right}")
        return value

    def section(self, key: str) -> "Section":
        """The mapping under `key`."""
        self.take(key, lambda value: isinstance(value, Mapping), "a section of keys and values")
        return Section(self.path, self.content[key], self._full(key))

    def text(self, key: str, right: str = "a text") -> str:
        """The text under `key`."""
        return str(self.take(key, lambda value: isinstance(value, str) and value != "", right))

    def text_or_null(self, key: str) -> str | None:
        """The text under `key`, or None."""
        value = self.take(key, lambda value: value is None or isinstance(value, str), "a text or null")
        return None if value is None else str(value)

    def whole(self, key: str, low: int) -> int:
        """The whole number under `key`, at least `low`."""
        return int(self.take(key, lambda value: _whole(value, low), f"a whole number from {low} up"))

    def numbers(self, key: str, count: int, right: str, good: Check) -> tuple[float, ...]:
        """`count` finite numbers under `key`, each `good`."""

        def fits(value: Any) -> bool:
            return (
                isinstance(value, list) and len(value) == count and all(_real(v) and good(v) for v in value)
            )

        return tuple(float(value) for value in self.take(key, fits, right))

    def only(self, known: tuple[str, ...]) -> None:
        """Refuse any key but `known`."""
        for key in self.content:
            if key not in known:
                near = difflib.get_close_matches(str(key), known, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
                raise UnknownName(f"{self.path}: unknown key {self._full(str(key))!r}; {hint}")

    def _full(self, key: str) -> str:
        return f"{self.name}.{key}" if self.name else key


def from_record(path: Path) -> Best:
    """The Best in the file `path`; raises UserMistake in one sentence naming key, value and remedy."""
    if not path.is_file():
        raise RunProblem(f"{path} does not exist; make one with: tuner export RUN --out best.yaml")
    top = Section(path, read_yaml(path))
    top.only(TOP)
    top.take("format", lambda value: value == FORMAT, f"{FORMAT}, the only form that this version reads")
    config = _config(top)
    normal = top.section("normalisation")
    mean, std = _normalisation(normal, config.model)
    data = _data(top.section("data"))
    classes = _classes(top, data)
    plateau = config.schedule == "plateau"
    reduced = top.take("plateau_reduced_after", _epochs, "a list of epochs") if plateau else []
    return Best(
        trial=top.text("trial"),
        run=top.text("run"),
        config=config,
        expected=_expected(top.section("expected")),
        image_size=top.whole("image_size", 16),
        weights=top.text("weights", "imagenet, none or a file"),
        precision=top.take("precision", lambda value: value in PRECISIONS, f"one of {', '.join(PRECISIONS)}"),
        run_seed=top.whole("run_seed", 0),
        mean=mean,
        std=std,
        classes=classes,
        data=data,
        split=_split(top.section("split")),
        versions=dict(top.section("versions").content),
        plateau_reduced_after=tuple(reduced),
    )


def _config(top: Section) -> TrialConfig:
    section = top.section("config")
    try:
        config = TrialConfig.resolve({name: _coerce(name, v) for name, v in section.content.items()})
        models.check(section.text("model"))
        strategies.check(section.text("strategy"), config.model)
    except UserMistake as error:
        text = str(error)
        raise type(error)(
            text if text.startswith(str(top.path)) else f"{top.path}: config: {text}"
        ) from error
    return config


def _coerce(name: str, value: Any) -> Any:
    """`value` as a number where the field is one: YAML reads 1e-3, for want of a dot, as a text."""
    if name not in FIELDS or FIELDS[name].type is str:
        return value
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return value
    whole = FIELDS[name].type in (int, int | None)
    return int(value) if whole and isinstance(value, float) and value.is_integer() else value


def _normalisation(
    section: Section, model: str
) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    section.only(("mean", "std"))
    origin = models.source(model)
    for key, right in (("mean", origin.mean), ("std", origin.std)):
        words = f"{list(right)}, which belongs to {model}"
        found = section.numbers(key, 3, words, lambda value: True)
        if not all(math.isclose(a, b, abs_tol=1e-6) for a, b in zip(found, right, strict=True)):
            raise InvalidValue(f"{section.path}: normalisation.{key}={list(found)} is wrong; it is {words}")
    return origin.mean, origin.std


def _expected(section: Section) -> Expected:
    section.only(("metric", "value", "epoch", "standard_error", "spread", "scores"))
    known = ", ".join(METRICS)
    return Expected(
        metric=section.take("metric", lambda value: value in METRICS, f"one of {known}"),
        value=float(section.take("value", _real, "a number")),
        epoch=section.whole("epoch", 1),
        standard_error=section.take(
            "standard_error", lambda value: value is None or (_real(value) and value >= 0), "a number or null"
        ),
        spread=section.text("spread"),
        scores={str(name): float(value) for name, value in section.section("scores").content.items()},
    )


def _data(section: Section) -> Data:
    section.only(("folder", "sample", "fingerprint", "images"))
    images = section.section("images")
    return Data(
        folder=section.text("folder"),
        sample=bool(section.take("sample", lambda value: isinstance(value, bool), "true or false")),
        fingerprint=section.text("fingerprint"),
        images={str(name): images.whole(name, 0) for name in images.content},
    )


def _classes(top: Section, data: Data) -> tuple[str, ...]:
    def good(value: Any) -> bool:
        texts = isinstance(value, list) and all(isinstance(name, str) for name in value)
        return texts and value == list(data.images) and len(value) >= 2

    return tuple(top.take("classes", good, f"{list(data.images)}, the classes of data.images in their order"))


def _split(section: Section) -> SplitSource:
    section.only(("fingerprint", "images", "file", "fractions", "seed", "groups", "group_regex"))
    right = "three positive shares of train, val and test that sum to 1"
    shares = section.numbers("fractions", 3, right, lambda value: value > 0)
    if abs(sum(shares) - 1) > 1e-6:
        raise InvalidValue(f"{section.path}: split.fractions={list(shares)} is wrong; it is {right}")
    counts = section.section("images")
    return SplitSource(
        fingerprint=section.text("fingerprint"),
        images={part: counts.whole(part, 1) for part in ("train", "val", "test")},
        file=section.text("file"),
        fractions=(shares[0], shares[1], shares[2]),
        seed=section.whole("seed", 0),
        groups=section.text_or_null("groups"),
        group_regex=section.text_or_null("group_regex"),
    )


def _epochs(value: Any) -> bool:
    return isinstance(value, list) and all(_whole(epoch, 1) for epoch in value)


def _whole(value: Any, low: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= low


def _real(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
