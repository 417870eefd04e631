"""The model that a search ends with: trained once on all images, or an ensemble, or the kept weights without time."""

import json
import time

import pytest
from pictures import write_pictures

from trainables.temperature import share_of_mean
from tuner.console.reporter import Reporter
from tuner.evaluation.comparison.uncertainty import OUT_OF_FOLD
from tuner.release.folder import verify
from tuner.release.predict import load_model, predict
from tuner.release.ship import ShipConfig, ship
from tuner.runs.best_trial import best_of, member_of, write_best
from tuner.runs.directory import rows_of
from tuner.tuning.budget import Budget
from tuner.tuning.config import search_config
from tuner.tuning.loop import _enter_first_model
from tuner.tuning.prepare import prepare


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run with two of the probe's heads and no other trial."""
    folder = tmp_path_factory.mktemp("ship")
    write_pictures(folder / "pictures", {"blue": 20, "green": 20, "red": 12})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TUNER_CACHE_DIR", str(folder / "cache"))
        config = search_config(
            data=folder / "pictures",
            backbones="timm:test_resnet,timm:test_efficientnet",
            weights="none",
            image_size=32,
            runs_dir=folder,
            name="run",
        )
        prepared = prepare(config)
        _enter_first_model(prepared, Reporter())
        yield prepared.run


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    """Tests run several at once: threads that wait for a core would take most of the time."""
    monkeypatch.setattr("tuner.retraining.here.num_workers", lambda asked: 1)
    monkeypatch.setattr("tuner.release.from_run.usable_cores", lambda: 1)


def shipped(run, tmp_path, budget=None, **options):
    return ship(ShipConfig(run.path, tmp_path / "model", formats=("onnx",), **options), budget)


def count(run, *parts):
    return int(run.split()["split"].isin(parts).sum())


def test_the_choice_is_trained_once_on_all_images_but_the_test_ones(run, tmp_path):
    done = shipped(run, tmp_path)
    verify(done.folder)
    assert done.metrics["trained_on"] == ["train", "val"]
    assert done.metrics["trained_images"] == count(run, "train", "val")
    assert done.metrics["test"] is None
    assert done.metrics["trial"] == rows_of(run.trials())[0]["trial_id"]


def test_its_temperature_is_from_answers_out_of_fold_and_no_second_model_is_trained(
    run, tmp_path, monkeypatch
):
    trained = []
    from tuner.retraining import seeds

    real = seeds.train_seed
    monkeypatch.setattr(seeds, "train_seed", lambda job, seed: trained.append(seed) or real(job, seed))
    done = shipped(run, tmp_path)
    assert len(trained) == 1
    assert done.metrics["calibration"]["held_out"] == OUT_OF_FOLD
    assert done.metrics["calibration"]["validation"]["images"] == count(run, "train", "val")


def test_with_final_the_test_images_are_trained_on_as_well(run, tmp_path):
    done = shipped(run, tmp_path, final=True)
    assert done.metrics["trained_images"] == len(run.split())
    assert done.metrics["why_no_test"] == "the test images were trained on as well"


def test_without_time_the_weights_that_the_search_kept_are_released(run, tmp_path):
    done = shipped(run, tmp_path, Budget(deadline=time.monotonic() - 1, networks=1))
    assert done.metrics["trained_on"] == ["train"]
    assert done.metrics["trained_images"] == count(run, "train")


@pytest.fixture
def any_seed_counts(monkeypatch):
    """Seeds make no difference to a solved head, so it is trained once; here it counts as what is trained."""
    monkeypatch.setattr("tuner.release.ship.strategies.is_linear_probe", lambda name: False)


def test_trainings_from_several_seeds_are_shipped_as_one_model(run, tmp_path, any_seed_counts):
    one = ship(ShipConfig(run.path, tmp_path / "one", formats=("onnx",), networks=1))
    done = shipped(run, tmp_path)
    assert [member["trial"] for member in done.metrics["ensemble"]] == 3 * [one.metrics["trial"]]
    assert done.metrics["seeds"] == done.metrics["exported_seeds"]
    assert len(set(done.metrics["seeds"])) == 3
    assert done.metrics["exported"].startswith("3 trainings of ")
    spec, calibration = json.loads((done.folder / "labels.json").read_text()), done.metrics["calibration"]
    assert spec["members"] == 3
    assert spec["temperature"] == calibration["exported_temperature"]
    assert spec["temperature"] == pytest.approx(calibration["temperature"] * share_of_mean(3))
    assert "by single trainings" in (done.folder / "MODEL_CARD.md").read_text()
    photograph = next((run.path.parent / "pictures").rglob("*.png"))
    answer = next(iter(predict(load_model(done.folder), [photograph])))
    assert sum(answer.probabilities) == pytest.approx(1.0, abs=1e-5)


def test_no_further_seed_is_trained_for_which_there_is_no_time(run, tmp_path, any_seed_counts, monkeypatch):
    monkeypatch.setattr("tuner.release.ship.final_seconds", lambda rows, run: 1000.0)
    done = shipped(run, tmp_path, Budget.of(1100.0, networks=3))
    assert done.metrics["exported"].startswith("the first seed's model")
    assert "ensemble" not in done.metrics


def test_a_solved_head_is_trained_once(run, tmp_path):
    assert len(shipped(run, tmp_path).metrics["seeds"]) == 1


def test_an_ensemble_of_more_than_was_asked_for_is_not_shipped(run, tmp_path):
    rows = rows_of(run.trials())
    members = tuple(member_of(best_of(run, row), 1) for row in rows)
    write_best(run, rows[0], members)
    try:
        done = shipped(run, tmp_path, networks=1)
    finally:
        write_best(run, rows[0])
    assert "ensemble" not in done.metrics


def test_an_ensemble_that_all_images_chose_is_shipped_as_one_model(run, tmp_path):
    rows = rows_of(run.trials())
    members = tuple(member_of(best_of(run, row), votes) for row, votes in zip(rows, (2, 1), strict=True))
    write_best(run, rows[0], members)
    try:
        done = shipped(run, tmp_path)
    finally:
        write_best(run, rows[0])
    assert [(one["trial"], one["count"]) for one in done.metrics["ensemble"]] == [
        (row["trial_id"], votes) for row, votes in zip(rows, (2, 1), strict=True)
    ]
    model = load_model(done.folder)
    photograph = next((run.path.parent / "pictures").rglob("*.png"))
    answer = next(iter(predict(model, [photograph])))
    assert sum(answer.probabilities) == pytest.approx(1.0, abs=1e-5)
