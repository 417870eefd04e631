"""Heads that are solved on mirror images as well: taken where they are better, and trained again as they were."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from pictures import write_pictures

from tuner.console.reporter import Reporter
from tuner.probing import mirrored
from tuner.runs.directory import rows_of
from tuner.runs.trial_table import trial_config
from tuner.tuning.config import search_config
from tuner.tuning.fold_answers import out_of_fold
from tuner.tuning.loop import _enter_first_model
from tuner.tuning.prepare import prepare


@pytest.fixture
def prepared(tmp_path, monkeypatch):
    """Prepares a search whose time budget is given, None for none."""
    monkeypatch.setenv("TUNER_CACHE_DIR", str(tmp_path / "cache"))
    write_pictures(tmp_path / "pictures", {"blue": 20, "green": 20, "red": 12})

    def prepared(name, budget=None):
        config = search_config(
            data=tmp_path / "pictures",
            backbones="timm:test_resnet",
            weights="none",
            image_size=32,
            runs_dir=tmp_path,
            name=name,
            time_budget_s=budget,
        )
        found = prepare(config)
        _enter_first_model(found, Reporter())
        return found

    return prepared


def test_the_better_head_of_the_two_is_the_first_model_and_keeps_what_was_noted_of_the_images(
    prepared, monkeypatch
):
    monkeypatch.setattr(mirrored, "SHARE", 0.0)
    (plain,) = prepared("short", budget=600).first_models
    assert plain.views == 1
    monkeypatch.setattr(mirrored, "SHARE", 1e9)
    found = prepared("long")
    (row,) = found.first_models
    (trial,) = rows_of(found.run.trials())
    if row.views == 2:
        assert row.log_loss < plain.log_loss
    else:
        assert row.log_loss == plain.log_loss
    assert trial_config(trial).probe_views == row.views
    assert len(row.solved.train_means) == (found.run.split()["split"] == "train").sum()
    np.testing.assert_array_equal(row.solved.train_means, plain.solved.train_means)
    answers = out_of_fold(found.run, trial)
    np.testing.assert_allclose(answers, row.solved.out_of_fold, rtol=1e-6)


def test_where_time_is_short_so_many_of_the_best_as_fit_are_solved_on_mirror_images(prepared, monkeypatch):
    one = prepared("first").first_models[0]
    rows = tuple(replace(one, model=name, seconds=10.0) for name in "abcd")
    probe = SimpleNamespace(rows=rows, image_size=one.image_size)
    asked = []

    class Recording:
        def __init__(self, *_):
            pass

        def at(self, image_size, names, views):
            asked.append(list(names))
            raise LookupError

    monkeypatch.setattr(mirrored, "Prober", Recording)
    for seconds, names in (
        (None, "abc"),
        (10 / mirrored.SHARE, "a"),
        (25 / mirrored.SHARE, "ab"),
        (1e6, "abc"),
    ):
        with pytest.raises(LookupError):
            mirrored.with_mirror_images(probe, None, None, None, Reporter(), most=3, seconds=seconds)
        assert asked.pop() == list(names)
    found = mirrored.with_mirror_images(
        probe, None, None, None, Reporter(), most=3, seconds=9 / mirrored.SHARE
    )
    assert found is probe
    assert asked == []


@pytest.mark.parametrize("loss", [0.5, 2.0])
def test_a_head_on_mirror_images_is_taken_only_if_its_loss_is_lower(prepared, loss):
    before = prepared("first").first_models[0]
    plain = replace(before, views=1, log_loss=1.0)
    other = replace(before, views=2, log_loss=loss)
    assert mirrored._better(plain, other).views == (2 if loss < 1.0 else 1)
    assert mirrored._better(plain, None) is plain


def test_of_two_times_of_one_network_the_shorter_counts(prepared):
    before = prepared("first").first_models[0]
    plain = replace(
        before, views=1, log_loss=1.0, milliseconds=12.0, gpu_milliseconds=None, step_milliseconds=30.0
    )
    for loss in (0.5, 2.0):
        other = replace(plain, views=2, log_loss=loss, milliseconds=50.0, step_milliseconds=20.0)
        for found in (mirrored._better(plain, other), mirrored._better(other, plain)):
            assert (found.milliseconds, found.gpu_milliseconds, found.step_milliseconds) == (12.0, None, 20.0)
