import numpy as np
import pandas as pd
import pytest
from tiny import epoch, store, write_space

from trainables.checkpoint import best_name
from trainables.image_losses import LOSSES
from tuner.runs.best_trial import best_of
from tuner.tuning.estimates import Estimates, best_row

IMAGES = 24

TWO_MODELS = '''"""Two models."""


def space(trial):
    trial.suggest_float("learning_rate", 1e-4, 1e-1, log=True)
    trial.suggest_categorical("model", ["resnet18", "mobilenet_v2"])
    return {"strategy": "full"}
'''


@pytest.fixture
def book(tmp_path):
    """A store of a run with validation images of twelve groups."""
    return opened(tmp_path)


def opened(folder, **changes):
    space = changes.pop("space", None) or write_space(folder)
    found = store(folder, space, samples=20, **changes)
    parts = pd.DataFrame({"path": [f"{i:02d}" for i in range(IMAGES + 4)], "label": "a"})
    groups = [str(i // 2) for i in range(IMAGES + 4)]
    found.run.write_split(parts.assign(group=groups, split=["val"] * IMAGES + ["test"] * 4))
    return found


def losses(mean, seed, spread=0.3):
    """Losses [images] of this mean."""
    own = spread * np.random.default_rng(seed).normal(size=IMAGES)
    hard = np.random.default_rng(0).normal(size=IMAGES)
    return (mean + own - own.mean() + hard - hard.mean()).astype(np.float32)


def train(book, means, seed, *, with_losses=True, weights=False):
    """A trial of these losses by epoch; it is not ended."""
    trial_id = book.next()["trial_id"]
    for number, mean in enumerate(means, start=1):
        brought = {LOSSES: losses(mean, (seed, number))} if with_losses else {}
        book.report(trial_id, {**epoch(number, mean), **brought})
    if weights:
        for number in range(1, len(means) + 1):
            (book.run.alive(trial_id) / best_name(number)).write_bytes(trial_id.encode())
    return trial_id


def test_the_losses_of_the_images_are_kept_and_the_epochs_file_holds_none_of_them(book):
    trial_id = train(book, [0.9, 0.7], 1)
    kept = book.run.losses(trial_id)
    assert kept.shape == (2, IMAGES)
    assert kept.mean(axis=1) == pytest.approx([0.9, 0.7], abs=1e-6)
    assert LOSSES not in book.run.epochs(trial_id)


def test_the_best_epoch_is_that_of_the_smoothed_curve_and_its_value_is_as_measured(book):
    trial_id = train(book, [1.0, 0.49, 0.8, 0.6, 0.5, 0.5], 1)
    row = book.finish(trial_id, "completed", "completed")
    assert (row.best_epoch, row.value) == (6, 0.5)


SOLVED_FIRST = '''"""The head is solved first."""


def space(trial):
    trial.suggest_float("backbone_learning_rate", 1e-5, 1e-3, log=True)
    return {"model": "resnet18", "strategy": "probe_then_full"}
'''


@pytest.mark.parametrize("with_losses", [True, False])
def test_a_head_that_is_solved_first_is_no_result_of_what_trains_it_on(tmp_path, with_losses):
    book = opened(tmp_path, space=write_space(tmp_path, SOLVED_FIRST, "solved"))
    whole = train(book, [0.2, 0.9, 0.6], 1, with_losses=with_losses)
    row = book.finish(whole, "completed", "completed")
    assert (row.best_epoch, row.value) == (3, 0.6)
    cut = train(book, [0.2], 2, with_losses=with_losses)
    assert book.finish(cut, "stopped", "cut").best_epoch == 1


def test_every_trial_of_the_table_has_its_estimate_and_the_first_less_of_its_lead(book):
    for seed in range(8):
        book.finish(train(book, [0.5 + 0.01 * seed], seed), "completed", "completed")
    book.write_table()
    table = book.run.trials()
    assert table["value"].to_numpy() == pytest.approx(0.5 + 0.01 * np.arange(8))
    assert (np.diff(table["estimate"]) >= 0).all()
    assert table["estimate"][0] > table["value"][0]
    assert (table["estimate_error"] > 0).all()
    best = book.standings.best()
    assert (best["trial_id"], best["estimate"]) == (table["trial_id"][0], table["estimate"][0])


def test_best_yaml_expects_the_estimate(book):
    for seed in range(3):
        book.finish(train(book, [0.5 + 0.1 * seed, 0.4], seed), "completed", "completed")
    best = book.standings.best()
    book.run.update_record(precision="fp32")
    record = {
        **book.run.record["data"],
        "fractions": [0.8, 0.1, 0.1],
        "folder": "f",
        "fingerprint": "f",
        "split_fingerprint": "s",
    }
    book.run.update_record(data=record)
    expected = best_of(book.run, best).expected
    assert (expected.value, expected.standard_error) == (best["estimate"], best["estimate_error"])
    assert "luck" in expected.spread
    assert expected.scores["val_loss"] == best["value"]


def test_a_run_that_is_taken_up_again_makes_the_same_table(tmp_path):
    first = opened(tmp_path)
    for seed in range(4):
        first.finish(train(first, [0.9, 0.5 + 0.02 * seed], seed), "completed", "completed")
    living = train(first, [0.8], 9)
    first.write_table()
    before = first.run.trials()
    again = store(tmp_path, tmp_path / "tiny.py", samples=20)
    again.write_table()
    pd.testing.assert_frame_equal(again.run.trials(), before)
    assert (
        again.standings.best()["trial_id"]
        == first.standings.best()["trial_id"]
        == best_row(first.run)["trial_id"]
    )
    again.report(living, {**epoch(1, 0.8), LOSSES: losses(0.8, (9, 1))})
    again.report(living, {**epoch(2, 0.3), LOSSES: losses(0.3, (9, 2))})
    assert again.run.losses(living).mean(axis=1) == pytest.approx([0.8, 0.3], abs=1e-6)


def test_where_one_trial_has_no_losses_the_choice_is_by_value_as_before(book):
    book.finish(train(book, [0.5], 1), "completed", "completed")
    book.finish(train(book, [0.4], 2, with_losses=False), "completed", "completed")
    book.write_table()
    table = book.run.trials()
    assert table["estimate"].isna().all()
    assert book.standings.best()["value"] == best_row(book.run)["value"] == 0.4


def test_another_metric_than_the_loss_is_chosen_by_as_before(tmp_path):
    book = opened(tmp_path, metric="val_accuracy")
    trial_id = train(book, [0.9, 0.4, 0.6], 1)
    row = book.finish(trial_id, "completed", "completed")
    assert book.run.losses(trial_id) is None
    assert (row.best_epoch, book.standings.best().get("estimate")) == (2, None)


def test_a_tie_goes_to_the_smaller_model_whose_weights_are_kept(tmp_path):
    book = opened(tmp_path, space=write_space(tmp_path, TWO_MODELS, "two"), keep=1)
    for seed in range(10):
        trial_id = train(book, [], seed)
        mean = 0.500 if book.configs[trial_id].model == "resnet18" else 0.501
        book.report(trial_id, {**epoch(1, mean), LOSSES: losses(mean, seed)})
        (book.run.alive(trial_id) / best_name(1)).write_bytes(b"weights")
        book.finish(trial_id, "completed", "completed")
    assert {config.model for config in book.configs.values()} == {"resnet18", "mobilenet_v2"}
    best = book.standings.best()
    assert best["model"] == "mobilenet_v2"
    assert book.run.weights(best["trial_id"]).exists()


def test_a_file_of_losses_that_has_fewer_epochs_than_the_trial_counts_as_none(book):
    trial_id = train(book, [0.9, 0.7], 1)
    book.run.write_losses(trial_id, book.run.losses(trial_id)[:1])
    assert Estimates(book.run, "val_loss").best_epoch(trial_id, [1, 2], "full") is None


def test_of_trials_that_tie_by_another_metric_the_smallest_network_is_the_best(tmp_path):
    """In a run of `val_balanced_accuracy` all trials have the same; the earliest of the smaller network is chosen."""
    book = opened(tmp_path, space=write_space(tmp_path, TWO_MODELS, "two"), metric="val_balanced_accuracy")
    for number in range(6):
        book.finish(train(book, [0.5 + 0.1 * number], number), "completed", "completed")
    book.write_table()
    table = book.run.trials().sort_values("number")
    assert list(table["model"][:3]) != ["mobilenet_v2"] * 3
    small = table[table["model"] == "mobilenet_v2"]["trial_id"].iloc[0]
    assert book.standings.best()["trial_id"] == best_row(book.run)["trial_id"] == small
    assert small in book.standings.kept(0)
