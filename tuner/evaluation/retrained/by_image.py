"""Finalists trained again on a random split by image: for `tuner compare --also-by-image`."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from trainables.errors import RunProblem
from tuner.console.reporter import Reporter
from tuner.evaluation.comparison.finalists import Finalist
from tuner.retraining.images import images_by_image
from tuner.retraining.jobs import make_job
from tuner.retraining.seed_job import SEEDS
from tuner.retraining.seeds import train_jobs
from tuner.runs.best_trial import best_of
from tuner.runs.directory import Run

if TYPE_CHECKING:
    from tuner.cluster.session import RaySession
    from tuner.evaluation.comparison.by_image import ByImage

__all__ = ["by_image_scores", "check_groups"]


def check_groups(runs: Sequence[Run]) -> None:
    """Raise RunProblem for a run whose split is by image already."""
    for run in runs:
        if not run.split()["group"].duplicated().any():
            raise RunProblem(
                f"{run.path} knows no groups, so its split is by image already and --also-by-image has nothing to"
                " compare; search with --groups or --group-regex"
            )


def by_image_scores(
    finalists: Sequence[Finalist],
    session: "RaySession",
    reporter: Reporter | None = None,
) -> "ByImage":
    """Each of `finalists` trained once more on a random split by image of the run's seed.

    It keeps its seeds and trains for as many epochs as its best weights had, on the training images of the new
    split only; the accuracy is that of the new test images. A trial that diverges is left out. What is trained is kept
    in the run's folder `seeds/`, so that a comparison that was interrupted goes on where it was. Raises RunProblem for
    runs without groups.
    """
    import numpy as np
    import pandas as pd

    from tuner.evaluation.comparison.by_image import ByImage
    from tuner.statistics.scores import score

    reporter = reporter or Reporter()
    check_groups([one.run for one in finalists])
    leaked, known, jobs, labels = [], {}, [], []
    for one in finalists:
        run, best = one.run, best_of(one.run, one.row)
        if run.path not in known:
            known[run.path] = images_by_image(best, reporter)
            leaked.append(_leaked(run, known[run.path].split))
        images = known[run.path]
        labels.append(images.part("test").numbers)
        epochs = best.expected.epoch
        folder = run.path / SEEDS
        job = make_job(best, images, ("train",), epochs, folder, reporter, validate=True, test=True)
        reporter.line(f"{best.trial}: {epochs} epochs on a random split by image")
        jobs.append((replace(job, run_seed=best.run_seed), [best.config.seed]))
    results = train_jobs(jobs, session, reporter, title="training on a random split")
    rows = [
        {
            "run": one.run.path.resolve().name,
            "trial_id": str(one.row["trial_id"]),
            "accuracy": score(truth, result.test_logits).accuracy,
        }
        for one, truth, (result,) in zip(finalists, labels, results, strict=True)
        if result.test_logits is not None
    ]
    frame = pd.DataFrame(rows, columns=["run", "trial_id", "accuracy"])
    return ByImage(frame, float(np.mean(leaked)), max(map(len, labels)))


def _leaked(run: Run, split: Any) -> float:
    """Share of the test images of `split` that have another image of their group, as `run` has it, in training."""
    from tuner.dataset.splitting import leaks

    group = run.split().set_index("path")["group"]
    grouped = split.assign(group=split["path"].map(group))
    return float(leaks(grouped) / (grouped["split"] == "test").sum())
