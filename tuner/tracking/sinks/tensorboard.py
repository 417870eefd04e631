"""TensorBoard: one folder a trial under `<run>/tensorboard`; look at it with `tensorboard --logdir`."""

from collections.abc import Sequence
from typing import Any

from tuner.runs.directory import Run
from tuner.tracking.events import EPOCH, Event
from tuner.tracking.sinks import SinkError, require

REPEATABLE = False

SHOWN = ("status", "reason", "best_epoch", "epochs", "value")


def check() -> None:
    """Raise InvalidValue if the writer's package is missing."""
    require("tensorboardX", "tensorboard")


def open_sink(run: Run, weights: bool = False) -> "TensorBoardSink":
    """The sink in the directory of `run`; `weights` stay in the run directory."""
    return TensorBoardSink(run)


class TensorBoardSink:
    """Writes every metric as a scalar over the epochs, and the parameters at the end of a trial."""

    def __init__(self, run: Run) -> None:
        self._folder = run.path / "tensorboard"
        self._metric = str(run.record["metric"])
        self._writers: dict[str, Any] = {}

    def send(self, events: Sequence[Event]) -> None:
        """Write and flush."""
        try:
            for event in events:
                writer = self._writer(event.trial_id)
                if event.kind == EPOCH:
                    _write_epoch(writer, event)
                else:
                    self._write_end(writer, event)
            for writer in self._writers.values():
                writer.flush()
        except OSError as error:
            raise SinkError(str(error)) from error

    def close(self) -> None:
        """Close the files."""
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()

    def _writer(self, trial_id: str) -> Any:
        from tensorboardX import SummaryWriter

        if trial_id not in self._writers:
            self._writers[trial_id] = SummaryWriter(str(self._folder / trial_id))
        return self._writers[trial_id]

    def _write_end(self, writer: Any, event: Event) -> None:
        from tensorboardX.summary import hparams

        parameters = {name: value for name, value in event.parameters.items() if value is not None}
        ending = {name: event.values.get(name) for name in SHOWN}
        writer.add_text("trial", "  \n".join(f"{name}: {value}" for name, value in ending.items()))
        value = event.values.get("value")
        if value is not None:
            name = f"best/{self._metric}"
            for summary in hparams(parameters, {name: value}):
                writer.file_writer.add_summary(summary)
            writer.add_scalar(name, value, event.values["best_epoch"])
        self._writers.pop(event.trial_id).close()


def _write_epoch(writer: Any, event: Event) -> None:
    for name, value in event.values.items():
        if name not in ("epoch", "time"):
            writer.add_scalar(name, value, event.values["epoch"], walltime=event.values["time"])
