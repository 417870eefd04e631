"""best.yaml -> the model: trained from several seeds on all but the test images, scored, and written out."""

import contextlib
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from trainables import strategies
from trainables.errors import InvalidValue, RunProblem
from trainables.image_size import require_size
from trainables.ranges import check_fields
from tuner.cluster.environment import ray_environment
from tuner.cluster.signals import Signals
from tuner.console.reporter import Reporter
from tuner.evaluation.comparison.costs import read_costs
from tuner.release.folder import check_formats
from tuner.release.job import ModelPlan, PlannedMember, RetrainConfig, Retrained, Trained
from tuner.release.unfinished import kept_at_the_end, note_room, room_for_export, unfinished
from tuner.retraining.here import train_jobs_here
from tuner.retraining.images import Images, find_images, images_folder
from tuner.retraining.jobs import make_job
from tuner.retraining.kept import located, num_kept
from tuner.retraining.seed_job import SEEDS
from tuner.retraining.seeds import SeedJob, SeedResult, draw_seeds, train_jobs
from tuner.runs.best import Best
from tuner.runs.best_file import read_best
from tuner.runs.best_trial import member_of
from tuner.runs.directory import Run
from tuner.runs.ensemble import Member
from tuner.runs.hardware import usable_cores
from tuner.runs.paths import is_taken, try_target
from tuner.runs.weights_files import changed_files

if TYPE_CHECKING:
    from tuner.cluster.session import RaySession

__all__ = ["RetrainConfig", "Retrained", "check_config", "retrain"]

HERE = 2
"""So many trainings this process does by itself on a processor. One after the other with all cores, two take about as
long as both at once with one core each (two cores: 41 s and 37 s), and Ray's start and end are saved (ten seconds)."""

LATE_EPOCHS = 5
"""Of how many last epochs the weights are averaged where there is one seed only."""


def retrain(config: RetrainConfig, reporter: Reporter | None = None) -> Retrained:
    """Train the configuration of a best.yaml anew from `config.seeds` seeds and write a model folder.

    It trains on the training and validation images and scores the test images; with `final` it trains on all
    and reports no score; with `average` validation is held out to judge averages. With `ensemble` the members of the
    ensemble of best.yaml are trained and exported as one. Trained seeds are kept beside the model folder until it is
    written, whatever happens; the same call goes on with them. Raises UserMistake for what a person can mend, before
    anything is trained wherever it can be known, and Interrupted at Ctrl-C or SIGTERM.
    """
    reporter = reporter or Reporter()
    check_config(config)
    best = read_best(config.best)
    with ray_environment(config.address), Signals(raises=True) as signals, unfinished(config.folder) as work:
        plan = prepare_plan(config, best, work / SEEDS, reporter)
        with kept_at_the_end(plan, work, reporter):
            note_room(plan, work, reporter)
            return _retrain(config, plan, work, signals, reporter)


def _retrain(
    config: RetrainConfig, plan: ModelPlan, work: Path, signals: Signals, reporter: Reporter
) -> Retrained:
    from tuner.cluster.session import ray_session
    from tuner.release.writing import WRITING, finish

    if _needs_no_ray(config, plan):
        trained = _gathered(plan, train_jobs_here(plan.trainings, reporter), reporter)
    else:
        with contextlib.ExitStack() as stack:
            with reporter.starting("Ray starts"):
                session = stack.enter_context(ray_session(config, signals))
            trained = _train(plan, session, reporter)
    with room_for_export(trained, work) as model:
        with reporter.waiting(WRITING):
            done = finish(_alone(plan), trained, model)
        model.replace(plan.folder)
    shutil.rmtree(work)
    return done


def _alone(plan: ModelPlan) -> ModelPlan:
    """The same with all cores for each job: nothing else computes any more."""
    cores = usable_cores()
    members = [
        replace(
            one,
            job=replace(one.job, num_threads=cores),
            calibration=one.calibration and replace(one.calibration, num_threads=cores),
        )
        for one in plan.members
    ]
    return replace(plan, members=tuple(members))


def _train(plan: ModelPlan, session: "RaySession", reporter: Reporter) -> Trained:
    """Every member from every seed, and the calibration models from the first seed; all at once as far as they fit."""
    return _gathered(plan, train_jobs(plan.trainings, session, reporter), reporter)


