import pytest

from tuner.tracking import sinks
from tuner.tracking.events import events_of


def numbers(run, trial_id, name):
    rows = run.epochs(trial_id)
    return list(zip(rows["epoch"], rows[name], strict=True))


def test_tensorboard_reads_back_every_metric_and_the_parameters(book, play):
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    first, second = play(book), play(book, losses=(0.5, 0.4), end="stopped")
    sink = sinks.open_sink("tensorboard", book.run)
    sink.send(list(events_of(book.run)))
    sink.close()
    for trial in (first, second):
        found = reader.EventAccumulator(str(book.run.path / "tensorboard" / trial))
        found.Reload()
        for name in ("val_loss", "val_accuracy", "learning_rate", "trainable_parameters"):
            shown = [(one.step, one.value) for one in found.Scalars(name)]
            assert shown == [(step, pytest.approx(value)) for step, value in numbers(book.run, trial, name)]
        assert "_hparams_/session_start_info" in found.summary_metadata
        [best] = found.Scalars("best/val_loss")
        assert best.value == pytest.approx(book.standings.rows[trial]["value"])


@pytest.mark.filterwarnings("default")
def test_mlflow_has_one_run_a_trial_also_after_a_restart(book, play, monkeypatch):
    pytest.importorskip("mlflow")
    from mlflow.tracking import MlflowClient

    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{book.run.path / 'flow.db'}")
    trial = play(book)
    events = list(events_of(book.run))
    for part in (events[:2], events[2:]):
        sink = sinks.open_sink("mlflow", book.run)
        sink.send(part)
        sink.close()
    client = MlflowClient()
    experiment = client.get_experiment_by_name(book.run.path.name)
    [run] = client.search_runs([experiment.experiment_id])
    assert run.info.run_name == trial
    assert run.info.status == "FINISHED"
    assert run.data.params["batch_size"] == "8"
    history = client.get_metric_history(run.info.run_id, "val_loss")
    assert sorted((one.step, one.value) for one in history) == numbers(book.run, trial, "val_loss")


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_wandb_writes_one_offline_run_a_trial(book, play, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.delenv("WANDB_MODE", raising=False)
    play(book)
    play(book)
    sink = sinks.open_sink("wandb", book.run)
    sink.send(list(events_of(book.run)))
    sink.close()
    folders = list((book.run.path / "wandb").glob("offline-run-*"))
    assert len(folders) == 2
    assert all(list(folder.glob("*.wandb")) for folder in folders)
