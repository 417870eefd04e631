"""Which images a retraining uses: those of the search with its split, or another folder with a new one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from trainables.data.split import Split
from trainables.errors import DataProblem, RunProblem, UserMistake
from trainables.wording import some
from tuner.console.reporter import Reporter
from tuner.dataset.findings import given_split, scan_and_tell
from tuner.dataset.loading import groups_file, require_images
from tuner.runs.best import Best, Data, SplitSource
from tuner.runs.best_trial import part_counts

if TYPE_CHECKING:
    import pandas as pd

    from tuner.dataset.reading.scan import Scan

__all__ = ["Images", "find_images", "images_by_image", "images_folder"]

SPLIT_FILE = "best.split.parquet"


@dataclass(frozen=True)
class Images:
    """The images of a retraining.

    `split` has path, label, group, split; `hashes` are those of the pixels by path. `words` say where the
    split comes from; `source` and `data` are what a best.yaml says of both. `scan` is the look at them, None where
    nobody looked.
    """

    folder: Path
    classes: tuple[str, ...]
    split: "pd.DataFrame"
    hashes: Mapping[str, str]
    data: Data
    source: SplitSource
    same_split: bool
    words: str
    scan: "Scan | None" = None

    @property
    def grouped(self) -> bool:
        """Whether some images share a group."""
        return bool(self.split["group"].duplicated().any())

    def part(self, *names: str) -> Split:
        """The images of the parts `names` in their order, with class numbers; all of them without a name."""
        every = Split.of(self.split, self.classes)
        return every.part(*names) if names else every

    def paths(self, part: str) -> list[str]:
        """Paths of `part` in their order."""
        return list(self.part(part).paths)


def find_images(
    best: Best,
    path: Path,
    reporter: Reporter,
    *,
    data: Path | None = None,
    labels: Path | None = None,
    groups: Path | None = None,
    group_regex: str | None = None,
) -> Images:
    """The images in `data`, by default the folder of the search, and how they are split.

    `labels` is a table of their labels, by default that of the search. Images that are those of the search keep its
    split, unless groups are given. `path` is that of best.yaml. Pictures of more than eight bits are read as in the
    search. Raises DataProblem for a folder that is gone or has changed, and for a table of the search that is gone or
    names no image in `data`, RunProblem for a split that can't be had.
    """
    if labels is None and best.data.labels is not None:
        labels = _labels(best, data, reporter)
    scan = scan_and_tell(images_folder(best, data), reporter, labels, best.data.left_out, best.data.scale)
    same = scan.fingerprint == best.data.fingerprint
    if best.data.left_out and not same and data is not None:
        # Other images, of which nobody said that any is to be left out.
        scan = scan_and_tell(scan.folder, Reporter(), labels, scale=best.data.scale)
    if data is None and not same:
        raise DataProblem(
            f"{scan.folder} has changed since the search (fingerprint {scan.fingerprint}, then"
            f" {best.data.fingerprint}); restore its images, or train on it as it is, with a new split:"
            f" --data {scan.folder}"
        )
    if same and groups is None and group_regex is None:
        try:
            return _images(best, scan, _same_split(best, path, scan), best.split, "the split of the search")
        except RunProblem as error:
            if data is None:
                raise
            reporter.warn(str(error))
    return _newly_split(best, scan, reporter, groups_file(labels, groups, group_regex), group_regex)


def images_by_image(best: Best, reporter: Reporter) -> Images:
    """The images of the search under a random split by image of the same shares and seed.

    Raises DataProblem for a folder that is gone or has changed.
    """
    from tuner.dataset.splitting import fingerprint, make_split

    labels = None if best.data.labels is None else _labels(best, None, reporter)
    scan = scan_and_tell(images_folder(best, None), reporter, labels, best.data.left_out, best.data.scale)
    if scan.fingerprint != best.data.fingerprint:
        raise DataProblem(
            f"{scan.folder} has changed since the search (fingerprint {scan.fingerprint}, then"
            f" {best.data.fingerprint}); restore its images, or leave --also-by-image out"
        )
    loose = replace(scan, images=tuple(replace(image, part=None) for image in scan.images))
    split = make_split(loose, None, best.split.fractions, best.split.seed)
    source = replace(
        best.split, fingerprint=fingerprint(split), images=part_counts(split), groups=None, group_regex=None
    )
    return _images(best, scan, split, source, "a random split by image, not that of the search")


def _newly_split(
    best: Best, scan: "Scan", reporter: Reporter, groups: Path | None, group_regex: str | None
) -> Images:
    from tuner.dataset.splitting import fingerprint, make_split, read_groups

    known = read_groups(scan, groups, group_regex)
    split = make_split(scan, known or None, best.split.fractions, best.split.seed)
    if understood := given_split(scan, best.split.fractions):
        reporter.line(understood)
    how = "by group" if known else "by image"
    reporter.warn(
        f"{scan.folder}: these are not the images and groups of the search; a new split was made, {how}"
    )
    if not known:
        reporter.warn(
            "no --groups: photographs of one object may be on both sides of the split, which makes the scores too good"
        )
    source = SplitSource(
        fingerprint=fingerprint(split),
        images=part_counts(split),
        file=SPLIT_FILE,
        fractions=best.split.fractions,
        seed=best.split.seed,
        groups=None if groups is None else str(groups.resolve()),
        group_regex=group_regex,
    )
    return _images(best, scan, split, source, f"a new split {how}, not that of the search")


def _images(best: Best, scan: "Scan", split: "pd.DataFrame", source: SplitSource, words: str) -> Images:
    counts = {str(name): int((split["label"] == name).sum()) for name in scan.classes}
    same = scan.fingerprint == best.data.fingerprint
    return Images(
        folder=scan.folder,
        classes=scan.classes,
        split=split,
        hashes={image.path: image.pixels for image in scan.images},
        data=Data(
            str(scan.folder),
            best.data.sample and same,
            scan.fingerprint,
            counts,
            None if scan.labels is None else str(scan.labels),
            scan.left_out,
            {**best.data.scale, **scan.scale},
        ),
        source=source,
        same_split=same and source.fingerprint == best.split.fingerprint,
        words=words,
        scan=scan,
    )


def images_folder(best: Best, data: Path | None) -> Path:
    """Where the images are: `data`, by default the folder of the search; raises DataProblem if it is not there."""
    if data is not None:
        require_images(data)
        return data.expanduser().resolve()
    folder = Path(best.data.folder)
    if folder.is_dir():
        return folder
    if best.data.sample:
        from tuner.dataset.reading.sample import sample_data

        return sample_data()[0]
    raise DataProblem(f"{folder}, the images of the search, is gone; say where they are: --data FOLDER")


def _labels(best: Best, data: Path | None, reporter: Reporter) -> Path | None:
    """The table of the search; None for other images in folders that are named as its classes.

    Raises DataProblem if it is gone, or if it names none of the images in `data`, and the folders are no classes of
    the search either: their names would be taken for classes.
    """
    from tuner.dataset.reading.labels import fits

    file = Path(str(best.data.labels))
    there = file.is_file()
    if data is None:
        if not there:
            raise DataProblem(f"{file}, the labels of the search, is gone; say where they are: --labels FILE")
        return file
    folder = data.expanduser().resolve()
    if there and fits(folder, file):
        return file
    why = f"names no image in {folder}" if there else "is gone"
    if _has_class_folders(folder, best.classes):
        reporter.warn(
            f"{file}, the labels of the search, {why}: the folders, which are named as its classes, say the labels"
        )
        return None
    raise DataProblem(
        f"{file}, the labels of the search, {why}, and its class folders are not the classes of the search"
        f" ({some(best.classes)}); say which table labels them: --labels FILE"
    )


def _has_class_folders(folder: Path, classes: Sequence[str]) -> bool:
    """Whether the class folders of `folder` are just `classes`; raises DataProblem if it can't be opened."""
    from trainables.folders import require_folder
    from tuner.dataset.reading.layout import EXPECTED, lay_out

    require_folder(folder, EXPECTED)
    try:
        return {file.label for file in lay_out(folder).found} == set(classes)
    except DataProblem:
        return False


