"""Optuna's journal of a run: where the truth about its trials is recorded, in whole records.

A trial appears in it with all its parameters at once, so a process that dies leaves no half-asked trial.

Other programs may write into it: `optuna-dashboard` or a script enqueues trials, adds some or tells the end of others.
So every trial of tuner's bears the mark of its run, and only these are read as trials of the run.
"""

import contextlib
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import FrozenTrial, TrialState

from trainables.errors import RunProblem
from trainables.metrics import METRICS

STUDY_NAME = "tuner"

MARK = "tuner:run"
"""Name of the attribute that says whose a trial is: the study's holds the run's mark, a trial's the same."""

OBJECTIVES = "study:metric_names"
"""Name of the attribute under which Optuna keeps what a study's objectives are called."""

UNMARKED = "tuner:unmarked"
"""Name of the study's attribute that says how many trials an earlier version had made, which bear no mark."""


def open_storage(journal: Path) -> JournalStorage:
    """Optuna's storage in the file `journal`, made if it is absent."""
    lock = JournalFileOpenLock(str(journal))
    return JournalStorage(JournalFileBackend(str(journal), lock_obj=lock))


def open_named_storage(journal: Path, metric: str) -> JournalStorage:
    """The same for pages that show the study: its objective is called `metric`, which the journal does not say."""
    lock = JournalFileOpenLock(str(journal))
    return _Named(JournalFileBackend(str(journal), lock_obj=lock), metric)


class _Named(JournalStorage):
    """A storage that names the objective of its studies where it is read."""

    def __init__(self, backend: JournalFileBackend, metric: str) -> None:
        super().__init__(backend)
        self._names = {OBJECTIVES: [metric]}

    def get_all_studies(self) -> list[Any]:
        """Every study, copied."""
        studies = super().get_all_studies()
        for study in studies:
            study.system_attrs = {**self._names, **study.system_attrs}
        return studies

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        """What Optuna keeps of a study."""
        return {**self._names, **super().get_study_system_attrs(study_id)}


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


def mark_of(study: optuna.Study) -> str:
    """The mark that the run's trials bear; made at the first call, which counts the trials of an earlier version."""
    if MARK not in study.user_attrs:
        study.set_user_attr(UNMARKED, len(study.get_trials(deepcopy=False)))
        study.set_user_attr(MARK, uuid.uuid4().hex)
    return str(study.user_attrs[MARK])


def own_trials(study: optuna.Study) -> dict[int, FrozenTrial]:
    """The trials that tuner made for this run, by tuner's own number of them, from 0; not copied.

    That number is not the study's: trials of other programs are left out, also copies of another run's, and an enqueued
    trial that tuner took up stands in the study where it was enqueued.
    """
    mark = study.user_attrs.get(MARK)
    trials = study.get_trials(deepcopy=False)
    unmarked = int(study.user_attrs.get(UNMARKED, len(trials)))
    own: dict[int, FrozenTrial] = {}
    for trial in trials:
        ours = trial.number < unmarked or trial.system_attrs.get(MARK) == mark
        if ours and _is_made(trial):
            own.setdefault(_own_number(trial.user_attrs), trial)
    return dict(sorted(own.items()))


def completed_trials(study: optuna.Study) -> list[FrozenTrial]:
    """Our trials that ran to their end, by number; not those that another program told a value of."""
    trials = own_trials(study).values()
    return [t for t in trials if t.state is TrialState.COMPLETE and "row" in t.user_attrs]


def _is_made(trial: FrozenTrial) -> bool:
    """Whether a trial has all that tuner writes; a waiting one may have a part of it."""
    attrs = trial.user_attrs
    return (
        trial.state is not TrialState.WAITING
        and isinstance(attrs.get("config"), Mapping)
        and str(attrs.get("trial_id", "")).rpartition("-")[2].isdigit()
    )


def _own_number(attrs: Mapping[str, Any]) -> int:
    """The number that ends a trial's name."""
    return int(str(attrs["trial_id"]).rpartition("-")[2])
