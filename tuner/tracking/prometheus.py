"""What Prometheus can ask while a search runs: gauges and counters at Ray's own metrics endpoint.

Ray puts `ray_` before each name. NAMES is the one list of them; the Grafana dashboard is made from it.
"""

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from trainables.config import MEASURED
from trainables.pace import Pace
from tuner.html.escaping import for_prometheus
from tuner.tracking.events import Event

if TYPE_CHECKING:
    from tuner.runs.directory import Run
    from tuner.runs.trial import LiveTrial

__all__ = ["NAMES", "RUN_TAGS", "TRIAL_TAGS", "Gauges"]

RUN_TAGS = ("run",)
TRIAL_TAGS = ("run", "trial", "model", "strategy")
STATES = ("running", "completed", "stopped", "failed")

NAMES: Mapping[str, str] = {
    **{f"tuner_trial_{name}": f"{name} of the trial's last epoch" for name in MEASURED},
    "tuner_trial_epoch": "epochs that the trial has finished",
    "tuner_trial_learning_rate": "learning rate of the trial's last epoch",
    "tuner_trial_epoch_seconds": "duration of the trial's last epoch in seconds",
    "tuner_images_per_second": "training and validation images that the trial processes a second",
    "tuner_best_value": "value of the best trial that has ended",
    "tuner_trials": "trials by state",
    "tuner_trials_planned": "trials that the search is to make",
    "tuner_epochs_total": "epochs finished since the driver started",
    "tuner_images_total": "images processed since the driver started",
}
"""Every metric with its description, without Ray's prefix."""

COUNTERS = ("tuner_epochs_total", "tuner_images_total")


class Ended(Protocol):
    """The trials that have ended: their rows, and which is the best."""

    rows: dict[str, dict[str, Any]]

    def best(self) -> dict[str, Any] | None:
        """The best trial's row."""


class Book(Protocol):
    """What the gauges read of a search: the planned number of trials, those that live, those that have ended."""

    run: "Run"
    num_samples: int
    live: dict[str, "LiveTrial"]

    @property
    def standings(self) -> Ended:
        """Of the trials that have ended."""


class Gauges:
    """Sets the metrics as the trial store tells; `images` are those of one epoch, training and validation."""

    def __init__(self, store: "Book", images: int) -> None:
        from ray.util import metrics

        self._store, self._images = store, images
        # The best is looked for among all trials, in a time that grows with them.
        self._pace = Pace()
        self._run = {"run": for_prometheus(store.run.path.resolve().name)}
        self._metrics: dict[str, Any] = {}
        for name, text in NAMES.items():
            kind = metrics.Counter if name in COUNTERS else metrics.Gauge
            # Prometheus adds the suffix of a counter by itself.
            self._metrics[name] = kind(name.removesuffix("_total"), text, tag_keys=_tags(name))
        self._ended = Counter(str(row["status"]) for row in store.standings.rows.values())
        self._count()

    def started(self, trial: "LiveTrial") -> None:
        """Count the trials anew."""
        self._count()

    def epoch(self, trial: "LiveTrial", event: Event) -> None:
        """Set the trial's gauges and add to the counters."""
        values = event.values
        for name in (*MEASURED, "epoch", "learning_rate", "epoch_seconds"):
            if name in values:
                self._set(f"tuner_trial_{name}", values[name], self._trial(trial))
        if values["epoch_seconds"] > 0:
            speed = self._images / values["epoch_seconds"]
            self._set("tuner_images_per_second", speed, self._trial(trial))
        self._metrics["tuner_epochs_total"].inc(1, tags=self._run)
        if self._images:
            self._metrics["tuner_images_total"].inc(self._images, tags=self._run)
        # Again, since what is told before Ray's agent listens is lost.
        self._count()

    def ended(self, trial: "LiveTrial", event: Event) -> None:
        """Count one more that has ended; it processes nothing."""
        self._set("tuner_images_per_second", 0.0, self._trial(trial))
        self._ended[str(self._store.standings.rows[trial.trial_id]["status"])] += 1
        self._count()

    def _count(self) -> None:
        self._set("tuner_trials_planned", self._store.num_samples, self._run)
        for state in STATES:
            number = len(self._store.live) if state == "running" else self._ended[state]
            self._set("tuner_trials", number, {**self._run, "state": state})
        if not self._pace.due:
            return
        with self._pace.working():
            best = self._store.standings.best()
        if best is not None:
            self._set("tuner_best_value", best["value"], self._run)

    def _trial(self, trial: "LiveTrial") -> dict[str, str]:
        config = trial.config
        return {
            **self._run,
            "trial": for_prometheus(trial.trial_id),
            "model": for_prometheus(config.model),
            "strategy": for_prometheus(config.strategy),
        }

    def _set(self, name: str, value: float, tags: Mapping[str, str]) -> None:
        self._metrics[name].set(float(value), tags=dict(tags))


def _tags(name: str) -> tuple[str, ...]:
    if name == "tuner_trials":
        return (*RUN_TAGS, "state")
    return TRIAL_TAGS if name.startswith("tuner_trial_") or name == "tuner_images_per_second" else RUN_TAGS
