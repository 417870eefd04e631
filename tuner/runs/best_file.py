"""best.yaml as a file: written, read, and each of its keys checked in one sentence."""

import dataclasses
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainables import models, strategies
from trainables.config import CROP, FIELDS, FITS, PRECISIONS, TrialConfig, plain_type
from trainables.data.deep import KINDS, scale_from, scale_record
from trainables.errors import InvalidValue, RunProblem, UnknownName, UserMistake
from trainables.metrics import METRICS
from trainables.wording import some
from tuner.runs.best import Best, Data, Expected, SplitSource
from tuner.runs.directory import read_yaml, write_atomically
from tuner.runs.ensemble import are_epochs, members_of, to_records
from tuner.runs.sections import Section, is_real
from tuner.runs.weights_files import WeightsFiles

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["read_best", "save_best", "to_record"]

FORMAT = 1

SCALE = f"black and white by kind of samples ({', '.join(KINDS)}), as int16: [0, 4095]"

_HEADER = """\
# The best configuration of a tuner search; train it with: tuner retrain {name}
# expected.value is an estimate for new images if spread says so. Otherwise it is the best of many trials on the
# validation images, so expect a slightly worse one on new images. expected.scores are those of the validation images.
"""


def save_best(best: Best, path: Path, split: "pd.DataFrame | None" = None) -> None:
    """Write `best` to `path`; `split`, if given, to the file that it names, beside `path`."""
    import yaml

    text = yaml.safe_dump(to_record(best), sort_keys=False, allow_unicode=True, width=100)
    header = _HEADER.format(name=path.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    if split is not None:
        target = path.with_name(best.split.file)
        write_atomically(target, lambda file: split.to_parquet(file, index=False))
    write_atomically(path, lambda file: file.write_text(header + text, encoding="utf-8"))


def to_record(best: Best) -> dict[str, Any]:
    """What best.yaml holds, in plain values; `read_best` turns it back."""
    config = {name: value for name, value in dataclasses.asdict(best.config).items() if value is not None}
    expected = {f.name: getattr(best.expected, f.name) for f in dataclasses.fields(Expected)}
    record: dict[str, Any] = {
        "format": FORMAT,
        "trial": best.trial,
        "run": best.run,
        "expected": {**expected, "scores": dict(best.expected.scores)},
        "config": config,
        "image_size": best.image_size,
        "fit": best.fit,
        "weights": best.weights,
        "precision": best.precision,
        "run_seed": best.run_seed,
        "normalisation": {"mean": list(best.mean), "std": list(best.std)},
        "classes": list(best.classes),
        "data": {
            **dataclasses.asdict(best.data),
            "images": dict(best.data.images),
            "left_out": list(best.data.left_out),
            "scale": scale_record(best.data.scale),
        },
        "split": {**dataclasses.asdict(best.split), "fractions": list(best.split.fractions)},
        "versions": dict(best.versions),
    }
    if best.config.schedule == "plateau":
        record["plateau_reduced_after"] = list(best.plateau_reduced_after)
    if best.weights_files:
        record["weights_files"] = {name: dict(known) for name, known in best.weights_files.items()}
    if best.ensemble:
        record["ensemble"] = to_records(best.ensemble)
    return record


TOP = (
    *("format", "trial", "run", "expected", "config", "image_size", "fit", "weights", "precision"),
    *("run_seed", "normalisation", "classes", "data", "split", "versions", "plateau_reduced_after"),
    *("ensemble", "weights_files"),
)


def read_best(path: Path) -> Best:
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
    reduced = top.take("plateau_reduced_after", are_epochs, "a list of epochs") if plateau else []
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
        ensemble=members_of(top, _config),
        weights_files=_weights_files(top) if "weights_files" in top.content else {},
        # A best.yaml of an earlier version knows crop only.
        fit=top.take("fit", lambda value: value in FITS, f"one of {', '.join(FITS)}")
        if "fit" in top.content
        else CROP,
    )


