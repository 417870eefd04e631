import dataclasses

import numpy as np
import pandas as pd
import pytest
import yaml
from fake_run import make_run

from trainables.config import FITS
from trainables.errors import RunProblem, UnknownName, UserMistake
from trainables.metrics import METRICS, Answers
from tuner.release.export import export
from tuner.runs.best_file import read_best, save_best, to_record
from tuner.runs.best_trial import ESTIMATED, best_of, member_of, value_words, write_best
from tuner.runs.directory import Run
from tuner.runs.trial_table import trial_config
from tuner.statistics.metric_errors import standard_error


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("best") / "run", samples=4)


def scored(run):
    trials = run.trials()
    return trials[trials["value"].notna()].to_dict("records")


def test_every_trial_round_trips_through_the_file(run, tmp_path):
    for number, row in enumerate(scored(run)):
        best = best_of(run, row)
        save_best(best, tmp_path / f"{number}.yaml")
        assert read_best(tmp_path / f"{number}.yaml") == best


def test_labels_and_what_was_left_out_go_from_the_record_through_the_file(tmp_path):
    run = make_run(tmp_path / "tabled", samples=4)
    data = {**run.record["data"], "labels": "labels.csv", "left_out": ["a.png", "b.png"]}
    run.update_record(data=data)
    made = best_of(run, scored(run)[0])
    save_best(made, tmp_path / "best.yaml")
    assert read_best(tmp_path / "best.yaml").data == made.data
    assert (made.data.labels, made.data.left_out) == ("labels.csv", ("a.png", "b.png"))


@pytest.mark.parametrize("fit", FITS)
def test_how_pictures_become_squares_goes_from_the_record_through_the_file(tmp_path, fit):
    run = make_run(tmp_path / "run", samples=4)
    run.update_record(fit=fit)
    made = best_of(run, scored(run)[0])
    save_best(made, tmp_path / "best.yaml")
    assert read_best(tmp_path / "best.yaml").fit == made.fit == fit


def test_runs_and_files_from_before_there_was_a_choice_crop(run, tmp_path):
    assert "fit" not in run.record
    made = best_of(run, scored(run)[0])
    record = to_record(made)
    del record["fit"]
    (tmp_path / "best.yaml").write_text(yaml.safe_dump(record), encoding="utf-8")
    assert read_best(tmp_path / "best.yaml") == made
    assert made.fit == "crop"


def test_the_file_of_a_run_says_all_that_a_retraining_needs(run):
    row = min(scored(run), key=lambda row: row["value"])
    write_best(run, row)
    content = yaml.safe_load((run.path / "best.yaml").read_text(encoding="utf-8"))
    assert content["config"] == {k: v for k, v in vars(trial_config(row)).items() if v is not None}
    assert content["normalisation"] == {"mean": [0.5] * 3, "std": [0.5] * 3}
    assert content["split"]["file"] == "split.parquet"
    assert content["split"]["images"] == run.split()["split"].value_counts().to_dict()
    assert content["expected"]["value"] == row["value"]
    assert content["versions"]["torch"] == "2.14.1"


def test_the_spread_is_that_of_the_epochs_beside_the_best(run):
    row = next(row for row in scored(run) if 3 <= row["best_epoch"] <= 6)
    expected = best_of(run, row).expected
    losses = run.epochs(row["trial_id"]).set_index("epoch")["val_loss"]
    near = losses[[e for e in losses.index if abs(e - row["best_epoch"]) <= 2]]
    assert expected.standard_error == pytest.approx(np.std(near, ddof=1))
    assert f"epochs {near.index[0]} to {near.index[-1]}" in expected.spread


