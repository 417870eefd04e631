"""Commands that advice names, on the images, groups and weights of a run."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tuner.dataset.judges import in_option

__all__ = ["typed"]

DEFAULT = (0.8, 0.1, 0.1)
"""The shares of --split where nobody says any."""

SEARCHES = ("run", "plan")
"""Commands to which the folder is an option: without it they take the sample pictures."""


def typed(record: Mapping[str, Any], command: str, *options: str) -> str:
    """The `command` of tuner with `options` on what the run of `record` searched, as it can be typed.

    >>> data = {"folder": "my photos", "groups": "groups.csv", "group_regex": None}
    >>> typed({"data": data, "weights": "imagenet"}, "inspect", "--suspects")
    "tuner inspect 'my photos' --suspects --groups groups.csv"
    >>> typed({"data": data}, "run", "--without", "marked.csv")
    "tuner run --data 'my photos' --without marked.csv --groups groups.csv"
    """
    data, weights = record["data"], str(record.get("weights"))
    given = {
        "--labels": data.get("labels"),
        "--groups": data["groups"],
        "--group-regex": data["group_regex"],
        "--weights-dir": weights if Path(weights).is_dir() else None,
        "--split": split
        if (split := in_option(data.get("fractions") or DEFAULT)) != in_option(DEFAULT)
        else None,
    }
    more = [part for name, value in given.items() if value for part in (name, str(value))]
    where = ["--data"] * (command in SEARCHES)
    return shlex.join(["tuner", command, *where, str(data["folder"]), *options, *more])
