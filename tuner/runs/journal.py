"""Optuna's journal of a run: where the truth about its trials is recorded, in whole records.

A trial appears in it with all its parameters at once, so a process that dies leaves no half-asked trial.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

from trainables.errors import RunProblem
from trainables.metrics import METRICS

STUDY_NAME = "tuner"


def open_storage(journal: Path) -> JournalStorage:
    """Optuna's storage in the file `journal`, made if it is absent."""
    lock = JournalFileOpenLock(str(journal))
    return JournalStorage(JournalFileBackend(str(journal), lock_obj=lock))


def repair(journal: Path) -> None:
    """Make the journal of a dead process usable: cut off a torn last line and remove its lock.

    Call it only while no other process may have the journal open for writing.
    """
    for lock in journal.parent.glob(f"{journal.name}.lock*"):
        lock.unlink(missing_ok=True)
    if not journal.exists():
        return
    content = journal.read_bytes()
    if content and not content.endswith(b"\n"):
        with journal.open("r+b") as file:
            file.truncate(content.rfind(b"\n") + 1)


def create_study(journal: Path, metric: str) -> tuple[optuna.Study, JournalStorage]:
    """The run's study, made or reopened, with its storage."""
    with quiet_optuna():
        storage = open_storage(journal)
        study = optuna.create_study(
            storage=storage,
            study_name=STUDY_NAME,
            direction=METRICS[metric].direction,
            load_if_exists=True,
        )
    return study, storage


def load_study(journal: Path) -> optuna.Study:
    """The study of a run, to be read; raises RunProblem if there is none."""
    if not journal.exists():
        raise RunProblem(f"{journal} is missing; was the run ever started?")
    with quiet_optuna():
        return optuna.load_study(storage=open_storage(journal), study_name=STUDY_NAME)


@contextlib.contextmanager
def quiet_optuna() -> Iterator[None]:
    """While entered Optuna logs errors only; afterwards what its user had set."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
