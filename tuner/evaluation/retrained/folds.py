"""Finalists trained on folds over all images, each image answered by a model that has not seen its group.

For `tuner compare --folds`. What a fold answered is kept in the run's folder `folds/`, so that a comparison that was
interrupted goes on where it was.
"""

import contextlib
import hashlib
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from trainables.config import CROP
from trainables.data.cache import build_cache
from trainables.errors import RunProblem
from trainables.file_digest import file_digest
from trainables.weights_content import weights_path
from tuner.console.reporter import Reporter
from tuner.dataset.allocation import Group, allocate
from tuner.evaluation.comparison.finalists import Finalist
from tuner.evaluation.comparison.folds import NESTED, OutOfFold
from tuner.retraining.images import Images, find_images
from tuner.retraining.seeds import SeedJob, SeedResult, train_jobs
from tuner.runs.best import Best
from tuner.runs.best_trial import best_of
from tuner.runs.directory import Run, write_atomically

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    from tuner.cluster.session import RaySession

__all__ = ["FOLDER", "assign_folds", "check_folds", "fold_answers", "groups_of"]

FOLDER = "folds"
FEATURE_CACHE_BYTES = 8 * 2**30


@dataclass(frozen=True)
class _Part:
    """One model to train: what it is called, its configuration, the fold that it answers, and where that is kept."""

    key: str
    best: Best
    images: Images
    fold: int
    file: Path

    @property
    def seen(self) -> tuple[int, str]:
        """The side of its pictures, and how they become squares."""
        return self.best.image_size, self.best.fit


def check_folds(run: Run, count: int) -> None:
    """Raise RunProblem for a class with fewer groups than `count` folds: some model would never have seen it."""
    split = run.split()
    sizes = split.groupby("label")["group"].nunique()
    few = sizes[sizes < count]
    if len(few):
        grouped = bool(split["group"].duplicated().any())
        label, size = str(few.index[0]), int(few.iloc[0])
        raise RunProblem(
            f"{run.path}: class {label!r} has {size} {'groups' if grouped else 'images'}, too few for --folds {count};"
            f" give at most --folds {int(sizes.min())}"
        )
    fold = assign_folds(split, count, int(run.record["seed"]))
    if alone := _in_one_fold(split, fold):
        raise RunProblem(
            f"{run.path}: no {count} folds were found that keep groups whole and have every class in two of them or"
            f" more: class {alone[0]!r} is in one fold alone, since some of its groups hold other classes too; give"
            " another number of --folds"
        )