def _needs_no_ray(config: RetrainConfig, plan: ModelPlan) -> bool:
    """Whether this process trains by itself: few trainings, of which nobody said where they are to be."""
    from trainables.inference import best_device

    told = (config.address, config.concurrent, config.cpus_per_trial, config.gpus_per_trial)
    missing = sum(len(seeds) for _, seeds in plan.trainings) - num_kept(plan.trainings)
    return all(one is None for one in told) and missing <= HERE and best_device().type == "cpu"


def _gathered(plan: ModelPlan, results: Sequence[Sequence[SeedResult]], reporter: Reporter) -> Trained:
    """The models of the seeds that did not diverge, and the calibration models, from the `results` by job and seed."""
    count = len(plan.members)
    models, calibration = list(zip(*results[:count], strict=True)), tuple(own[0] for own in results[count:])
    lost = next((one.error for one in calibration if one.error is not None), None)
    if lost is not None:
        reporter.warn(
            f"the model that was to answer the validation images diverged ({lost}): the probabilities stay as they"
            " are, and there are no sets"
        )
    return Trained(_alive(models, reporter), calibration if calibration and lost is None else None)


def check_config(config: RetrainConfig) -> None:
    """Refuse what can be refused without reading anything; raises InvalidValue or RunProblem."""
    check_fields(config)
    check_formats(config.formats)
    if config.final and config.average:
        raise InvalidValue(
            "--final trains on every image, which leaves none for --average to judge by; choose one of them"
        )
    if config.ensemble and config.average:
        raise InvalidValue(
            "--ensemble averages the probabilities of several models, --average the weights of one; choose one of them"
        )
    if is_taken(config.folder):
        raise RunProblem(f"{config.folder} exists already; choose another --out")
    try_target(config.folder, "--out")


def prepare_plan(
    config: RetrainConfig, best: Best, folder: Path, reporter: Reporter, *, test: bool = True
) -> ModelPlan:
    """What is to be trained, its images cached; says so on `reporter`. Without `test` no test image is scored."""
    test = test and not config.final
    members = chosen_members(config, best)
    wanted = {one.config.model for one in members}
    require_size(wanted, best.image_size)
    images_folder(best, config.data)
    for sentence in changed_files(best.weights, best.weights_files, wanted, fetch=True):
        reporter.warn(sentence)
    images = find_images(
        best,
        config.best,
        reporter,
        data=config.data,
        labels=config.labels,
        groups=config.groups,
        group_regex=config.group_regex,
    )
    costs = None if config.costs is None else read_costs(config.costs, images.classes)
    parts = _trained_parts(config)
    planned, rules = [], []
    for member in members:
        own = _as_best(best, member)
        epochs, rule = epochs_rule(own, images, parts, config.epochs)
        validate = config.average
        job = make_job(own, images, parts, epochs, folder, reporter, validate=validate, test=test)
        calibration = _calibration_job(job, images) if config.calibration and not config.average else None
        job = located(_with_weights(job, config, best))
        planned.append(
            PlannedMember(
                member.trial, member.count, job, None if calibration is None else located(calibration)
            )
        )
        rules.append(rule if len(members) == 1 else f"{member.trial}: {rule}")
    plan = ModelPlan(
        best=best,
        images=images,
        trained_parts=parts,
        members=tuple(planned),
        seeds=tuple(draw_seeds(best.config.seed, config.num_seeds)),
        epochs_rule="; ".join(rules),
        folder=config.folder,
        formats=config.formats,
        costs=costs,
        average=config.average,
        calibrated=config.calibration,
    )
    _tell(plan, rules, reporter)
    if test and images.same_split:
        _note_scoring(best, [member.trial for member in members], reporter)
    return plan


def _trained_parts(config: RetrainConfig) -> tuple[str, ...]:
    """The parts whose images are trained on; an average holds validation out, which judges it."""
    if config.final:
        return ("train", "val", "test")
    return ("train",) if config.average else ("train", "val")


def chosen_members(config: RetrainConfig, best: Best) -> tuple[Member, ...]:
    """The configuration of best.yaml alone, or those of its ensemble; raises RunProblem if it has none."""
    if not config.ensemble:
        return (member_of(best, 1),)
    if not best.ensemble:
        raise RunProblem(
            f"{config.best} records no ensemble; leave --ensemble out, or give the best.yaml of a run in which"
            " `tuner compare` found one"
        )
    return best.ensemble