def test_the_reductions_of_a_plateau_are_read_off_the_learning_rate(run, tmp_path):
    row = next(row for row in scored(run) if row["schedule"] == "plateau" and row["best_epoch"] >= 5)
    epochs = run.epochs(row["trial_id"]).drop(columns="trial_id")
    epochs.loc[epochs["epoch"] > 2, "learning_rate"] *= 0.1
    epochs.loc[epochs["epoch"] > row["best_epoch"], "learning_rate"] *= 0.1
    other = make_run(tmp_path / "run", samples=4)
    other.write_epochs(row["trial_id"], epochs.to_dict("records"))
    assert best_of(other, row).plateau_reduced_after == (2,)


EDITS = [
    (("config", "learning_rate"), "fast", ["learning_rate='fast'", "finite number"]),
    (("config", "learning_rate"), -1.0, ["learning_rate=-1.0", "1e-08 to 10"]),
    (("config", "lerning_rate"), 0.1, ["lerning_rate", "did you mean 'learning_rate'"]),
    (("config", "model"), "googelnet", ["googelnet", "did you mean 'googlenet'"]),
    (("config", "strategy"), "fulll", ["fulll", "did you mean 'full'"]),
    (("config", "unfreeze_at"), 3, ["unfreeze_at=3", "no meaning"]),
    (("image_size",), "large", ["image_size='large'", "whole number from 16"]),
    (("image_size",), 8, ["image_size=8"]),
    (("fit",), "sqash", ["fit='sqash'", "one of crop, squash, pad"]),
    (("imagesize",), 96, ["imagesize", "did you mean 'image_size'"]),
    (("precision",), "int8", ["precision='int8'", "auto, fp32"]),
    (("format",), 7, ["format=7", "1"]),
    (("expected", "metric"), "loss", ["expected.metric='loss'", "val_loss"]),
    (("expected", "epoch"), 0, ["expected.epoch=0", "from 1"]),
    (("normalisation", "mean"), [0.4, 0.5, 0.5], ["normalisation.mean", "0.5, 0.5, 0.5", "googlenet"]),
    (("classes",), ["a", "b"], ["classes=['a', 'b']", "Early_blight"]),
    (("split", "fractions"), [0.8, 0.1, 0.2], ["split.fractions", "sum to 1"]),
    (("split",), "none", ["split='none'", "section"]),
    (("run_seed",), None, ["run_seed=None"]),
    (("trial",), "DELETE", ["trial is missing"]),
]


@pytest.mark.parametrize(("place", "value", "words"), EDITS, ids=[".".join(e[0]) + f"={e[1]}" for e in EDITS])
def test_a_spoiled_key_is_named_with_its_value_and_the_remedy(run, tmp_path, place, value, words):
    row = next(row for row in scored(run) if row["strategy"] == "full")
    record = to_record(best_of(run, row))
    *sections, key = place
    target = record
    for name in sections:
        target = target[name]
    if value == "DELETE":
        del target[key]
    else:
        target[key] = value
    path = tmp_path / "best.yaml"
    path.write_text(yaml.safe_dump(record), encoding="utf-8")
    with pytest.raises(UserMistake) as caught:
        read_best(path)
    message = str(caught.value)
    assert all(word in message for word in [str(path), *words])
    assert "\n" not in message


def test_a_number_that_yaml_takes_for_a_text_is_read_as_the_number(run, tmp_path):
    save_best(best_of(run, scored(run)[0]), tmp_path / "best.yaml")
    text = (tmp_path / "best.yaml").read_text(encoding="utf-8")
    edited = "\n".join(
        "  weight_decay: 1e-4" if line.startswith("  weight_decay") else line for line in text.split("\n")
    )
    assert edited != text
    (tmp_path / "best.yaml").write_text(edited, encoding="utf-8")
    assert read_best(tmp_path / "best.yaml").config.weight_decay == 1e-4


def test_no_file_and_no_yaml_are_said_in_a_sentence(tmp_path):
    with pytest.raises(RunProblem, match="tuner export"):
        read_best(tmp_path / "none.yaml")
    (tmp_path / "bad.yaml").write_text("a: [1", encoding="utf-8")
    with pytest.raises(RunProblem, match="can't be read"):
        read_best(tmp_path / "bad.yaml")


