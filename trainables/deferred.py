"""TrialTrainable for whoever only sends it to workers: torch is imported where the trial runs, not here."""

from typing import Any

from ray import tune

from trainables.config import RunContext

__all__ = ["DeferredTrial"]


class DeferredTrial(tune.Trainable):  # type: ignore[misc]
    """A trial as `ray_trainable.TrialTrainable` runs it; importing that takes a driver more than a second."""

    def setup(self, config: dict[str, Any], context: RunContext | None = None) -> None:
        """Import what trains, and prepare the worker and its first trial; called by Ray."""
        from trainables.ray_trainable import TrialTrainable

        self._trial = TrialTrainable.__new__(TrialTrainable)
        self._trial.setup(config, context)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take over the next trial in the same process; called by Ray under reuse_actors."""
        return self._trial.reset_config(new_config)

    def step(self) -> dict[str, Any]:
        """One epoch's metrics with `done` and `reason`; called by Ray."""
        return self._trial.step()

    def __repr__(self) -> str:
        """The run's name, as the trial says it."""
        return repr(self._trial) if hasattr(self, "_trial") else type(self).__name__

    def cleanup(self) -> None:
        """Let the last files reach the disk; called by Ray."""
        self._trial.cleanup()
