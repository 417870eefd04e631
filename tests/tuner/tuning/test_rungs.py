import itertools
import json
from dataclasses import replace

import pytest
from optuna.samplers._tpe.sampler import _get_pruned_trial_score
from optuna.trial import TrialState
from tiny import epoch, store, write_space

from trainables.config import TrialConfig
from tuner.runs.journal import load_study
from tuner.tuning.rungs import Steps, ladder_of, relative_costs

STEPS = Steps(ladder_of(8, 1, 2.0), cached=True)


def config_of(strategy, **own):
    return TrialConfig.resolve({"model": "mobilenet_v2", "strategy": strategy, "max_epochs": 8, **own})


def curve(values, full_from=1):
    """The epochs of a trial by number; from epoch `full_from` on everything trains."""
    return {e: epoch(e, value, full_epochs=max(0, e - full_from + 1)) for e, value in enumerate(values, 1)}


def test_a_trial_is_told_at_the_rungs_it_reached_with_its_best_value_so_far():
    told = STEPS.of(config_of("full"), curve([0.9, 0.5, 0.7, 0.8, 0.6]), "val_loss")
    assert told == {1: 0.9, 2: 0.5, 4: 0.5}


def test_a_larger_best_is_told_where_the_metric_grows():
    told = STEPS.of(config_of("full"), curve([1.0, 4.0, 2.0]), "val_accuracy")
    assert told == {1: 0.9, 2: 0.9}


def test_frozen_epochs_cost_nothing_and_reach_no_rung():
    assert STEPS.of(config_of("feature_extractor"), curve([1.2] * 8, full_from=99), "val_loss") == {}
    late = config_of("gradual_unfreeze", unfreeze_at=3)
    told = STEPS.of(late, curve([1.2, 1.2, 1.2, 1.1, 0.4], full_from=4), "val_loss")
    assert told == {1: 1.1, 2: 0.4}


def test_an_epoch_that_only_solves_the_head_leaves_no_value():
    late = config_of("probe_then_full", backbone_learning_rate=1e-4)
    told = STEPS.of(late, curve([0.3, 1.1, 0.9, 1.0], full_from=2), "val_loss")
    assert told == {1: 1.1, 2: 0.9}


def test_where_nobody_is_stopped_early_every_epoch_is_told():
    assert Steps().of(config_of("full"), curve([0.9, 0.3]), "val_loss") == {1: 0.9, 2: 0.3}


SPACE = '''"""Frozen for some epochs, or not at all."""


def space(trial):
    strategy = trial.suggest_categorical("strategy", ["full", "gradual_unfreeze"])
    trial.suggest_float("learning_rate", 1e-4, 1e-1, log=True)
    late = {"unfreeze_at": 4} if strategy == "gradual_unfreeze" else {}
    return {"model": "mobilenet_v2", "batch_size": 8, **late}


first_trials = [{"strategy": "gradual_unfreeze", "learning_rate": 1e-3}, {"strategy": "full", "learning_rate": 1e-3}]
'''
RUN = {"overrides": {"max_epochs": 8}, "max_epochs": 8, "samples": 24}


def test_tpe_ranks_a_good_trial_above_a_poor_one_that_was_frozen_for_longer(tmp_path):
    book = store(tmp_path, write_space(tmp_path, SPACE), steps=STEPS, **RUN)
    frozen, full = book.next()["trial_id"], book.next()["trial_id"]
    for number in range(1, 6):
        book.report(frozen, epoch(number, 1.2, full_epochs=max(0, number - 4)))
    book.report(full, epoch(1, 0.2))
    for trial_id in (frozen, full):
        book.finish(trial_id, "stopped", "ASHA")
    study = load_study(book.run.journal)
    assert [trial.intermediate_values for trial in study.trials] == [{1: 1.2}, {1: 0.2}]
    assert {trial.state for trial in study.trials} == {TrialState.PRUNED}
    poor, good = (_get_pruned_trial_score(trial, study) for trial in study.trials)
    assert good < poor


