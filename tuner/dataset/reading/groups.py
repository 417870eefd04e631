"""Which images show the same thing: from a table, as spreadsheets write it, or from a pattern in the paths."""

import re
from pathlib import Path

from trainables.errors import DataProblem, InvalidValue
from trainables.wording import some
from tuner.dataset.reading.scan import Scan
from tuner.dataset.reading.table import Paths, read_table

__all__ = ["read_groups"]


def read_groups(scan: Scan, csv: Path | None, regex: str | None) -> dict[str, str]:
    """The group of every image by path; empty if neither a file nor a pattern is given.

    `csv` has the columns path (relative to the folder) and group; rows of other files are ignored. `regex`
    is searched in the path: its one parenthesis is the group, else the whole match. Raises DataProblem for
    images without a group, InvalidValue for a pattern that is none.
    """
    if csv is not None and regex is not None:
        raise InvalidValue(f"groups come from a file ({csv}) or from a pattern ({regex!r}), not from both")
    if csv is not None:
        groups, source = _groups_of_file(scan, csv), str(csv)
    elif regex is not None:
        groups, source = _groups_of_pattern(scan, regex), f"the pattern {regex!r}"
    else:
        return {}
    missing = [image.path for image in scan.images if image.path not in groups]
    if missing:
        raise DataProblem(
            f"{source} gives no group to {len(missing)} of {len(scan.images)} images: {some(map(repr, missing))};"
            f" every image needs one, paths are relative to {scan.folder}"
        )
    return {image.path: groups[image.path] for image in scan.images}


def _groups_of_file(scan: Scan, file: Path) -> dict[str, str]:
    paths = Paths({image.path for image in scan.images})
    groups: dict[str, str] = {}
    for row in read_table(file, "groups", ("path", "group")).rows:
        path, group = paths.meant(row["path"]), row["group"].strip()
        if group and groups.setdefault(path, group) != group:
            raise DataProblem(f"groups file {file} gives {path!r} two groups: {groups[path]!r} and {group!r}")
    return groups


def _groups_of_pattern(scan: Scan, regex: str) -> dict[str, str]:
    try:
        pattern = re.compile(regex)
    except re.error as error:
        raise InvalidValue(f"group pattern {regex!r} is no regular expression: {error}") from error
    if pattern.groups > 1:
        raise InvalidValue(
            f"group pattern {regex!r} has {pattern.groups} parentheses; one is the group,"
            " write (?:...) for the rest"
        )
    groups = {}
    for image in scan.images:
        match = pattern.search(image.path)
        if match and (group := match.group(pattern.groups)):
            groups[image.path] = group
    if not groups:
        raise DataProblem(
            f"group pattern {regex!r} matches none of {len(scan.images)} paths,"
            f" such as {scan.images[0].path!r}"
        )
    return groups
