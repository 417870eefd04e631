"""The model that a search ends with: its choice, trained on all images that it may, in the time that is left.

That is the chosen trial, trained from several seeds as far as time allows, or an ensemble of a few trials that all
images found better than that. Trainings of one configuration differ by their seed; their mean is better than one.

The answers out of fold, by models that have not seen an image's group, give the temperature and the sets: no second
model has to be trained for these. Where no time is left to train, the weights that the search kept are released.
"""

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from trainables import strategies
from trainables.errors import RunProblem
from tuner.cluster.signals import Signals
from tuner.console.reporter import Reporter
from tuner.release.folder import FORMATS
from tuner.release.from_run import ReleaseConfig, release_model
from tuner.release.job import ModelPlan, PlannedMember, RetrainConfig, Retrained, Trained
from tuner.release.retrain import check_config, prepare_plan
from tuner.release.unfinished import kept_at_the_end, note_room, room_for_export, unfinished
from tuner.retraining.here import train_here
from tuner.retraining.seed_job import SEEDS, SeedJob, SeedResult
from tuner.runs.best import Best, Expected
from tuner.runs.best_file import read_best
from tuner.runs.best_trial import by_all_images
from tuner.runs.directory import Run, rows_of
from tuner.runs.ensemble import ENSEMBLE
from tuner.statistics.calibration import mean_logits
from tuner.tuning.budget import MARGIN, NETWORK_S, NETWORKS, Budget
from tuner.tuning.fold_answers import out_of_fold
from tuner.tuning.fold_seconds import final_seconds

__all__ = ["ShipConfig", "ship"]


@dataclass(frozen=True)
class ShipConfig:
    """The run whose choice becomes a model folder at `out`; with `final` it is trained on the test images, too.

    At most `networks` trainings of the chosen trial answer together.
    """

    run: Path
    out: Path
    final: bool = False
    costs: Path | None = None
    formats: tuple[str, ...] = FORMATS
    networks: int = NETWORKS

    @property
    def retraining(self) -> RetrainConfig:
        """The same as a retraining from one seed."""
        return RetrainConfig(
            best=self.run / "best.yaml",
            seeds=1,
            final=self.final,
            calibration=False,
            costs=self.costs,
            formats=self.formats,
            out=self.out,
        )


def ship(config: ShipConfig, budget: Budget | None = None, reporter: Reporter | None = None) -> Retrained:
    """Train the choice of the run on all images but the test ones, and write the model folder; no Ray starts.

    Raises UserMistake for what a person can mend, Interrupted at Ctrl-C or SIGTERM.
    """
    reporter, budget = reporter or Reporter(), budget or Budget()
    run = Run.open(config.run)
    # Held, so that `tuner status` sees that somebody is at work.
    with run.owned():
        return _ship(config, run, budget, reporter)


def _ship(config: ShipConfig, run: Run, budget: Budget, reporter: Reporter) -> Retrained:
    retraining = config.retraining
    check_config(retraining)
    best = read_best(retraining.best)
    members = _members(run, best, budget, config.networks)
    if not members:
        reporter.line("no time is left to train on all images: the weights that the search kept are released")
        kept = ReleaseConfig(run.path, best.trial, costs=config.costs, formats=config.formats, out=config.out)
        return release_model(kept, reporter)
    retraining = replace(retraining, ensemble=len(members) > 1)
    with Signals(raises=True), unfinished(retraining.folder) as work:
        plan = prepare_plan(retraining, best, work / SEEDS, reporter, test=False)
        if len(members) > 1:
            plan = replace(plan, together=_together(run, best.expected))
        with kept_at_the_end(plan, work, reporter):
            note_room(plan, work, reporter)
            count = config.networks if len(members) == 1 else 1
            models = _models(plan, count, final_seconds(members, run), budget, reporter)
            return _write(plan, run, members, models, work, reporter)


def _members(run: Run, best: Best, budget: Budget, networks: int) -> Sequence[Mapping[str, Any]]:
    """The rows of what is trained: the ensemble's members, or else the chosen trial; none where there is no time."""
    rows = {str(row["trial_id"]): row for row in rows_of(run.trials())}
    if best.trial not in rows:
        raise RunProblem(f"{run.path}: trial {best.trial} of best.yaml is not in trials.parquet")
    single = [rows[best.trial]]
    together = [rows[one.trial] for one in best.ensemble if one.trial in rows]
    for wanted in (together, single):
        if 0 < len(wanted) <= networks and sum(final_seconds([row], run) for row in wanted) <= budget.left():
            return wanted
    return []


def _together(run: Run, single: Expected) -> Expected | None:
    """What is to be expected of the ensemble that all images judged, by the metric of the `single` trial's."""
    known = by_all_images(run, ENSEMBLE, 0)
    if known is None:
        return None
    value, (error, spread) = known
    return Expected(single.metric, value, 0, error, spread, {}, single.positive)


def _models(
    plan: ModelPlan, count: int, seconds: float, budget: Budget, reporter: Reporter
) -> Sequence[tuple[PlannedMember, SeedResult]]:
    """Every member and what its training gave; of a single one `count` trainings at most, while there is time.

    One training is expected to take `seconds`.
    """
    with reporter.waiting("the model is trained"):
        models = [(one, _train(one.job, plan, reporter)) for one in plan.members]
    if strategies.is_linear_probe(plan.job.config.strategy):
        # A solved head is the same whatever the seed.
        return models
    from tuner.retraining.seeds import draw_seeds

    for number, seed in enumerate(draw_seeds(plan.best.config.seed, count)[1:], start=2):
        if MARGIN * seconds + NETWORK_S * len(models) > budget.left():
            break
        started = time.perf_counter()
        with reporter.waiting(f"training {number} of {count}, from another seed"):
            result = _try(plan.job, seed, reporter)
        seconds = max(seconds, time.perf_counter() - started)
        if result is not None:
            models.append((plan.members[0], result))
    return models


def _write(
    plan: ModelPlan,
    run: Run,
    rows: Sequence[Mapping[str, Any]],
    models: Sequence[tuple[PlannedMember, SeedResult]],
    work: Path,
    reporter: Reporter,
) -> Retrained:
    from tuner.release.writing import WRITING, finish

    answers = [out_of_fold(run, row) for row in rows]
    there = [one for one in answers if one is not None]
    counts = [one.count for one in plan.members]
    mixed = mean_logits(there, counts) if len(there) == len(rows) else None
    trained = Trained((tuple(result for _, result in models),), None, mixed)
    plan = replace(plan, members=tuple(member for member, _ in models), calibrated=mixed is not None)
    with room_for_export(trained, work) as model:
        with reporter.waiting(WRITING):
            done = finish(plan, trained, model)
        model.replace(plan.folder)
    shutil.rmtree(work)
    return done


def _train(job: SeedJob, plan: ModelPlan, reporter: Reporter) -> SeedResult:
    """The model from the first seed; raises RunProblem if it diverged."""
    result = train_here(job, plan.seeds[0], reporter)
    if result.error is not None:
        raise RunProblem(
            f"the training on all images diverged ({result.error}); release the weights that the search kept:"
            f" tuner release {plan.best.run}"
        )
    return result


def _try(job: SeedJob, seed: int, reporter: Reporter) -> SeedResult | None:
    """The model from a further seed; None if it diverged."""
    result = train_here(job, seed, reporter)
    if result.error is None:
        return result
    reporter.warn(f"seed {seed} diverged and is left out: {result.error}")
    return None
