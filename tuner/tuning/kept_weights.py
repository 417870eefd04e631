"""Whose best weights a run keeps in `weights/`, beside what living trials need to go on."""

from collections.abc import Collection

from trainables.checkpoint import take_best
from trainables.storage import RunFolder
from tuner.runs.directory import Run

__all__ = ["KeptWeights"]


class KeptWeights:
    """The files in `weights/` of `run`; `storage` is where living trials write theirs."""

    def __init__(self, run: Run, storage: RunFolder) -> None:
        self._run, self._living = run, storage

    def take(self, trial_id: str, epoch: int) -> None:
        """Keep the weights of `epoch`, the trial's best, in place of whatever is kept of it."""
        folder, target = self._run.alive(trial_id), self._run.weights(trial_id)
        if folder.exists():
            self._living.collect(trial_id, epoch, folder)
        if not take_best(folder, epoch, target):
            self.forget(trial_id)

    def has(self, trial_id: str) -> bool:
        """Whether weights of the trial are kept."""
        return self._run.weights(trial_id).exists()

    def forget(self, trial_id: str) -> None:
        """Keep none of the trial."""
        self._run.weights(trial_id).unlink(missing_ok=True)

    def keep_only(self, trials: Collection[str]) -> None:
        """Keep none but those of `trials`."""
        for file in (self._run.path / "weights").glob("*.safetensors"):
            if file.stem not in trials:
                file.unlink()
