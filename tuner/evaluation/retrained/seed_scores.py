"""How much the seed alone moves a finalist's test accuracy: for `tuner compare --seeds`."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from tuner.console.reporter import Reporter
from tuner.evaluation.comparison.finalists import Finalist, note_scoring
from tuner.retraining.images import Images, find_images
from tuner.retraining.jobs import make_job
from tuner.retraining.seed_job import SEEDS
from tuner.retraining.seeds import SeedResult, draw_seeds, train_jobs
from tuner.runs.best_trial import best_of
from tuner.statistics.scores import score

if TYPE_CHECKING:
    import pandas as pd

    from tuner.cluster.session import RaySession

__all__ = ["seed_scores"]


def seed_scores(
    finalists: Sequence[Finalist],
    seeds: int,
    session: "RaySession",
    reporter: Reporter | None = None,
) -> "pd.DataFrame":
    """Columns key, seed, accuracy: each of `finalists` retrained `seeds` times.

    As in the search it trains on the training images only, for as many epochs as its best weights had; the
    accuracy is that of the test images, and the run's record says so before. Seeds that diverge are left out. What is
    trained is kept in the run's folder `seeds/`, so that a comparison that was interrupted goes on where it was.
    """
    import pandas as pd

    reporter = reporter or Reporter()
    jobs, pictures = [], []
    for one in finalists:
        best = best_of(one.run, one.row)
        images = find_images(best, one.run.path / "best.yaml", reporter)
        warning = note_scoring(one.run, [best.trial], "compare --seeds")
        if warning is not None:
            reporter.warn(warning)
        epochs = best.expected.epoch
        folder = one.run.path / SEEDS
        job = make_job(best, images, ("train",), epochs, folder, reporter, validate=True, test=True)
        reporter.line(f"{one.key}: {seeds} seeds of {epochs} epochs")
        jobs.append((job, draw_seeds(best.config.seed, seeds)))
        pictures.append(images)
    results = train_jobs(jobs, session, reporter)
    rows = [
        {"key": one.key, "seed": seed, "accuracy": accuracy}
        for one, images, own in zip(finalists, pictures, results, strict=True)
        for seed, accuracy in _accuracies(own, images)
    ]
    return pd.DataFrame(rows, columns=["key", "seed", "accuracy"])


def _accuracies(results: Sequence[SeedResult], images: Images) -> Iterator[tuple[int, float]]:
    """Seed and test accuracy of every result that did not diverge."""
    labels = images.part("test").numbers
    for result in results:
        if result.test_logits is not None:
            yield result.seed, score(labels, result.test_logits).accuracy
