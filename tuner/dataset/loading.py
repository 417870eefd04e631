"""The images of a search: where they come from, how they are split, which weights meet them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from trainables.errors import DataProblem, InvalidValue, UnknownName
from trainables.folders import require_folder
from trainables.image_size import require_size
from trainables.models.selection import settle_weights
from trainables.wording import NAMED, printable
from tuner.console.reporter import Reporter
from tuner.dataset.config import DataConfig
from tuner.dataset.findings import given_split, scan_and_tell

if TYPE_CHECKING:
    import pandas as pd

    from tuner.dataset.near_duplicates import Similar
    from tuner.dataset.reading.scan import Scan


@dataclass(frozen=True)
class Examined:
    """The images of a search, their split and groups file, the weights; `sample`: tuner drew the images.

    `similar` is the proposal that the groups are from, where they are from one.
    """

    scan: "Scan"
    split: "pd.DataFrame"
    weights: str
    sample: bool
    groups: Path | None
    similar: "Similar | None" = None

    @property
    def hashes(self) -> dict[str, str]:
        """The hash of every image's pixels, by path."""
        return {image.path: image.pixels for image in self.scan.images}


def require_given(config: DataConfig) -> None:
    """Raise DataProblem unless the folder and the tables that `config` names are there.

    It takes an instant. Commands call it first: whoever mistypes a path hears of the path, and not of weights that are
    missing, nor of it after minutes of reading images.
    """
    from tuner.dataset.reading.table import read_table

    if config.folder is not None:
        require_images(config.folder)
    for table, kind, columns in (
        (config.labels, "labels", ("path", "label")),
        (config.groups, "groups", ("path", "group")),
        (config.without, "--without", ("path",)),
    ):
        if table is not None:
            read_table(table, kind, columns)


def require_images(folder: Path) -> None:
    """Raise DataProblem unless `folder` is one that can be opened."""
    require_folder(folder.expanduser(), f"--data {printable(folder)} must be a folder of images")


def load_data(
    config: DataConfig,
    names: Sequence[str],
    image_size: int,
    reporter: Reporter,
    found: Examined | None = None,
) -> Examined:
    """Look at the images and split them, in memory only; raises UserMistake for whatever a person can mend.

    `names` are the models that weights are settled for, and that have to take images of `image_size` pixels. `found`:
    the images, where a probe looked at them already, so that only the weights are left to settle.
    """
    if found is not None:
        # The probe has told already which files of the folder are of none of its models.
        quiet = Reporter() if config.weights_dir is not None else reporter
        return replace(found, weights=_weights(config, names, found.sample, quiet))
    folder, groups_csv, sample = _data_source(config, reporter)
    require_size(names, image_size)
    weights = _weights(config, names, sample, reporter)
    scan = scan_images(folder, config.labels, config.without, reporter)
    _check_positive(config, scan)
    split, similar = _split(config, scan, groups_csv, reporter)
    return Examined(scan, split, weights, sample, groups_csv, similar)


def _weights(config: DataConfig, names: Sequence[str], sample: bool, reporter: Reporter) -> str:
    weights, notes = settle_weights(names, config.weights, config.weights_dir, sample=sample)
    for note in notes:
        reporter.warn(note)
    return weights


def scan_and_split(config: DataConfig, reporter: Reporter) -> Examined:
    """The same without a space: whoever asks sees to the weights."""
    folder, groups_csv, sample = _data_source(config, reporter)
    scan = scan_images(folder, config.labels, config.without, reporter)
    _check_positive(config, scan)
    split, similar = _split(config, scan, groups_csv, reporter)
    return Examined(scan, split, config.weights, sample, groups_csv, similar)


def _check_positive(config: DataConfig, scan: "Scan") -> None:
    """Raise UnknownName if the positive class is none of the classes."""
    classes = [str(name) for name in scan.classes]
    if config.positive is not None and config.positive not in classes:
        raise UnknownName.of("class", config.positive, classes, NAMED)


def build_run_cache(
    folder: Path,
    split: "pd.DataFrame",
    hashes: Mapping[str, str],
    image_size: int,
    fit: str,
    reporter: Reporter,
) -> Path:
    """The memory-mapped images of training and validation; the test images are not read."""
    from trainables.data.cache import build_cache

    paths = split.loc[split["split"] != "test", "path"].tolist()
    with reporter.progress("preparing images") as progress:
        known = [hashes[path] for path in paths]
        return build_cache(folder, paths, known, image_size, fit=fit, progress=progress)


