"""How much the seed alone moves a finalist's test accuracy: for `tuner compare --seeds`."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuner.best import best_of
from tuner.results import Run
from tuner.retrain import make_job
from tuner.retrain_images import find_images
from tuner.scores import score
from tuner.seeds import draw_seeds, train_seeds
from tuner.show import Show

if TYPE_CHECKING:
    import pandas as pd

    from tuner.ray_session import RaySession

__all__ = ["seed_scores"]


def seed_scores(
    trials: Sequence[tuple[Run, Mapping[str, Any]]],
    seeds: int,
    session: "RaySession",
    show: Show | None = None,
) -> "pd.DataFrame":
    """Columns trial_id, seed, accuracy: each trial (run, row of `trials.parquet`) retrained `seeds` times.

    As in the search it trains on the training images only, for as many epochs as its best weights had; the
    accuracy is that of the test images. Seeds that diverge are left out.
    """
    import numpy as np
    import pandas as pd

    show = show or Show()
    rows = []
    for run, trial in trials:
        best = best_of(run, trial)
        images = find_images(best, run.path / "best.yaml", show)
        labels = np.array(
            [
                images.classes.index(label)
                for label in images.split.loc[images.split["split"] == "test", "label"]
            ]
        )
        with tempfile.TemporaryDirectory(dir=run.path) as folder:
            epochs = best.expected.epoch
            job = make_job(best, images, ("train",), epochs, Path(folder), show, validate=True, test=True)
            show.line(f"{best.trial}: {seeds} seeds of {epochs} epochs")
            for result in train_seeds(job, draw_seeds(best.config.seed, seeds), session, show):
                if result.test_logits is not None:
                    accuracy = score(labels, result.test_logits).accuracy
                    rows.append({"trial_id": best.trial, "seed": result.seed, "accuracy": accuracy})
    return pd.DataFrame(rows, columns=["trial_id", "seed", "accuracy"])
