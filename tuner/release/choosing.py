"""Which of the trained weights are exported: the first seed's, an average of several, or those that the search kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainables import metrics
from trainables.metrics import METRICS
from tuner.retraining.scoring import score_weights
from tuner.retraining.seed_job import SeedResult
from tuner.statistics.calibration import mean_logits
from tuner.statistics.intervals import FloatArray

if TYPE_CHECKING:
    from tuner.release.job import ModelPlan

__all__ = ["Chosen", "choose", "logits_of"]

FIRST = "the first seed's model; no test image had a part in this"
KEPT = (
    "the weights that the search kept, those after epoch {epoch}: trained on the training images only, chosen on the"
    " validation images"
)


@dataclass(frozen=True)
class Chosen:
    """The weights that are exported, one file a member, the rule by which they were, their answers to the test images.

    `averaging` says what became of --average; None without it. `trainings` is how many of one configuration, each from
    its own seed, answer together.
    """

    weights: tuple[Path, ...]
    rule: str
    seeds: tuple[int, ...]
    test_logits: FloatArray | None
    averaging: Mapping[str, Any] | None = None
    trainings: int = 1


def choose(plan: "ModelPlan", models: Sequence[Sequence[SeedResult]]) -> Chosen:
    """The weights of the trained `models`, for each seed one result a member, by the rule that the plan says."""
    first = models[0]
    if plan.average:
        return _averaged(plan, [result for (result,) in models])
    files = tuple(Path(result.weights[-1]) for result in first)
    seeds = tuple(dict.fromkeys(result.seed for result in first))
    rule = KEPT.format(epoch=plan.job.epochs) if plan.kept else FIRST
    if len(seeds) > 1:
        trial = plan.members[0].trial
        rule = f"{len(seeds)} trainings of {trial}, each from its own seed, their probabilities averaged"
    elif len(first) > 1:
        rule = f"an ensemble of {_members(plan)}, their probabilities averaged; {rule}"
    return Chosen(files, rule, seeds, logits_of(plan, first), trainings=len(seeds))


def _members(plan: "ModelPlan") -> str:
    return ", ".join(
        member.trial if member.count == 1 else f"{member.trial} ({member.count} times)"
        for member in plan.members
    )


def logits_of(plan: "ModelPlan", model: Sequence[SeedResult]) -> FloatArray | None:
    """What a model answers the test images (its calibration models the validation images); of an ensemble the mean."""
    answers = [result.test_logits for result in model if result.test_logits is not None]
    if len(answers) < len(model):
        return None
    counts = [member.count for member in plan.members]
    return answers[0] if len(answers) == 1 else mean_logits(answers, counts)


def _averaged(plan: "ModelPlan", results: Sequence[SeedResult]) -> Chosen:
    """The greedy soup of the seeds' models, or of one seed's late epochs, if validation prefers it."""
    from safetensors.torch import load_file, save_file

    from tuner.release.soup import greedy_soup

    job, metric = plan.job, plan.best.expected.metric
    of_seeds = len(results) > 1
    files = [result.weights[-1] for result in results] if of_seeds else list(results[0].weights)
    place = Path(job.folder) / "average.safetensors"
    labels = plan.images.part("val").numbers
    named = plan.best.expected.positive
    positive = job.classes.index(named) if named in job.classes else None

    def judge(state: Mapping[str, Any]) -> float:
        save_file(dict(state), place)
        answers = metrics.Answers(labels, score_weights(job, str(place), "val"), positive)
        return -METRICS[metric].cost(METRICS[metric].compute(answers))

    soup = greedy_soup([load_file(file) for file in files], judge)
    save_file(dict(soup.state), place)
    what = "seeds' models" if of_seeds else "last epochs of one seed"
    if len(soup.members) > 1:
        rule = (
            f"the average of {len(soup.members)} of {len(files)} {what}: better on validation than each alone"
        )
    else:
        rule = f"the best single of {len(files)} {what}: on validation no average was better"
    seeds = [results[member].seed for member in soup.members] if of_seeds else [results[0].seed]
    averaging = {
        "offered": len(files),
        "of": what,
        "taken": len(soup.members),
        "kept": len(soup.members) > 1,
        f"{metric}_of_singles": [METRICS[metric].cost(-value) for value in soup.singles],
        metric: METRICS[metric].cost(-soup.score),
    }
    logits = score_weights(job, str(place), "test")
    return Chosen((place,), rule, tuple(seeds), logits, averaging)
