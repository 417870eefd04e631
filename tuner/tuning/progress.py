"""What a person sees while a search runs: a live table on a terminal, plain lines elsewhere."""

import math
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ray.tune import Callback
from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from trainables import strategies
from trainables.pace import Pace
from tuner.console.reporter import Reporter, clock, leaderboard_table, sampled, trial_counts

if TYPE_CHECKING:
    from tuner.tuning.trial_store import TrialStore

BEST_SHOWN = 8
SECONDS_BETWEEN_FRAMES = 0.5


class Progress(Callback):  # type: ignore[misc]
    """Draws the search from the store; as a context manager it owns the terminal meanwhile.

    `time_left` says how many seconds are left of a time budget; infinity without one.
    """

    def __init__(
        self,
        store: "TrialStore | None" = None,
        reporter: Reporter | None = None,
        time_left: Callable[[], float] = lambda: math.inf,
    ) -> None:
        self.store, self.reporter, self.time_left = store, reporter or Reporter(), time_left
        self._live: Live | None = None
        self._frames = Pace(SECONDS_BETWEEN_FRAMES)
        self._told: set[str] = set()
        self._cut: dict[str, Mapping[str, Any]] = {}
        self._started, self._epochs_before = time.monotonic(), 0

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        Progress.__init__(self)

    def __enter__(self) -> "Progress":
        self._told = set(self.store.standings.rows) if self.store else set()
        self._cut = dict(self.store.standings.cut) if self.store else {}
        self._epochs_before = self._epochs()
        console = self.reporter.console
        if console is not None and console.is_terminal:
            self._live = Live(
                self.render(),
                console=console,
                auto_refresh=False,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None
        self._tell_ends()

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Draw at most twice a second; called by Ray after every event."""
        if self.store is None or not self._frames.due:
            return
        with self._frames.working():
            if self._live is not None:
                self._live.update(self.render(), refresh=True)
            else:
                self._tell_ends()

    def render(self) -> RenderableType:
        """The present state of the search."""
        if self.store is None:
            return Text("")
        return Group(
            Text(self._summary(), style="bold"),
            self._running(),
            leaderboard_table(list(self.store.standings.judged().values()), self.store.metric, BEST_SHOWN),
        )

    def _rows(self) -> list[dict[str, Any]]:
        return list(self.store.standings.rows.values()) if self.store else []

    def _summary(self) -> str:
        if self.store is None:
            return ""
        rows = self._rows()
        elapsed = time.monotonic() - self._started
        counts = trial_counts(rows, self.store.num_samples, len(self.store.live))
        text = f"{counts} | epochs {self._epochs()} | elapsed {clock(elapsed)}"
        left = self.store.num_samples - len(sampled(rows))
        if not left:
            return text
        within = max(0.0, self.time_left())
        rest = min(self._rest(elapsed, left), within)
        if math.isinf(rest):
            return text
        return f"{text} | {'at most' if rest == within else 'about'} {clock(rest)} left"

    def _epochs(self) -> int:
        """All epochs so far, also those before a resumption."""
        live = [] if self.store is None else list(self.store.live.values())
        return sum(int(row["epochs"]) for row in self._rows()) + sum(len(trial.epochs) for trial in live)

    def _rest(self, elapsed: float, left: int) -> float:
        """Seconds for the `left` trials that have not ended, if they train as long as the others and as fast.

        Infinity before the first epoch.
        """
        done = self._epochs() - self._epochs_before
        if self.store is None or done <= 0:
            return math.inf
        live = list(self.store.live.values())
        known = [
            int(row["epochs"]) for row in sampled(self._rows()) if row["trial_id"] not in self._told_before()
        ]
        known = known or [strategies.max_epochs(trial.config) for trial in live]
        if not known:
            return math.inf
        each = sum(known) / len(known)
        begun = sum(min(len(trial.epochs), each) for trial in live)
        return elapsed / done * max(0.0, left * each - begun)

    def _told_before(self) -> set[str]:
        return self._told if self._live is not None else set()

    def _running(self) -> Table:
        metric = self.store.metric if self.store else "val_loss"
        table = Table(title="running", title_justify="left", box=None, pad_edge=False)
        for name in ("trial", "epoch", metric):
            table.add_column(name, justify="left" if name == "trial" else "right", overflow="fold")
        for trial in list(self.store.live.values()) if self.store else []:
            last = max(trial.epochs, default=0)
            value = f"{trial.epochs[last][metric]:.4f}" if last else "-"
            table.add_row(trial.trial_id, f"{last}/{strategies.max_epochs(trial.config)}", value)
        return table

    def _tell_ends(self) -> None:
        """A plain line for every trial that has ended since the last call."""
        if self.store is None or (self.reporter.console is not None and self.reporter.console.is_terminal):
            return
        rows = list(self.store.standings.rows.items())
        done = len(sampled([row for trial_id, row in rows if trial_id in self._told]))
        for trial_id, row in rows:
            if trial_id not in self._told:
                self._told.add(trial_id)
                done += len(sampled([row]))
                self.reporter.line(f"[{done}/{self.store.num_samples}] {self._ended(row)}")
        for trial_id, row in list(self.store.standings.cut.items()):
            # A row of an earlier process is another, though it may be equal.
            if self._cut.get(trial_id) is not row:
                self._cut[trial_id] = row
                self.reporter.line(f"{self._ended(row)}; it can go on")

    def _ended(self, row: Mapping[str, Any]) -> str:
        metric = self.store.metric if self.store else "val_loss"
        value = (
            "no value"
            if row["value"] is None
            else f"{metric} {row['value']:.4f} at epoch {row['best_epoch']}"
        )
        why = row["status"] if row["status"] == row["reason"] else f"{row['status']} ({row['reason']})"
        epochs = "1 epoch" if row["epochs"] == 1 else f"{row['epochs']} epochs"
        return f"{row['trial_id']} {why} after {epochs}: {value}"
