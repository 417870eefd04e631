"""Weights & Biases: one run a trial; offline in `<run>/wandb` unless WANDB_MODE says otherwise."""

import hashlib
import os
from collections.abc import Sequence
from typing import Any

from tuner.runs.directory import Run
from tuner.tracking.events import END, EPOCH, Event
from tuner.tracking.sinks import SinkError, require

REPEATABLE = False


def check() -> None:
    """Raise InvalidValue if wandb is missing."""
    require("wandb", "wandb")


def open_sink(run: Run, weights: bool = False) -> "WandbSink":
    """The sink of `run`; with `weights` kept weights become artifacts."""
    return WandbSink(run, weights)


class WandbSink:
    """Keeps one wandb run open for each living trial."""

    def __init__(self, run: Run, weights: bool) -> None:
        self._run, self._weights = run, weights
        self._runs: dict[str, Any] = {}

    def send(self, events: Sequence[Event]) -> None:
        """Log each event in its trial's run."""
        from wandb.errors import Error

        try:
            for event in events:
                self._send(event)
        except (Error, OSError) as error:
            raise SinkError(str(error)) from error

    def close(self) -> None:
        """Finish every run that is open; a resume goes on with it under the same id."""
        for run in self._runs.values():
            run.finish()
        self._runs.clear()

    def _send(self, event: Event) -> None:
        run = self._run_of(event)
        if event.kind == EPOCH:
            numbers = {name: value for name, value in event.values.items() if name != "time"}
            run.log(numbers, step=int(event.values["epoch"]))
        elif event.kind == END:
            for name in ("status", "reason", "best_epoch", "value"):
                run.summary[name] = event.values.get(name)
            self._log_weights(run, event)
            self._runs.pop(event.trial_id).finish(exit_code=int(event.values["status"] == "failed"))

    def _log_weights(self, run: Any, event: Event) -> None:
        import wandb

        weights = self._run.weights(event.trial_id)
        if self._weights and weights.exists():
            artifact = wandb.Artifact(event.trial_id, type="model")
            artifact.add_file(str(weights))
            run.log_artifact(artifact)

    def _run_of(self, event: Event) -> Any:
        import wandb

        if event.trial_id not in self._runs:
            search = self._run.path.resolve().name
            key = f"{search} {self._run.record.get('started')} {event.trial_id}"
            self._runs[event.trial_id] = wandb.init(
                project=os.environ.get("WANDB_PROJECT", "tuner"),
                group=search,
                name=event.trial_id,
                id=hashlib.sha256(key.encode()).hexdigest()[:16],
                dir=str(self._run.path),
                mode=os.environ.get("WANDB_MODE", "offline"),  # type: ignore[arg-type]
                config=dict(event.parameters),
                resume="allow",
                reinit="create_new",
                settings=wandb.Settings(console="off", silent=True),
            )
        return self._runs[event.trial_id]
