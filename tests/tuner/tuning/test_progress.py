"""What a person sees of a search that runs."""

import io
from types import SimpleNamespace
from typing import Any

from rich.console import Console

from trainables.config import TrialConfig
from tuner.console.reporter import Reporter
from tuner.tuning.progress import Progress


def row(trial_id: str, source: str, status: str = "completed") -> dict[str, Any]:
    ended = {"status": status, "reason": status, "epochs": 2, "best_epoch": 1, "value": 0.5}
    return {"trial_id": trial_id, "source": source, **ended}


def store_of(*rows: dict[str, Any]) -> Any:
    """What `Progress` reads of a store of eight samples."""
    found = {one["trial_id"]: one for one in rows}
    standings = SimpleNamespace(rows=found, cut={}, judged=lambda: found)
    return SimpleNamespace(standings=standings, live={}, num_samples=8, metric="val_loss")


def shown(progress: Progress) -> str:
    console = Console(width=200, file=(written := io.StringIO()))
    console.print(progress.render())
    return written.getvalue()


def test_the_models_of_the_probe_are_no_samples() -> None:
    first = [row(f"probe-{number}", "probe") for number in range(3)]
    text = shown(Progress(store_of(*first, row("a", "first", "stopped"))))
    assert "trials 1/8: 0 running, 0 completed, 1 stopped, 0 failed | 3 models of the probe" in text


def test_no_more_time_is_told_than_the_budget_has() -> None:
    store = store_of(row("a", "first"))
    assert " left" in shown(Progress(store))
    assert "at most 0s left" in shown(Progress(store, time_left=lambda: 0.0))
    assert "at most 1m30s left" in shown(Progress(store_of(), time_left=lambda: 90.0))
    assert " left" not in shown(Progress(store_of()))


def test_the_time_that_is_left_follows_from_the_epochs_of_those_that_run_too() -> None:
    store = store_of(row("a", "first"))
    config = TrialConfig.resolve({"model": "resnet18", "strategy": "full", "max_epochs": 2})
    store.live["b"] = SimpleNamespace(trial_id="b", config=config, epochs={1: {"val_loss": 0.7}})
    progress = Progress(store)
    progress._started -= 100
    # Three epochs took 100 s; of seven trials with two each one has begun.
    assert "about 7m13s left" in shown(progress)
    store.standings.rows.clear()
    progress = Progress(store)
    progress._started -= 100
    assert "about 25m00s left" in shown(progress)


def test_ended_trials_are_numbered_among_the_samples() -> None:
    console = Console(width=200, file=(written := io.StringIO()))
    store = store_of(row("probe-0", "probe"))
    with Progress(store, Reporter(console)):
        store.standings.rows["a"] = row("a", "first")
    assert written.getvalue().startswith("[1/8] a completed after 2 epochs: val_loss 0.5000 at epoch 1")