def test_export_takes_the_best_trial_and_puts_the_split_beside(run, tmp_path):
    best = export(run.path, out=tmp_path / "mine.yaml")
    rows = scored(run)
    assert best.trial == min(rows, key=lambda row: row["value"])["trial_id"]
    assert read_best(tmp_path / "mine.yaml") == best
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "mine.split.parquet"), run.split())
    with pytest.raises(RunProblem, match="exists already"):
        export(run.path, out=tmp_path / "mine.yaml")


def test_export_takes_the_trial_it_is_told_or_names_the_nearest(run, tmp_path):
    wanted = scored(run)[3]["trial_id"]
    assert export(run.path, wanted, tmp_path / "one.yaml").trial == wanted
    with pytest.raises(UnknownName, match=wanted):
        export(run.path, wanted[:-1], tmp_path / "two.yaml")


def test_export_of_a_run_without_a_score_says_so(tmp_path):
    empty = Run.create(tmp_path / "empty", {"metric": "val_loss"})
    with pytest.raises(RunProblem, match="no trial with a score"):
        export(empty.path, out=tmp_path / "best.yaml")


def errors(labels, logits, groups):
    answers = Answers(labels, logits)
    return {name: standard_error(METRICS[name], answers, groups) for name in ("val_loss", "val_accuracy")}


def test_the_error_is_that_of_independent_images_without_groups():
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, 400)
    logits = random.normal(size=(400, 2)) + 1.2 * np.eye(2)[labels]
    found = errors(labels, logits, np.arange(400))
    accuracy = (logits.argmax(1) == labels).mean()
    assert found["val_accuracy"] == pytest.approx(np.sqrt(accuracy * (1 - accuracy) / 400), rel=0.01)
    losses = np.logaddexp(logits[:, 0], logits[:, 1]) - logits[np.arange(400), labels]
    assert found["val_loss"] == pytest.approx(losses.std() / 20, rel=0.01)


def test_groups_that_hang_together_make_the_error_larger():
    random = np.random.default_rng(0)
    leaf = random.integers(0, 2, 100)
    logits = np.repeat(random.normal(size=(100, 2)) + 1.2 * np.eye(2)[leaf], 4, axis=0)
    labels = np.repeat(leaf, 4)
    alone = errors(labels, logits, np.arange(400))
    together = errors(labels, logits, np.arange(400) // 4)
    assert together["val_loss"] == pytest.approx(2 * alone["val_loss"], rel=0.15)


def test_a_best_is_frozen(run):
    with pytest.raises(dataclasses.FrozenInstanceError):
        best_of(run, scored(run)[0]).trial = "another"


def test_an_export_takes_the_ensemble_of_the_run_along(run, tmp_path):
    rows = sorted(scored(run), key=lambda row: row["value"])[:2]
    first, second = (best_of(run, row) for row in rows)
    members = (member_of(first, 2), member_of(second, 1))
    save_best(dataclasses.replace(first, ensemble=members), run.path / "best.yaml")
    assert export(run.path, out=tmp_path / "best.yaml").ensemble == members
    content = yaml.safe_load((tmp_path / "best.yaml").read_text(encoding="utf-8"))["ensemble"]
    assert [(one["trial"], one["count"], one["epoch"]) for one in content] == [
        (str(row["trial_id"]), count, row["best_epoch"]) for row, count in zip(rows, (2, 1), strict=True)
    ]


def test_an_expected_value_is_not_told_as_one_that_validation_measured(run):
    measured = best_of(run, scored(run)[0]).expected
    assert value_words(dataclasses.replace(measured, spread="of the neighbouring epochs", value=0.5)) == (
        "log loss 0.5000 on the validation images"
    )
    estimated = dataclasses.replace(measured, spread=ESTIMATED, value=0.25)
    assert value_words(estimated) == "log loss 0.2500 is expected on new images"