def play(folder, deaths, steps=STEPS):
    """A whole search, its driver dying in the trials `deaths`; what was proposed."""
    book, proposed = store(folder, write_space(folder, SPACE), steps=steps, **RUN), []
    while (config := book.next()) is not None:
        place = len(proposed)
        late = 4 if config["strategy"] == "gradual_unfreeze" else 0
        reach = late + 1 + place % 4
        for number in range(1, reach + 1):
            book.report(config["trial_id"], epoch(number, 1.0 / (place + number), full_epochs=number - late))
            if place in deaths:
                deaths.remove(place)
                book = store(folder, write_space(folder, SPACE), steps=steps, **RUN)
                break
        else:
            proposed.append(config)
            ending = ("stopped", "ASHA") if place % 3 else ("completed", "completed")
            book.finish(config["trial_id"], *ending)
    return proposed


def test_a_resumed_search_proposes_as_one_that_nobody_killed(tmp_path):
    (tmp_path / "whole").mkdir()
    (tmp_path / "killed").mkdir()
    assert play(tmp_path / "killed", {2, 11, 19}) == play(tmp_path / "whole", set())


def without_marks(journal):
    """Make the journal one of an earlier version: no attribute of tuner's but `trial_id`, `config` and `row`."""
    records = []
    for record in map(json.loads, journal.read_text(encoding="utf-8").splitlines()):
        if any(str(name).startswith("tuner:") for name in record.get("user_attr", {})):
            continue
        if "system_attrs" in record:
            record["system_attrs"] = {}
        records.append(json.dumps(record) + "\n")
    journal.write_text("".join(records), encoding="utf-8")


@pytest.mark.parametrize("steps", [Steps(), STEPS])
def test_the_journal_of_an_earlier_version_that_told_epochs_opens_and_is_ranked_by_rungs(tmp_path, steps):
    (tmp_path / "old").mkdir()
    space = write_space(tmp_path / "old", SPACE)
    book = store(tmp_path / "old", space, steps=Steps(), **RUN)
    for place in range(12):
        config = book.next()
        late = 4 if config["strategy"] == "gradual_unfreeze" else 0
        for number in range(1, late + 2):
            book.report(config["trial_id"], epoch(number, 1.0 / (place + 1), full_epochs=number - late))
        book.finish(config["trial_id"], "stopped", "ASHA")
    left = book.next()["trial_id"]
    without_marks(book.run.journal)
    again = store(tmp_path / "old", space, steps=steps, **RUN)
    assert (len(again.standings.rows), list(again.live)) == (12, [left])
    assert again.next()["trial_id"] == left
    again.finish(left, "failed", "error", "x")
    assert again.next()["trial_id"].endswith("-00013")
    shown = again._told._in_memory._study.trials
    reached = {max(trial.intermediate_values) for trial in itertools.islice(shown, 12)}
    assert reached == ({1} if steps is STEPS else {1, 5})


def row_of(model, milliseconds, *, gpu=None, size=160):
    return {"model": model, "milliseconds": milliseconds, "gpu_milliseconds": gpu, "image_size": size}


def test_a_full_epoch_costs_the_seconds_that_the_probe_measured_in_units_of_the_first_backbone():
    probe = {
        "advised": ["b"],
        "image_size": 160,
        "backbones": [row_of("a", 40.0), row_of("b", 10.0), row_of("c", 5.0, size=224)],
    }
    assert relative_costs(probe) == {"a": 4.0, "b": 1.0}
    on_gpu = [row_of("a", 40.0, gpu=0.2), row_of("b", 10.0, gpu=0.1)]
    assert relative_costs({**probe, "backbones": on_gpu}) == {"a": 2.0, "b": 1.0}
    earlier = [{"model": "b", "milliseconds": 10.0}]
    assert relative_costs({**probe, "backbones": earlier}) == relative_costs(None) == {}


def test_a_dear_backbone_reaches_its_rungs_in_fewer_epochs():
    values = curve([0.9, 0.8, 0.7, 0.6])
    dear = replace(STEPS, relative={"mobilenet_v2": 4.0})
    assert STEPS.of(config_of("full"), values, "val_loss") == {1: 0.9, 2: 0.8, 4: 0.6}
    assert dear.of(config_of("full"), values, "val_loss") == {4: 0.9}
