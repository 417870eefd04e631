"""A configuration and images become what seeds have to do."""

from pathlib import Path

from trainables.data.cache import build_cache
from tuner.console.reporter import Reporter
from tuner.retraining.images import Images
from tuner.retraining.seed_job import SeedJob
from tuner.runs.best import Best
from tuner.runs.hardware import usable_cores

__all__ = ["make_job"]


def make_job(
    best: Best,
    images: Images,
    parts: tuple[str, ...],
    epochs: int,
    folder: Path,
    reporter: Reporter,
    *,
    validate: bool,
    test: bool,
) -> SeedJob:
    """What seeds have to do to train on `parts` and, if so told, to validate and to answer the test images.

    Their results are kept in `folder`, without weights. Whoever trains several at once gives each its own threads.
    """
    names = {**dict.fromkeys(parts, "train"), **({"val": "val"} if validate else {})}
    chosen = images.split[images.split["split"].isin(list(names))]
    paths = [str(path) for path in chosen["path"]]
    rows = [
        (path, str(label), names[part])
        for path, label, part in zip(paths, chosen["label"], chosen["split"], strict=True)
    ]
    tested = images.paths("test") if test else []
    return SeedJob(
        config=best.config,
        classes=images.classes,
        cache=_cache(images, paths, best, reporter),
        rows=rows,
        test_cache=_cache(images, tested, best, reporter) if test else None,
        test_paths=tested,
        image_size=best.image_size,
        weights=best.weights,
        precision=best.precision,
        run_seed=None,
        epochs=epochs,
        reduced_after=best.plateau_reduced_after,
        late=0,
        folder=str(folder),
        num_threads=usable_cores(),
        kept=True,
    )


def _cache(images: Images, paths: list[str], best: Best, reporter: Reporter) -> str:
    hashes = [images.hashes[path] for path in paths]
    with reporter.progress("preparing images") as progress:
        built = build_cache(images.folder, paths, hashes, best.image_size, fit=best.fit, progress=progress)
    return str(built)
