"""What `inspect` looks for on request: similar pictures, doubtful labels."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuner.runs.paths import is_taken, try_folder

if TYPE_CHECKING:
    from tuner.console.reporter import Reporter
    from tuner.dataset.config import DataConfig
    from tuner.dataset.reading.scan import Scan

__all__ = ["GROUPS", "SUSPECTS", "check_out", "similar", "suspects"]

GROUPS, SIMILAR_PAGE = "groups.csv", "similar.html"
SUSPECTS, SUSPECTS_PAGE = "suspects.csv", "suspects.html"


def check_out(out: Path, files: Iterable[str]) -> None:
    """Refuse a folder that can't be written to, or that holds one of `files`, which a person may have edited."""
    from trainables.errors import RunProblem

    for name in files:
        if is_taken(out / name):
            raise RunProblem(f"{out / name} exists already, and may hold your edits; choose another --out")
    try_folder(out, "--out")


def similar(
    config: "DataConfig", scan: "Scan", groups: Mapping[str, str], out: Path, reporter: "Reporter"
) -> dict[str, Any]:
    """Find pictures of one object, write the proposal into `out`, and say what was found.

    Where nothing stands out nothing is written. Where `groups` are given they are compared with what was found, and no
    others are proposed.
    """
    with reporter.starting("what looks for similar pictures starts"):
        from trainables.inference import best_device
        from tuner.dataset.features import find_similar
        from tuner.dataset.inspection.near_duplicates_page import write_similar_page
        from tuner.dataset.near_duplicates import sentences, sentences_against, write_groups
        from tuner.dataset.splitting import merged_groups

        # Imports torch, for seconds.
        best_device()
    found = find_similar(config, scan, reporter)
    document: dict[str, Any] = {**found.document(), "test_images": None, "test_images_near_training": None}
    document |= {"within_given": None, "across_given": None, "groups_file": None, "page": None}
    for sentence in sentences(found):
        reporter.line(sentence)
    if not len(found.pairs):
        reporter.line("so no groups are proposed, and no file is written")
        return document
    against = found.against(merged_groups(scan.images, groups)) if groups else None
    if against is not None:
        document |= {"within_given": against.within, "across_given": against.across}
        for sentence in sentences_against(against):
            reporter.line(sentence)
    if (counts := _under_the_split(config, scan, groups, found)) is not None:
        document["test_images_near_training"], document["test_images"] = counts
        how = "by the groups given" if groups else "by image"
        reporter.line(f"split {how}, {counts[0]} of {counts[1]} test images would look like one in training")
    out.mkdir(parents=True, exist_ok=True)
    file, page = out / GROUPS, out / SIMILAR_PAGE
    with reporter.starting("the page is made"):
        write_similar_page(found, scan.folder, page, scan.scale, against)
    if against is not None:
        # Groups that a person knows are better than any that likeness proposes.
        reporter.line(f"wrote {page} to look through; no groups are proposed, since yours are there")
        return {**document, "page": page}
    write_groups(found, file)
    reporter.line(f"wrote {file}, a proposal that nothing uses unasked, and {page} to look through")
    without = ["--without", str(config.without)] if config.without else []
    reporter.line(f"if it is right: {_search(replace(config, groups=file), scan, *without)}")
    return {**document, "groups_file": file, "page": page}


def suspects(
    config: "DataConfig", scan: "Scan", groups: Mapping[str, str], out: Path, reporter: "Reporter"
) -> dict[str, Any]:
    """Rank doubtful labels, write table and page into `out`, and say what was found."""
    with reporter.starting("what looks for suspects starts"):
        from trainables.inference import best_device
        from tuner.dataset.inspection.carried import keep_suspects
        from tuner.dataset.inspection.label_errors import find_suspects, sentences, write_suspects
        from tuner.dataset.inspection.label_errors_page import write_suspects_page

        # Imports torch, for seconds.
        best_device()
    found = find_suspects(config, scan, groups, reporter)
    keep_suspects(scan.fingerprint, found)
    for sentence in sentences(found):
        reporter.line(sentence)
    out.mkdir(parents=True, exist_ok=True)
    file, page = out / SUSPECTS, out / SUSPECTS_PAGE
    with reporter.starting("the page is made"):
        write_suspects(found, file)
        write_suspects_page(found, scan.folder, page, scan.scale)
    reporter.line(f"wrote {file}, ranked, and {page} to look through and mark; nothing is deleted")
    merge = f" (add the lines of {config.without} to it)" if config.without else ""
    reporter.line(f"to leave out what you marked: {_search(config, scan, '--without', str(file))}{merge}")
    return {**found.document(), "table": file, "page": page}


def _search(config: "DataConfig", scan: "Scan", *options: str) -> str:
    """The search of these images, with labels, groups, split, seed and weights as they were told to `inspect`."""
    from tuner.advice.commands import typed
    from tuner.dataset.splitting import parse_fractions

    data: dict[str, Any] = {"folder": scan.folder, "labels": config.labels, "groups": config.groups}
    data |= {"group_regex": config.group_regex, "fractions": parse_fractions(config.split)}
    seed = ["--seed", str(config.seed)] if config.seed else []
    return typed({"data": data, "weights": config.weights_dir}, "run", *options, *seed)


def _under_the_split(
    config: "DataConfig", scan: "Scan", groups: Mapping[str, str], found: Any
) -> tuple[int, int] | None:
    """Test images that look like one in training, and all of them, under the split of a search; None if it has none."""
    from trainables.errors import DataProblem
    from tuner.dataset.splitting import make_split, parse_fractions

    try:
        split = make_split(scan, groups, parse_fractions(config.split), config.seed)
    except DataProblem:
        return None
    counts: tuple[int, int] = found.near_training(split)
    return counts
