"""An ensemble of kept trials, chosen on validation: their probabilities averaged, as one more finalist."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from trainables.metrics import METRICS, Answers
from trainables.temperature import calibrated_losses
from tuner.evaluation.comparison.finalists import Finalist, Scorer, images_of, judging_images, kept_trials
from tuner.runs.best_file import read_best, save_best
from tuner.runs.best_trial import best_of, member_of
from tuner.runs.directory import Run, rows_of
from tuner.runs.ensemble import Member
from tuner.statistics.calibration import mean_logits
from tuner.statistics.ensembles import select_members
from tuner.statistics.intervals import FloatArray

__all__ = [
    "KEY",
    "Ensemble",
    "choose_ensemble",
    "ensemble_finalist",
    "ensemble_logits",
    "record",
    "voted_for_none",
]

KEY = "ensemble"
"""What the ensemble is called among finalists."""

OFFERED = 20
"""Kept trials from which it is chosen, the best on validation."""


@dataclass(frozen=True)
class Ensemble:
    """An ensemble that validation prefers to every single trial: its members, and it as a finalist."""

    members: tuple[Finalist, ...]
    finalist: Finalist


def choose_ensemble(runs: Sequence[Run], most: int, scorer: Scorer) -> Ensemble | None:
    """The ensemble of at most `most` kept trials of `runs`; None if validation prefers a single one.

    Where all images judged, it is the one that they found better than the chosen trial. `scorer` gives a trial's logits
    of image paths, here those of the validation images.
    """
    kept = {one.key: one for one in kept_trials(runs, OFFERED)}
    voted = _voted(runs, kept, most)
    if voted is not None:
        kept = {key: kept[key] for key in voted}
    if most < 2 or len(kept) < 2:
        return None
    record = runs[0].record
    paths, labels, groups = images_of(runs[0], "val")
    logits = {key: np.asarray(scorer(one.run, one.row, paths), dtype=np.float64) for key, one in kept.items()}
    metric, positive = METRICS[str(record["metric"])], record.get("positive")
    number = None if positive is None else [*record["data"]["classes"]].index(positive)
    counts = select_members(logits, labels, metric, most, number) if voted is None else voted
    if len(counts) < 2 or (voted is None and not _better(counts, logits, labels, groups, metric.name)):
        return None
    value = metric.compute(Answers(labels, ensemble_logits(counts, logits), number))
    return Ensemble(tuple(kept[key] for key in counts), ensemble_finalist(counts, kept, value))


def _better(
    counts: Mapping[str, int],
    logits: Mapping[str, FloatArray],
    labels: npt.NDArray[np.int64],
    groups: Sequence[str],
    metric: str,
) -> bool:
    """Whether the ensemble's log loss is lower than that of its best member, each under its temperature.

    To average what is too sure of itself lowers the loss, and a temperature does so without a second model.
    """
    if metric != "val_loss":
        return True
    mixed = calibrated_losses(ensemble_logits(counts, logits), labels, groups).mean()
    return bool(mixed < min(calibrated_losses(one, labels, groups).mean() for one in logits.values()))


def _voted(runs: Sequence[Run], kept: Mapping[str, Finalist], most: int) -> dict[str, int] | None:
    """How often all images took each trial into their ensemble; empty where they found none.

    None where only the validation images judged, and where their members are too many or are not what they were.
    """
    if judging_images(runs) is None or (table := runs[0].judged()) is None:
        return None
    rows = {str(row["trial_id"]): row for row in rows_of(table) if row.get("votes")}
    rows.pop(KEY, None)
    there = all(name in kept and kept[name].row["best_epoch"] == row["epoch"] for name, row in rows.items())
    return {name: int(row["votes"]) for name, row in rows.items()} if len(rows) <= most and there else None


def voted_for_none(runs: Sequence[Run]) -> bool:
    """Whether more than the validation images of a run judged, and found no ensemble better than the chosen trial."""
    table = runs[0].judged()
    if judging_images(runs) is None or table is None or "votes" not in table:
        return False
    return not (table["votes"] > 0).any()


def record(run: Run, ensemble: Ensemble | None) -> str | None:
    """Write the members into the run's best.yaml, from which `retrain --ensemble` trains them.

    What stood there before is taken out, also where the members are of several runs, which no best.yaml can record:
    then the sentence that says so is returned.
    """
    path = run.path / "best.yaml"
    if not path.is_file():
        return None
    members: tuple[Member, ...] = ()
    mixed = ensemble is not None and any(one.run is not run for one in ensemble.members)
    if ensemble is not None and not mixed:
        counts = ensemble.finalist.members or {}
        members = tuple(member_of(best_of(run, one.row), counts[one.key]) for one in ensemble.members)
    best = read_best(path)
    if best.ensemble != members:
        save_best(replace(best, ensemble=members), path)
    if not mixed:
        return None
    return (
        "an ensemble across several runs cannot be exported: tuner retrain --ensemble trains the members of one run"
        " only; compare one run alone for an ensemble that it can train"
    )


def ensemble_logits(members: Mapping[str, int], logits: Mapping[str, FloatArray]) -> FloatArray:
    """The ensemble's logits [n, classes] from its members'."""
    return mean_logits([logits[key] for key in members], list(members.values()))


def ensemble_finalist(
    members: Mapping[str, int], finalists: Mapping[str, Finalist], value: float
) -> Finalist:
    """The ensemble of `members` as a finalist whose validation metric is `value`.

    Its configuration is that of the member with most votes, which stands for it in pictures of configurations.
    """
    first = finalists[max(members, key=lambda key: members[key])]
    votes = sum(members.values())
    models = {key: finalists[key].config.model for key in members}
    label = f"ensemble of {len(members)} ({votes} votes)"
    row = {**first.row, "trial_id": KEY, "status": "completed", "best_epoch": None, "estimate": None}
    return replace(
        first, key=KEY, label=label, row=row, value=value, members=dict(members), member_models=models
    )