def assign_folds(split: "pd.DataFrame", count: int, seed: int) -> "npt.NDArray[np.int64]":
    """The fold [n] of every row of `split`: whole groups, the classes in their proportions, the same for a seed.

    Every class is in two folds or more, where such folds are found.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    maker = StratifiedGroupKFold(count, shuffle=True, random_state=seed % 2**32)
    fold = np.zeros(len(split), dtype=np.int64)
    labels, groups = split["label"].to_numpy(dtype=str), split["group"].to_numpy(dtype=str)
    for number, (_, held) in enumerate(maker.split(np.zeros(len(split)), labels, groups)):
        fold[held] = number
    if _in_one_fold(split, fold):
        # scikit-learn looks at proportions alone.
        place = allocate(
            groups_of(split), [str(number) for number in range(count)], [1 / count] * count, seed
        )
        fold = np.array([int(place[str(name)]) for name in split["group"]], dtype=np.int64)
    return fold


def groups_of(split: "pd.DataFrame") -> list[Group]:
    """The groups of `split`, each with how many images of each class it holds."""
    held: dict[str, Counter[str]] = {}
    for name, label in zip(split["group"], split["label"], strict=True):
        held.setdefault(str(name), Counter())[str(label)] += 1
    return [Group(name, held[name]) for name in sorted(held)]


def _in_one_fold(split: "pd.DataFrame", fold: "npt.NDArray[np.int64]") -> list[str]:
    """The classes that are in a single fold: what answers that fold would never have seen them."""
    spread = split.assign(fold=fold).groupby("label")["fold"].nunique()
    return [str(label) for label in spread.index[spread < 2]]


def fold_answers(
    finalists: Sequence[Finalist],
    count: int,
    session: "RaySession",
    reporter: Reporter | None = None,
    nested: Sequence[Best] = (),
) -> OutOfFold:
    """Every one of `finalists` trained on `count` folds over all images of their common split.

    Each trains as long as its best epoch, from its own seeds. `nested` are the winners of searches inside each fold, in
    the order of the folds: each answers its fold. A finalist of which a fold diverges is left out.
    """
    reporter = reporter or Reporter()
    run = finalists[0].run
    first = best_of(run, finalists[0].row)
    images = find_images(first, run.path / "best.yaml", reporter)
    fold = assign_folds(images.split, count, int(run.record["seed"]))
    asked = [(one.key, best_of(one.run, one.row), one.run) for one in finalists]
    parts = [
        _part(key, best, images, fold, number, where.path / FOLDER / best.trial)
        for key, best, where in asked
        for number in range(count)
    ]
    parts += [
        _part(NESTED, best, images, fold, number, run.path / FOLDER / f"search-{best.trial}")
        for number, best in enumerate(nested)
    ]
    _train(parts, fold, session, reporter)
    every = images.part()
    logits = {
        one.key: found for one in finalists if (found := _joined(parts, one.key, fold, images)) is not None
    }
    for one in finalists:
        if one.key not in logits:
            reporter.warn(f"{one.key} diverged in a fold and is left out of the folds")
    if not logits:
        raise RunProblem(f"{run.path}: every finalist diverged in some fold; lower its learning rate")
    searched = _joined(parts, NESTED, fold, images) if nested else None
    return OutOfFold(
        count=count,
        paths=every.paths,
        groups=every.groups,
        labels=every.numbers,
        logits=logits,
        nested=searched,
        nested_lost=bool(nested) and searched is None,
    )


def _part(
    key: str, best: Best, images: Images, fold: "npt.NDArray[np.int64]", number: int, stem: Path
) -> _Part:
    """The model that answers the fold `number`; its answers stand in a file whose name begins with `stem`.

    The name ends with a digest of all that they depend on, so that answers to other folds are never taken for these.
    """
    paths = [str(path) for path in images.split["path"]]
    labels = [str(label) for label in images.split["label"]]
    rows = [
        (path, images.hashes[path], label, int(own))
        for path, label, own in zip(paths, labels, fold == number, strict=True)
    ]
    start = _weights_content(best)
    training = (best.config, best.expected.epoch, best.plateau_reduced_after, best.image_size, start)
    # crop is not said: answers from before there was anything else stay valid
    fit = () if best.fit == CROP else (best.fit,)
    said = repr((rows, images.classes, *training, best.precision, best.run_seed, *fit))
    digest = hashlib.sha256(said.encode("utf-8")).hexdigest()[:12]
    return _Part(
        key, best, images, number, stem.with_name(f"{stem.name}.{number + 1}of{fold.max() + 1}.{digest}.npy")
    )


def _weights_content(best: Best) -> str:
    """The content of the weights that `best` starts from; where they are not on this machine, as the run began."""
    path = weights_path(best.config.model, best.weights)
    if path is None:
        return best.weights_files.get(best.config.model, {}).get("sha256", best.weights)
    return file_digest(path)


def _train(
    parts: Sequence[_Part], fold: "npt.NDArray[np.int64]", session: "RaySession", reporter: Reporter
) -> None:
    """Train what has no file yet; a part that diverges leaves none."""
    missing = [part for part in parts if not part.file.exists()]
    kept = len(parts) - len(missing)
    reporter.line(f"folds: {len(missing)} models to train" + (f", {kept} kept from before" if kept else ""))
    if not missing:
        return
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        caches: dict[tuple[int, str], str] = {}
        for part in missing:
            if part.seen not in caches:
                caches[part.seen] = _cache(part.images, *part.seen, reporter)
        jobs = [(_job(part, fold, caches[part.seen], folder), [part.best.config.seed]) for part in missing]

        def keep(place: int, result: SeedResult) -> None:
            part = missing[place]
            part.file.parent.mkdir(parents=True, exist_ok=True)
            if result.test_logits is None:
                reporter.warn(f"{part.key}, fold {part.fold + 1}: diverged ({result.error})")
                return
            answers = result.test_logits
            write_atomically(part.file, lambda path: _save(path, answers))

        train_jobs(jobs, session, reporter, keep, title="training on folds")


def _save(path: Path, answers: "npt.NDArray[np.float64]") -> None:
    with path.open("wb") as file:
        np.save(file, answers)


def _cache(images: Images, image_size: int, fit: str, reporter: Reporter) -> str:
    paths = [str(path) for path in images.split["path"]]
    with reporter.progress("preparing images") as progress:
        hashes = [images.hashes[path] for path in paths]
        return str(build_cache(images.folder, paths, hashes, image_size, fit=fit, progress=progress))


def _job(part: _Part, fold: "npt.NDArray[np.int64]", cache: str, folder: Path) -> SeedJob:
    """What trains on all folds but one and answers that."""
    best, split = part.best, part.images.split
    paths = [str(path) for path in split["path"]]
    rows = [
        (path, str(label), "train")
        for path, label, own in zip(paths, split["label"], fold, strict=True)
        if own != part.fold
    ]
    return SeedJob(
        config=best.config,
        classes=part.images.classes,
        cache=cache,
        rows=rows,
        test_cache=cache,
        test_paths=[path for path, own in zip(paths, fold, strict=True) if own == part.fold],
        image_size=best.image_size,
        weights=best.weights,
        precision=best.precision,
        run_seed=best.run_seed,
        epochs=best.expected.epoch,
        reduced_after=best.plateau_reduced_after,
        late=0,
        folder=str(folder),
        feature_cache_bytes=FEATURE_CACHE_BYTES,
        title=f"{part.key}, fold {part.fold + 1}",
    )


def _joined(
    parts: Sequence[_Part], key: str, fold: "npt.NDArray[np.int64]", images: Images
) -> "npt.NDArray[np.float64] | None":
    """The answers [n, classes] of all folds of `key`; None where one is missing."""
    logits = np.full((len(fold), len(images.classes)), np.nan)
    for part in parts:
        if part.key == key:
            if not part.file.exists():
                return None
            logits[fold == part.fold] = np.load(part.file)
    return logits