def warn_of_full_disk(feature_cache_bytes: int, reporter: Reporter) -> None:
    """Say so where trials can't keep the features of frozen backbones for want of room on this machine's disk."""
    from trainables.data import cache_home
    from trainables.feature_room import has_room, not_kept

    home = cache_home() / "features"
    if feature_cache_bytes and not has_room(home):
        reporter.warn(not_kept(home))


def scan_images(folder: Path, labels: Path | None, without: Path | None, reporter: Reporter) -> "Scan":
    """The images in `folder`, labelled by the table `labels` if there is one, but for those marked in `without`.

    Raises DataProblem for what can't be read, and for a marked image that is not there.
    """
    from tuner.dataset.reading.labels import read_left_out
    from tuner.dataset.reading.table import Paths

    if without is None:
        return scan_and_tell(folder, reporter, labels)
    whole = scan_and_tell(folder, reporter, labels)
    paths = Paths({image.path for image in whole.images})
    marked = {paths.meant(path) for path in read_left_out(without)}
    require_there(without, marked, {image.path for image in whole.images}, folder)
    found = scan_and_tell(folder, Reporter(), labels, marked)
    reporter.line(f"left out, as {without} says: {len(found.left_out)} of {len(whole.images)} images")
    return found


def require_there(without: Path, marked: Collection[str], there: Collection[str], folder: Path) -> None:
    """Raise DataProblem if the table `without` marks an image that is not among those `there` in `folder`."""
    if unknown := sorted(set(marked) - set(there)):
        raise DataProblem(
            f"--without {without} names {len(unknown)} images that are not in {folder}, the first {unknown[0]!r};"
            " paths are relative to that folder"
        )


def groups_file(labels: Path | None, groups: Path | None, group_regex: str | None) -> Path | None:
    """Where groups are read from: `groups`, else the column of that name in `labels`, if there is no pattern.

    Raises InvalidValue for groups from both.
    """
    from tuner.dataset.reading.labels import has_groups

    if labels is None or not has_groups(labels):
        return groups
    if groups is not None or group_regex is not None:
        given = f"--groups {groups}" if groups is not None else f"--group-regex {group_regex!r}"
        raise InvalidValue(
            f"--labels {labels} has a column group, but {given} is given, too; choose one of the two"
        )
    return labels


def _data_source(config: DataConfig, reporter: Reporter) -> tuple[Path, Path | None, bool]:
    """Folder, groups file, and whether it is the sample data."""
    if config.folder is not None:
        folder = config.folder.expanduser()
        require_images(config.folder)
        groups = groups_file(config.labels, config.groups, config.group_regex)
        if config.groups_from_similar and (groups is not None or config.group_regex is not None):
            given = f"in {groups}" if groups is not None else f"by --group-regex {config.group_regex!r}"
            raise InvalidValue(
                f"--groups-from-similar proposes groups, but groups are given {given}; choose one of the two"
            )
        return folder.resolve(), groups, False
    from tuner.dataset.reading.sample import sample_data

    reporter.line(
        "no --data given: using sample pictures of leaves that tuner draws itself; they are not photographs"
    )
    with reporter.starting("the sample pictures are drawn"):
        folder, groups = sample_data()
    return folder, groups, True


def _split(
    config: DataConfig, scan: "Scan", groups_csv: Path | None, reporter: Reporter
) -> "tuple[pd.DataFrame, Similar | None]":
    from tuner.dataset.splitting import make_split, parse_fractions, read_groups

    groups, similar = None, None
    if config.groups_from_similar:
        from tuner.dataset.features import find_similar
        from tuner.dataset.near_duplicates import sentences

        similar = find_similar(config, scan, reporter)
        groups = similar.names
        for sentence in sentences(similar):
            reporter.line(sentence)
    elif groups_csv is not None or config.group_regex is not None:
        groups = read_groups(scan, groups_csv, config.group_regex)
    else:
        reporter.warn(
            "no --groups: the split is by image, so photographs of one object may be on both sides of it,"
            " which makes every score too good"
        )
    fractions = parse_fractions(config.split)
    if understood := given_split(scan, fractions):
        reporter.line(understood)
    return make_split(scan, groups, fractions, config.seed), similar
