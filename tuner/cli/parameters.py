"""What commands have in common: the types of their parameters, and the options that name the images."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import click

from trainables import ranges
from trainables.config import CROP, FITS
from trainables.errors import InvalidValue
from trainables.metrics import METRICS

__all__ = [
    "FOLDER",
    "METRIC_CHOICES",
    "Bytes",
    "Number",
    "Seconds",
    "Share",
    "Side",
    "data_options",
    "fit_option",
    "side_option",
    "split_names",
]


class MetricName(click.Choice):  # type: ignore[type-arg]
    """The name of a metric, in which an @ stands for _at_."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The metric's own name."""
        return super().convert(str(value).replace("@", "_at_"), param, ctx)


METRIC_CHOICES = MetricName(list(METRICS))
FOLDER = click.Path(path_type=Path)


class Number(click.ParamType):  # type: ignore[type-arg]
    """The number `meaning` of `trainables.ranges`, by default the one that is named like the option."""

    name = "number"

    def __init__(self, meaning: str) -> None:
        self.meaning = meaning
        self.name = "integer" if ranges.NUMBERS[meaning].whole else "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """`value` as a number in its range."""
        return _in_range(lambda: ranges.parse(self.meaning, str(value)), ctx)


def _in_range(number: Callable[[], Any], ctx: click.Context | None) -> Any:
    """What `number` returns; what it refuses is refused in the same words, as click refuses."""
    try:
        return number()
    except InvalidValue as error:
        raise click.UsageError(str(error), ctx) from error


UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
SIZES = ("B", "KB", "MB", "GB", "TB")


class Seconds(click.ParamType):  # type: ignore[type-arg]
    """A duration such as 90s, 20m, 1h30m or 2h, in seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds of `value`."""
        if isinstance(value, float):
            return value
        flag = ranges.flag_of("time_budget_s")
        parts = re.findall(r"(\d+(?:\.\d+)?)\s*([smhd])", str(value))
        rest = re.sub(r"(\d+(?:\.\d+)?)\s*([smhd])", "", str(value)).strip()
        if not parts or rest:
            raise click.BadParameter(f"{value!r} is no duration; write it as 90s, 20m or 1h30m", ctx, param)
        seconds = sum(float(number) * UNITS[unit] for number, unit in parts)
        return float(_in_range(lambda: ranges.check("time_budget_s", seconds, f"{flag} {value}:"), ctx))


class Bytes(click.ParamType):  # type: ignore[type-arg]
    """A size such as 500MB, 8GB or 0, in bytes."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Bytes of `value`."""
        if isinstance(value, int):
            return value
        found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(B|KB|MB|GB|TB)?", str(value).strip(), re.IGNORECASE)
        if found is None:
            self.fail(f"{value!r} is no size; write it as 500MB, 8GB or 0", param, ctx)
        return int(float(found[1]) * 1024 ** SIZES.index((found[2] or "B").upper()))


class Share(click.ParamType):  # type: ignore[type-arg]
    """A number of GPUs such as 1 or 0.25, or auto."""

    name = "number or auto"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float | Literal["auto"]:
        """`value` as a number, or "auto"."""
        if str(value) == "auto":
            return "auto"
        try:
            float(value)
        except ValueError:
            self.fail(f"{value!r} is neither a number nor auto", param, ctx)
        return float(_in_range(lambda: ranges.parse("gpus_per_trial", str(value)), ctx))


class Side(click.ParamType):  # type: ignore[type-arg]
    """A side in pixels, or auto, which is None."""

    name = "integer or auto"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | None:
        """`value` as a number of pixels, or None."""
        if str(value) == "auto":
            return None
        return int(_in_range(lambda: ranges.parse("image_size", str(value)), ctx))


def side_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """The side of the images, for the commands that probe."""
    option = click.option(
        "--image-size",
        type=Side(),
        default="auto",
        show_default=True,
        help="Width and height of the images in pixels. auto: the probe chooses; without a probe the space's"
        " size, or 224. [sample pictures: 96]",
    )
    return option(command)


def split_names(text: str | None) -> tuple[str, ...]:
    """Names with commas between, one by one; raises InvalidValue for a text that names nothing."""
    names = tuple(name.strip() for name in (text or "").split(",") if name.strip())
    if text is not None and not names:
        raise InvalidValue(f"{text!r} names nothing; write names with commas between")
    return names


def data_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that name the images and how they are split."""
    for option in (
        click.option(
            "--split",
            default="0.8,0.1,0.1",
            show_default=True,
            help="Shares of the training, validation and test part.",
        ),
        click.option(
            "--group-regex",
            help="Regular expression; the part of an image's path that its first parentheses match names the"
            " image's group.",
        ),
        click.option(
            "--groups",
            type=FOLDER,
            help="CSV with columns path and group: images of the same object have the same group.",
        ),
        click.option(
            "--without",
            type=FOLDER,
            help="CSV with a column path that lists images to leave out. If it also has a column leave_out,"
            " only the rows that are marked there count.",
        ),
        click.option(
            "--labels",
            type=FOLDER,
            help="CSV that names the classes instead of folders: columns path and label, optionally group and split.",
        ),
    ):
        command = option(command)
    return command


def fit_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """The option that says how pictures become squares."""
    return click.option(
        "--fit",
        type=click.Choice(FITS),
        default=CROP,
        show_default=True,
        help="How a picture becomes a square: crop cuts off the ends of the long side, squash changes the"
        " proportions, pad adds bars.",
    )(command)


def networks_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """How many networks the model of --out has, for the commands that end with one."""
    return click.option(
        "--networks",
        type=Number("networks"),
        help="With --out: train the chosen configuration from up to this many seeds, as time allows; the model averages"
        " their answers. Each takes its own time at every prediction. [default: 3]",
    )(command)


def seed_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What seeds that are trained on Ray ask of it, for the commands that train some."""
    for option in reversed(
        (
            click.option(
                "--concurrent",
                type=Number("concurrent"),
                help="Number of trainings that run at the same time. [default: as many as fit]",
            ),
            click.option(
                "--cpus-per-trial",
                type=Number("cpus_per_trial"),
                help="CPU cores for each training. [default: 1; with GPUs the cores are divided among them]",
            ),
            click.option(
                "--gpus-per-trial",
                type=Number("gpus_per_trial"),
                help="GPUs for each training; a fraction such as 0.5 is possible. [default: 1 if the machine has GPUs]",
            ),
            click.option(
                "--address", help="Ray cluster to join: auto or HOST:PORT. [default: tuner starts its own]"
            ),
        )
    ):
        command = option(command)
    return command
