"""The model that a search ends with: its choice, trained once on all images that it may, in the time that is left.

That is the chosen trial, or an ensemble of a few that all images found better than that.

The answers out of fold, by models that have not seen an image's group, give the temperature and the sets: no second
model has to be trained for these. Where no time is left to train, the weights that the search kept are released.
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from trainables.data.parallel import num_workers
from trainables.errors import RunProblem
from tuner.cluster.signals import Signals
from tuner.console.reporter import Reporter
from tuner.release.folder import FORMATS
from tuner.release.from_run import ReleaseConfig, release_model
from tuner.release.job import ModelPlan, RetrainConfig, Retrained, Trained
from tuner.release.retrain import check_config, prepare_plan
from tuner.release.unfinished import kept_at_the_end, note_room, room_for_export, unfinished
from tuner.retraining.seed_job import SEEDS, SeedJob, SeedResult
from tuner.runs.best import Best, read_best
from tuner.runs.directory import Run, rows_of
from tuner.statistics.calibration import mean_logits
from tuner.tuning.budget import Budget
from tuner.tuning.fold_answers import out_of_fold
from tuner.tuning.fold_seconds import final_seconds

__all__ = ["ShipConfig", "ship"]


@dataclass(frozen=True)
class ShipConfig:
    """The run whose choice becomes a model folder at `out`; with `final` it is trained on the test images, too."""

    run: Path
    out: Path
    final: bool = False
    costs: Path | None = None
    formats: tuple[str, ...] = FORMATS

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
    run, retraining = Run.open(config.run), config.retraining
    check_config(retraining)
    best = read_best(retraining.best)
    members = _members(run, best, budget)
    if not members:
        reporter.line("no time is left to train on all images: the weights that the search kept are released")
        kept = ReleaseConfig(run.path, best.trial, costs=config.costs, formats=config.formats, out=config.out)
        return release_model(kept, reporter)
    retraining = replace(retraining, ensemble=len(members) > 1)
    with Signals(raises=True), unfinished(retraining.folder) as work:
        plan = prepare_plan(retraining, best, work / SEEDS, reporter, test=False)
        with kept_at_the_end(plan, work, reporter):
            note_room(plan, work, reporter)
            return _train_and_write(plan, run, members, work, reporter)


def _members(run: Run, best: Best, budget: Budget) -> Sequence[Mapping[str, Any]]:
    """The rows of what is trained: the ensemble's members, or else the chosen trial; none where there is no time."""
    rows = {str(row["trial_id"]): row for row in rows_of(run.trials())}
    if best.trial not in rows:
        raise RunProblem(f"{run.path}: trial {best.trial} of best.yaml is not in trials.parquet")
    single = [rows[best.trial]]
    together = [rows[one.trial] for one in best.ensemble if one.trial in rows]
    for wanted in (together, single):
        if wanted and sum(final_seconds([row], run) for row in wanted) <= budget.left():
            return wanted
    return []


def _train_and_write(
    plan: ModelPlan, run: Run, members: Sequence[Mapping[str, Any]], work: Path, reporter: Reporter
) -> Retrained:
    from tuner.release.writing import WRITING, finish

    answers = [out_of_fold(run, row) for row in members]
    there = [one for one in answers if one is not None]
    counts = [one.count for one in plan.members]
    mixed = mean_logits(there, counts) if len(there) == len(members) else None
    with reporter.waiting("the model is trained on all images"):
        models = tuple(_train(replace(one.job, num_threads=num_workers(None)), plan) for one in plan.members)
    trained = Trained((models,), None, mixed)
    plan = replace(plan, calibrated=mixed is not None)
    with room_for_export(trained, work) as model:
        with reporter.waiting(WRITING):
            done = finish(plan, trained, model)
        model.replace(plan.folder)
    shutil.rmtree(work)
    return done


def _train(job: SeedJob, plan: ModelPlan) -> SeedResult:
    """The model, trained in this process on all its cores, or kept from a call that was interrupted."""
    from tuner.retraining import kept
    from tuner.retraining.seeds import train_seed

    seed = plan.seeds[0]
    if (found := kept.find(job, seed)) is not None:
        return found
    result = train_seed(job, seed)
    if result.error is not None:
        raise RunProblem(
            f"the training on all images diverged ({result.error}); release the weights that the search kept:"
            f" tuner release {plan.best.run}"
        )
    kept.keep(job, result)
    return result
