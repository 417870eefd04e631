from dataclasses import dataclass, fields

import pytest
from tiny import epoch, store, write_space

from trainables.config import TrialConfig
from tuner.runs import trial_table
from tuner.runs.directory import Run
from tuner.runs.trial_table import trials_schema


@pytest.fixture
def run(tmp_path):
    return store(tmp_path, write_space(tmp_path)).run


def test_the_epochs_of_one_trial_are_one_file(run, monkeypatch):
    for trial in ("a", "b"):
        run.write_epochs(trial, [epoch(1, 0.5)])
    (run.path / "epochs" / "c.parquet").write_bytes(b"not a table")

    def listed(*_):
        raise AssertionError("the folder was listed")

    monkeypatch.setattr(type(run.path), "glob", listed)
    assert run.epochs("b")["trial_id"].tolist() == ["b"]
    assert run.epochs("d").empty


def test_the_epochs_of_all_trials_are_in_the_order_of_their_names(run):
    for trial in ("b", "a"):
        run.write_epochs(trial, [epoch(1, 0.5), epoch(2, 0.4)])
    assert Run.open(run.path).epochs()["trial_id"].tolist() == ["a", "a", "b", "b"]


WHOLE = (
    *(
        "number",
        "best_epoch",
        "epochs",
        "step_size",
        "plateau_patience",
        "warmup_epochs",
        "unfreeze_at",
        "probe_views",
    ),
    *("batch_size", "max_epochs", "patience", "seed", "trainable_first", "trainable_last", "retries"),
)
TEXT = (
    *(
        "trial_id",
        "model",
        "strategy",
        "status",
        "reason",
        "error",
        "optimizer",
        "schedule",
        "sampler",
        "augmentation",
        "weights",
    ),
    *("applied_learning_rates_first", "applied_learning_rates_last", "applied_loss", "applied_sampler"),
    *("applied_batch", "applied_step", "source"),
)


def test_columns_are_of_the_type_of_their_field():
    for column in trials_schema():
        expected = "int64" if column.name in WHOLE else "string" if column.name in TEXT else "double"
        assert str(column.type) == expected, column.name
    names = trials_schema().names
    assert names[:12] == [
        *("trial_id", "number", "model", "strategy", "status", "reason", "best_epoch", "epochs", "value"),
        *("estimate", "estimate_error", "val_loss"),
    ]
    assert [names[names.index(name) + 1] for name in ("train_accuracy", "error", "seed")] == [
        *("seconds", "optimizer", "weights")
    ]
    assert names[-2:] == ["retries", "source"]


def test_a_new_field_s_column_needs_no_entry_of_its_own(monkeypatch):
    @dataclass(frozen=True)
    class Wider(TrialConfig):
        crop: str | None = None
        stages: int | None = None
        mixup: float = 0.0

    known = {field.name: field for field in fields(Wider)}
    monkeypatch.setattr(trial_table, "FIELDS", known)
    monkeypatch.setattr(
        trial_table, "HYPERPARAMETERS", tuple(n for n in known if n not in ("model", "strategy"))
    )
    kinds = {column.name: str(column.type) for column in trials_schema()}
    assert (kinds["crop"], kinds["stages"], kinds["mixup"]) == ("string", "int64", "double")


def test_what_a_killed_search_had_begun_to_write_is_swept(run):
    run.write_epochs("a", [epoch(1, 0.5)])
    begun = [run.path / ".run.yaml.0.tmp", run.path / "epochs" / ".a.parquet.0.tmp"]
    kept = run.alive("a") / ".state.pt.0.tmp"
    kept.parent.mkdir(parents=True)
    for path in (*begun, kept):
        path.write_bytes(b"half")
    run.sweep()
    assert not any(path.exists() for path in begun)
    assert kept.exists()
    assert len(run.epochs("a")) == 1
