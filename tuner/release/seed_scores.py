"""How much the seed alone moves a finalist's test accuracy: for `tuner compare --seeds`."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuner.evaluation.scores import score
from tuner.release.images import find_images
from tuner.release.retrain import make_job
from tuner.release.seeds import draw_seeds, train_seeds
from tuner.runs.best_trial import best_of
from tuner.runs.directory import Run
from tuner.tracking.reporter import Reporter

if TYPE_CHECKING:
    import pandas as pd

    from tuner.cluster.session import RaySession

__all__ = ["seed_scores"]


def seed_scores(
    trials: Sequence[tuple[Run, Mapping[str, Any]]],
    seeds: int,
    session: "RaySession",
    reporter: Reporter | None = None,
) -> "pd.DataFrame":
    """Columns trial_id, seed, accuracy: each trial (run, row of `trials.parquet`) retrained `seeds` times.

    As in the search it trains on the training images only, for as many epochs as its best weights had; the
    accuracy is that of the test images. Seeds that diverge are left out.
    """
    import numpy as np
    import pandas as pd

    reporter = reporter or Reporter()
    rows = []
    for run, trial in trials:
        best = best_of(run, trial)
        images = find_images(best, run.path / "best.yaml", reporter)
        labels = np.array(
            [
                images.classes.index(label)
                for label in images.split.loc[images.split["split"] == "test", "label"]
            ]
        )
        with tempfile.TemporaryDirectory(dir=run.path) as folder:
            epochs = best.expected.epoch
            job = make_job(best, images, ("train",), epochs, Path(folder), reporter, validate=True, test=True)
            reporter.line(f"{best.trial}: {seeds} seeds of {epochs} epochs")
            for result in train_seeds(job, draw_seeds(best.config.seed, seeds), session, reporter):
                if result.test_logits is not None:
                    accuracy = score(labels, result.test_logits).accuracy
                    rows.append({"trial_id": best.trial, "seed": result.seed, "accuracy": accuracy})
    return pd.DataFrame(rows, columns=["trial_id", "seed", "accuracy"])
