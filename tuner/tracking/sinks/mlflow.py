"""MLflow: one experiment a search, one run a trial; at MLFLOW_TRACKING_URI, else in the run directory."""

import os
from collections.abc import Sequence
from typing import Any

from tuner.runs.directory import Run
from tuner.tracking.events import END, EPOCH, FINAL_TEST, Event
from tuner.tracking.sinks import SinkError, require

REPEATABLE = False
"""A metric that is logged twice at one step stands there twice."""

TAG = "tuner.trial_id"
STATUSES = {"completed": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}


def check() -> None:
    """Raise InvalidValue if mlflow is missing."""
    require("mlflow", "mlflow")


def open_sink(run: Run, weights: bool = False) -> "MlflowSink":
    """The sink at MLFLOW_TRACKING_URI, else `<run>/mlflow.db`; with `weights` kept weights become artifacts."""
    return MlflowSink(run, weights)


class MlflowSink:
    """Logs parameters, every metric and how each trial ended."""

    def __init__(self, run: Run, weights: bool) -> None:
        from mlflow.tracking import MlflowClient

        address = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{run.path.resolve() / 'mlflow.db'}"
        self._client: Any = MlflowClient(tracking_uri=address)
        self._run, self._weights = run, weights
        self._experiment: str | None = None
        self._runs: dict[str, str] = {}

    def send(self, events: Sequence[Event]) -> None:
        """Log each event in its trial's MLflow run."""
        from mlflow.exceptions import MlflowException

        try:
            for event in events:
                self._send(event, self._run_of(event))
        except (MlflowException, OSError) as error:
            raise SinkError(str(error)) from error

    def close(self) -> None:
        """Nothing is held open."""

    def _send(self, event: Event, run: str) -> None:
        from mlflow.entities import Metric

        if event.kind == EPOCH:
            stamp, step = int(1000 * event.values["time"]), int(event.values["epoch"])
            numbers = {name: value for name, value in event.values.items() if name not in ("epoch", "time")}
            metrics = [Metric(name, float(value), stamp, step) for name, value in numbers.items()]
            self._client.log_batch(run, metrics=metrics)
        elif event.kind == END:
            for name in ("status", "reason", "best_epoch"):
                self._client.set_tag(run, f"tuner.{name}", str(event.values.get(name)))
            weights = self._run.weights(event.trial_id)
            if self._weights and weights.exists():
                self._client.log_artifact(run, str(weights), "weights")
            self._client.set_terminated(run, STATUSES[str(event.values["status"])])
        elif event.kind == FINAL_TEST:
            for name, value in event.values.items():
                if name.startswith("test_") and isinstance(value, float):
                    self._client.log_metric(run, name, value)

    def _run_of(self, event: Event) -> str:
        """The MLflow run of the event's trial, found again after a resume."""
        from mlflow.entities import Param

        if event.trial_id not in self._runs:
            experiment = self._experiment = self._experiment or self._find_experiment()
            query = f"tags.`{TAG}` = '{event.trial_id}'"
            found = self._client.search_runs([experiment], filter_string=query, max_results=1)
            if found:
                self._runs[event.trial_id] = found[0].info.run_id
            else:
                tags = {TAG: event.trial_id, "tuner.combination": event.combination}
                made = self._client.create_run(experiment, run_name=event.trial_id, tags=tags)
                given = [(k, v) for k, v in event.parameters.items() if v is not None]
                self._client.log_batch(made.info.run_id, params=[Param(k, str(v)) for k, v in given])
                self._runs[event.trial_id] = made.info.run_id
        return self._runs[event.trial_id]

    def _find_experiment(self) -> str:
        name = self._run.path.resolve().name
        found = self._client.get_experiment_by_name(name)
        return str(found.experiment_id if found else self._client.create_experiment(name))