def _config(top: Section) -> TrialConfig:
    section = top.section("config")
    try:
        if section.text("strategy") not in strategies.names():
            # What belongs to no strategy would be refused first, and hide the name that is wrong.
            raise UnknownName.of("strategy", section.text("strategy"), strategies.names())
        config = TrialConfig.resolve({name: _coerce(name, v) for name, v in section.content.items()})
        models.check(section.text("model"))
        strategies.check(section.text("strategy"), config.model)
    except UserMistake as error:
        text = str(error)
        where = f"{top.path}: {f'{top.name}.' if top.name else ''}config"
        raise type(error)(text if text.startswith(str(top.path)) else f"{where}: {text}") from error
    return config


def _weights_files(top: Section) -> WeightsFiles:
    files = top.section("weights_files")
    found = {}
    for name in files.content:
        own = files.section(name)
        keys = ("file", "sha256", *(key for key in ("origin",) if key in own.content))
        found[name] = {key: own.text(key) for key in keys}
    return found


def _coerce(name: str, value: Any) -> Any:
    """`value` as a number where the field is one: YAML reads 1e-3, for want of a dot, as a text."""
    if name not in FIELDS or plain_type(FIELDS[name]) is str:
        return value
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return value
    whole = plain_type(FIELDS[name]) is int
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
            raise InvalidValue(
                f"{section.path}: normalisation.{key}={list(found)} is wrong; it must be {words}"
            )
    return origin.mean, origin.std


def _expected(section: Section) -> Expected:
    section.only(("metric", "value", "epoch", "standard_error", "spread", "scores", "positive"))
    known = ", ".join(METRICS)
    return Expected(
        metric=section.take("metric", lambda value: value in METRICS, f"one of {known}"),
        value=float(section.take("value", is_real, "a number")),
        epoch=section.whole("epoch", 1),
        standard_error=section.take(
            "standard_error",
            lambda value: value is None or (is_real(value) and value >= 0),
            "a number or null",
        ),
        spread=section.text("spread"),
        scores={str(name): float(value) for name, value in section.section("scores").content.items()},
        positive=section.text_or_null("positive") if "positive" in section.content else None,
    )


def _data(section: Section) -> Data:
    section.only(("folder", "sample", "fingerprint", "images", "labels", "left_out", "scale"))
    images = section.section("images")
    # A best.yaml of an earlier version knows none of these.
    labels = section.text_or_null("labels") if "labels" in section.content else None
    left_out = section.take("left_out", _texts, "a list of paths") if "left_out" in section.content else []
    return Data(
        folder=section.text("folder"),
        sample=bool(section.take("sample", lambda value: isinstance(value, bool), "true or false")),
        fingerprint=section.text("fingerprint"),
        images={str(name): images.whole(name, 0) for name in images.content},
        labels=labels,
        left_out=tuple(left_out),
        scale=scale_from(section.take("scale", _is_scale, SCALE) if "scale" in section.content else None),
    )


def _classes(top: Section, data: Data) -> tuple[str, ...]:
    def good(value: Any) -> bool:
        texts = isinstance(value, list) and all(isinstance(name, str) for name in value)
        return texts and value == list(data.images) and len(value) >= 2

    return tuple(
        top.take(
            "classes", good, f"{some(map(repr, data.images))}, the classes of data.images in their order"
        )
    )


def _split(section: Section) -> SplitSource:
    section.only(("fingerprint", "images", "file", "fractions", "seed", "groups", "group_regex"))
    right = "three positive shares of train, val and test that sum to 1"
    shares = section.numbers("fractions", 3, right, lambda value: value > 0)
    if abs(sum(shares) - 1) > 1e-6:
        raise InvalidValue(f"{section.path}: split.fractions={list(shares)} is wrong; it must be {right}")
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


def _is_scale(value: Any) -> bool:
    try:
        scale_from(value)
    except ValueError:
        return False
    return True


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(path, str) for path in value)
