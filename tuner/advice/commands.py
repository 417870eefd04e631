"""Commands that advice names, on the images, groups and weights of a run."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["typed"]


def typed(record: Mapping[str, Any], command: str, *options: str) -> str:
    """The `command` of tuner with `options` on what the run of `record` searched, as it can be typed.

    >>> data = {"folder": "my photos", "groups": "groups.csv", "group_regex": None}
    >>> typed({"data": data, "weights": "imagenet"}, "inspect", "--suspects")
    "tuner inspect 'my photos' --suspects --groups groups.csv"
    """
    data, weights = record["data"], str(record.get("weights"))
    images = ["--data", str(data["folder"])] if command == "probe" else [str(data["folder"])]
    given = {
        "--labels": data.get("labels"),
        "--groups": data["groups"],
        "--group-regex": data["group_regex"],
        "--weights-dir": weights if Path(weights).is_dir() else None,
    }
    more = [part for name, value in given.items() if value for part in (name, str(value))]
    return shlex.join(["tuner", command, *images, *options, *more])