def _same_split(best: Best, path: Path, scan: "Scan") -> "pd.DataFrame":
    """The split of the search: from the file beside best.yaml, from the run, or made again."""
    import pandas as pd

    from tuner.dataset.splitting import fingerprint

    for file in (path.parent / best.split.file, Path(best.run) / "split.parquet"):
        try:
            split = pd.read_parquet(file)
            if fingerprint(split) == best.split.fingerprint:
                return split
        except (OSError, ValueError, KeyError):
            continue
    try:
        made = _made_again(best, scan)
    except UserMistake as error:
        raise RunProblem(f"{_lost(best, path)} ({error})") from error
    if fingerprint(made) != best.split.fingerprint:
        raise RunProblem(_lost(best, path))
    return made


def _made_again(best: Best, scan: "Scan") -> "pd.DataFrame":
    from tuner.dataset.splitting import make_split, read_groups

    csv = None if best.split.groups is None else Path(best.split.groups)
    if best.data.sample and csv is not None and not csv.exists():
        from tuner.dataset.reading.sample import sample_data

        csv = sample_data()[1]
    groups = read_groups(scan, csv, best.split.group_regex)
    return make_split(scan, groups or None, best.split.fractions, best.split.seed)


def _lost(best: Best, path: Path) -> str:
    return (
        f"{path}: the split of the search (fingerprint {best.split.fingerprint}) can't be had: neither"
        f" {path.parent / best.split.file} nor {Path(best.run) / 'split.parquet'} holds it, and it can't be made"
        f" again; put {best.split.file} beside {path.name}, or make a new split with --data and --groups"
    )