def _as_best(best: Best, member: Member) -> Best:
    """What best.yaml would say if `member` alone had been chosen."""
    return replace(
        best,
        trial=member.trial,
        config=member.config,
        expected=replace(best.expected, epoch=member.epoch),
        plateau_reduced_after=member.plateau_reduced_after,
        ensemble=(),
    )


def _calibration_job(job: SeedJob, images: Images) -> SeedJob:
    """The same on the training images only; it answers the validation images."""
    train = set(images.paths("train"))
    rows = [row for row in job.rows if row[0] in train]
    return replace(
        job,
        rows=rows,
        test_cache=job.cache,
        test_paths=images.paths("val"),
        late=1,
        title="the model for calibration",
    )


def _tell(plan: ModelPlan, rules: Sequence[str], reporter: Reporter) -> None:
    reporter.line(
        f"{plan.images.words}; trains on {' + '.join(plan.trained_parts)}; seeds: {len(plan.seeds)}"
    )
    if plan.average:
        reporter.line("validation is not trained on: it judges whether an average is better")
    elif plan.calibrated:
        one = "one more model" if len(plan.members) == 1 else "one more model of each member"
        reporter.line(
            f"{one} trains on the training images only and answers the validation images: the temperature and the"
            " sets come from these answers (--no-calibration leaves it out)"
        )
    for rule in rules:
        reporter.line(rule)


def epochs_rule(best: Best, images: Images, parts: tuple[str, ...], asked: int | None) -> tuple[int, str]:
    """How many epochs, and the sentence that says why.

    As many as the search's best trial had at its best: then rates and unfreezes fall where they were found, and
    the optimizer's steps grow with the images. A linear probe has one, however many are asked.
    """
    if strategies.is_linear_probe(best.config.strategy):
        return 1, f"1 epoch, in which strategy {best.config.strategy} solves the head"
    size = best.config.batch_size
    now = -(-sum(len(images.paths(part)) for part in parts) // size)
    then = -(-best.split.images["train"] // size)
    epochs = best.expected.epoch if asked is None else asked
    counted = f"{epochs} epoch{'' if epochs == 1 else 's'}"
    if asked is not None:
        why = f"{counted} as asked (the search's best was {best.expected.epoch})"
    else:
        why = f"{counted}, the same as in the search, with the same rates and unfreezing in each epoch"
    scaled = f"; the number of images is another one, so the steps are, too: {now} an epoch instead of {then}"
    text = why + (scaled if now != then else f"; {now} steps an epoch as in the search")
    if best.config.schedule != "plateau" or "val" not in parts:
        return epochs, text
    after = ", ".join(str(epoch) for epoch in best.plateau_reduced_after) or "none"
    return epochs, f"{text}; the rate is lowered after the same epochs as in the search: {after}"


def _with_weights(job: SeedJob, config: RetrainConfig, best: Best) -> SeedJob:
    """The same, keeping the weights; with --average those of models that started alike, or one seed's late epochs."""
    if not config.average:
        return replace(job, late=1)
    late = min(LATE_EPOCHS, job.epochs) if config.num_seeds == 1 else 1
    return replace(job, run_seed=best.run_seed, late=late)


def _alive(
    models: Sequence[tuple[SeedResult, ...]], reporter: Reporter
) -> tuple[tuple[SeedResult, ...], ...]:
    alive = []
    for model in models:
        error = next((result.error for result in model if result.error is not None), None)
        if error is None:
            alive.append(model)
        else:
            reporter.warn(f"seed {model[0].seed} diverged and is left out: {error}")
    if not alive:
        raise RunProblem(
            f"every seed diverged ({error}); lower config.learning_rate in best.yaml, or set precision: fp32"
        )
    return tuple(alive)


def _note_scoring(best: Best, trials: Sequence[str], reporter: Reporter) -> None:
    """Record in the run, if it is still there, that `trials` are about to see its test images."""
    from tuner.evaluation.comparison.finalists import note_scoring

    if (Path(best.run) / "run.yaml").is_file():
        try:
            warning = note_scoring(Run.open(Path(best.run)), trials, "retrain")
        except OSError as error:
            warning = (
                f"{best.run} can't be told that its test images are looked at ({error.strerror or error})"
            )
        if warning is not None:
            reporter.warn(warning)
