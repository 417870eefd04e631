"""A retraining that has not ended: its folder beside the model folder, and what is kept and said when it ends early.

    .NAME.unfinished/seeds/    what `tuner.retraining.kept` keeps of every trained seed
    .NAME.unfinished/model/    the model folder while it is written
    .NAME.unfinished/lock      held by the process that works there

The folder has the same name each time, so the same command finds what an earlier one trained.
"""

import contextlib
import errno
import shutil
from collections.abc import Iterator
from pathlib import Path

from trainables.errors import Interrupted, RunProblem, UserMistake
from trainables.locks import LockHeld, locked
from tuner.console.reporter import Reporter
from tuner.release.job import ModelPlan, Trained
from tuner.retraining.kept import num_kept
from tuner.retraining.room import bytes_of, free_bytes, megabytes, model_bytes
from tuner.retraining.seed_job import SEEDS

__all__ = ["kept_at_the_end", "note_room", "room_for_export", "unfinished"]

FORMATS = 3
"""Files of an exported model that hold all its weights: safetensors, torch.export and ONNX."""

BESIDE_WEIGHTS = 8 * 2**20
"""Bytes that figures, tables and graphs of a model folder may take beside its weights."""

AGAIN = "the same command goes on with them"


@contextlib.contextmanager
def unfinished(folder: Path) -> Iterator[Path]:
    """The folder for what is trained for the model folder `folder`, held against other processes.

    What it holds stays at the end, an empty one goes. Raises RunProblem if another process works there.
    """
    work = folder.with_name(f".{folder.name}.unfinished")
    (work / SEEDS).mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(locked(work / "lock", timeout_s=0))
        except LockHeld:
            raise RunProblem(
                f"another process trains for {folder} now; wait for it or stop it, or choose another --out"
            ) from None
        try:
            yield work
        finally:
            if not _files(work / SEEDS) and not (work / "model").exists():
                shutil.rmtree(work, ignore_errors=True)


@contextlib.contextmanager
def kept_at_the_end(plan: ModelPlan, work: Path, reporter: Reporter) -> Iterator[None]:
    """While entered, an end before the model is written says what is kept; raises Interrupted after a signal."""
    _note_others(plan, work, reporter)
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(f"stopped; {_kept(plan, work) or 'no model was trained yet'}") from None
    except Exception:
        if (said := _kept(plan, work)) is not None:
            reporter.warn(said)
        raise


def note_room(plan: ModelPlan, work: Path, reporter: Reporter) -> None:
    """Say so if the disk has no room for all that is to be trained and written.

    Seeds are trained as far as there is room for their weights, so that nobody has to wait for the answer.
    """
    missing = sum(bytes_of(job) * (len(seeds) - num_kept([(job, seeds)])) for job, seeds in plan.trainings)
    needed = missing + _export_bytes(sum(model_bytes(member.job) for member in plan.members))
    free = free_bytes(work)
    if free < needed:
        reporter.warn(
            f"{work.parent} has {megabytes(free)} free, and this needs {megabytes(needed)} in all; make room while"
            " it trains. What is trained is kept"
        )


@contextlib.contextmanager
def room_for_export(trained: Trained, work: Path) -> Iterator[Path]:
    """An empty folder to write the model folder into; raises RunProblem where the disk is too full for that."""
    model = work / "model"
    shutil.rmtree(model, ignore_errors=True)
    needed = _export_bytes(sum(Path(result.weights[-1]).stat().st_size for result in trained.models[0]))
    free = free_bytes(work)
    if free < needed:
        raise RunProblem(
            f"{work.parent}: no room on the disk for the model folder ({megabytes(needed)} needed,"
            f" {megabytes(free)} free); make room there"
        )
    model.mkdir()
    try:
        yield model
    except BaseException as error:
        full = _is_full(error, work)
        if full or not isinstance(error, UserMistake):
            shutil.rmtree(model, ignore_errors=True)
        if full:
            raise RunProblem(
                f"{work.parent}: the disk is full, so the model can't be written; make room there"
            ) from error
        raise


def _export_bytes(weights: int) -> int:
    return FORMATS * weights + BESIDE_WEIGHTS


def _is_full(error: BaseException, folder: Path) -> bool:
    """Whether `error` comes from a full disk; the exporters' C++ says so in words, or does not say it at all."""
    cause: BaseException | None = error
    while cause is not None:
        number = getattr(cause, "errno", None)
        if number in (errno.ENOSPC, errno.EDQUOT) or "No space left" in str(cause):
            return True
        cause = cause.__cause__ or cause.__context__
    return isinstance(error, Exception) and free_bytes(folder) < 2**16


def _kept(plan: ModelPlan, work: Path) -> str | None:
    """What is kept, in a sentence; None for nothing."""
    count, wanted = num_kept(plan.trainings), sum(len(seeds) for _, seeds in plan.trainings)
    return f"{count} of {wanted} trained models are kept in {work}; {AGAIN}" if count else None


def _note_others(plan: ModelPlan, work: Path, reporter: Reporter) -> None:
    """Say that earlier seeds are not those of this plan."""
    own = {Path(job.folder) for job, _ in plan.trainings}
    others = [file for file in _files(work / SEEDS) if file.suffix == ".npz" and file.parent not in own]
    if others:
        reporter.warn(
            f"{len(others)} models that are kept in {work} are of other settings, images or versions and are not used;"
            " they are removed once this model is written"
        )


def _files(folder: Path) -> list[Path]:
    return [file for file in folder.rglob("*") if file.is_file() and not file.name.startswith(".")]
