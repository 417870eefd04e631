import json

import numpy as np
import pandas as pd
import pytest
from fake_run import CLASSES, fake_scorer, make_run, paint_only, trained_by

from trainables.errors import InvalidValue, RunProblem
from trainables.temperature import fit_temperature
from tuner.evaluation.compare import compare
from tuner.evaluation.comparison.conclusion import _answers_alike
from tuner.evaluation.comparison.finalists import choose_finalists, images_of, note_scoring
from tuner.evaluation.comparison.table import main_rows, markdown
from tuner.runs.directory import Run, read_yaml
from tuner.runs.trial_table import trial_config
from tuner.statistics.scores import softmax


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("runs") / "potato", space="googlenet_grid")


@pytest.fixture(scope="module")
def found(run):
    with pytest.MonkeyPatch.context() as monkeypatch:
        undrawn(monkeypatch)
        return compare([run.path], scorer=fake_scorer)


def undrawn(monkeypatch):
    """Leave the figures out where a test is about numbers."""
    monkeypatch.setattr("tuner.evaluation.report.page.write_report", lambda *_, **__: ())


def test_finalists_are_the_best_of_every_combination_and_the_best_of_all(run):
    finalists, notes = choose_finalists([run], top=5)
    trials = run.trials()
    alive = trials[trials["status"] == "completed"]
    combinations = {trial_config(row).combination for row in alive.to_dict("records")}
    assert {one.config.combination for one in finalists} >= combinations
    assert {one.key for one in finalists} >= set(alive.nsmallest(5, "value")["trial_id"])
    assert [one.value for one in finalists] == sorted(one.value for one in finalists)
    assert len({one.label for one in finalists}) == len(finalists)
    assert notes == []


def test_a_finalist_without_weights_is_named_and_the_next_of_its_combination_steps_in(tmp_path):
    run = make_run(tmp_path / "run")
    before = choose_finalists([run], top=1)[0]
    run.weights(before[0].key).unlink()
    finalists, notes = choose_finalists([run], top=1)
    assert before[0].key not in [one.key for one in finalists]
    assert {one.config.combination for one in finalists} == {one.config.combination for one in before}
    assert before[0].key in notes[0]


def test_a_run_without_any_weights_is_refused(tmp_path):
    run = make_run(tmp_path / "run")
    for file in (run.path / "weights").iterdir():
        file.unlink()
    with pytest.raises(RunProblem, match="tuner resume"):
        choose_finalists([run], top=1)


def test_a_whole_number_keeps_its_type_through_parquet(run):
    row = run.trials().to_dict("records")[2]
    config = trial_config(row)
    assert (config.strategy, config.unfreeze_at, type(config.unfreeze_at)) == ("gradual_unfreeze", 3, int)
    assert config.plateau_patience is None


def test_the_table_has_a_row_a_finalist_and_every_score(run, found):
    table = found.table
    assert len(table) == len(choose_finalists([run], top=5)[0])
    for name in ("test_accuracy", "test_balanced_accuracy", "test_macro_f1"):
        assert (table[f"{name}_low"] <= table[name]).all()
        assert (table[name] <= table[f"{name}_high"]).all()
    for label in CLASSES:
        assert (
            table[[f"{name}[{label}]" for name in ("precision", "recall", "f1", "auc")]]
            .notna()
            .all(axis=None)
        )
    confusion = np.array(json.loads(table["confusion"].iloc[0]))
    assert confusion.sum() == 220
    assert confusion.trace() / 220 == pytest.approx(table["test_accuracy"].iloc[0])


def test_the_order_is_that_of_validation_and_not_of_the_test_set(found):
    assert found.table["value"].is_monotonic_increasing
    assert not found.table["test_accuracy"].is_monotonic_decreasing


def test_verdicts_follow_from_the_corrected_p_values(found):
    assert found.table["verdict"].iloc[0] == "best on validation"
    others = found.table.iloc[1:]
    assert ((others["p_holm"] > 0.05) == (others["verdict"] == "tied with the first")).all()
    assert {"tied with the first", "worse"} <= set(others["verdict"])
    assert (others["p_holm"] >= others["p"]).all()


def test_the_conclusion_counts_what_the_table_shows(found):
    ties = int((found.table["verdict"] == "tied with the first").sum())
    best = found.table.iloc[0]
    assert f"{ties} are tied with the first" in found.conclusion
    assert f"{100 * best['test_accuracy']:.1f} % of 220 test images of 55 groups" in found.conclusion
    needed = int(found.pairs.iloc[0]["groups_needed"])
    assert f"about {needed:,} test groups would be needed" in found.conclusion


def test_equal_models_need_more_groups_than_any_data_could_give(tmp_path, monkeypatch):
    undrawn(monkeypatch)
    run = make_run(tmp_path / "run")
    first = run.trials().to_dict("records")[0]
    found = compare([run.path], scorer=lambda run, _, paths: fake_scorer(run, first, paths))
    assert "more groups than any data could give" in found.conclusion
    assert set(found.table["verdict"].iloc[1:]) == {"tied with the first"}


def test_every_pair_is_tested_on_the_same_images(found):
    count = len(found.table)
    assert found.pairs["metric"].unique().tolist() == ["val_loss", "val_accuracy"]
    for metric, column in (("val_loss", "test_loss"), ("val_accuracy", "test_accuracy")):
        pairs = found.pairs[found.pairs["metric"] == metric]
        assert len(pairs) == count * (count - 1) // 2
        scores = found.table.set_index("key")[column]
        expected = [scores[row["first"]] - scores[row["second"]] for row in pairs.to_dict("records")]
        assert pairs["difference"].tolist() == pytest.approx(expected)


def test_verdicts_are_given_by_the_searched_metric_and_by_accuracy_beside_it(run, found):
    table = found.table
    assert table["test_value"].tolist() == table["test_loss"].tolist()
    assert table["difference"].iloc[1:].tolist() == pytest.approx(
        (table["test_loss"] - table["test_loss"].iloc[0]).iloc[1:].tolist()
    )
    assert table["accuracy_difference"].iloc[1:].tolist() == pytest.approx(
        (table["test_accuracy"] - table["test_accuracy"].iloc[0]).iloc[1:].tolist()
    )
    worse = table[table["verdict"] == "worse"]
    assert (worse["difference_low"] > 0).all()
    assert "other finalists, by log loss, " in found.conclusion
    assert "; by accuracy " in found.conclusion


@pytest.mark.parametrize("metric", ["val_accuracy", "val_macro_f1", "val_auroc", "val_sensitivity_at_95"])
def test_any_searched_metric_is_judged(tmp_path, metric, monkeypatch):
    undrawn(monkeypatch)
    run = make_run(tmp_path / "run")
    run.update_record(metric=metric, positive=next(iter(CLASSES)))
    trials = run.trials()
    filled = trials.assign(val_sensitivity_at_95=trials["val_accuracy"]).astype(object)
    run.write_trials(filled.where(filled.notna(), None).to_dict("records"))
    found = compare([run.path], scorer=fake_scorer)
    assert found.table["value"].is_monotonic_decreasing
    assert found.table["test_value"].between(0, 1).all()
    better = found.table["difference"] > 0
    assert not (better & (found.table["verdict"] == "worse")).any()
    assert found.pairs["metric"].iloc[0] == metric
    header = main_rows(found.table)[0]
    assert header.count("verdict") == 1
    assert ("by accuracy" in header) == (metric != "val_accuracy")


@pytest.mark.parametrize("metric", ["val_macro_f1", "val_auroc", "val_sensitivity_at_95"])
def test_where_a_class_has_a_single_test_group_finalists_are_not_tested_and_it_says_why(
    tmp_path, metric, monkeypatch
):
    undrawn(monkeypatch)
    run = make_run(tmp_path / "run", classes={"a": 30, "b": 30, "rare": 10})
    run.update_record(metric=metric, positive="rare")
    split = run.split()
    rare = split[(split["split"] == "test") & (split["label"] == "rare")]
    run.write_split(split.drop(rare.index[rare["group"] != rare["group"].iloc[0]]))
    trials = run.trials()
    filled = trials.assign(val_sensitivity_at_95=trials["val_accuracy"]).astype(object)
    run.write_trials(filled.where(filled.notna(), None).to_dict("records"))
    found = compare([run.path], scorer=fake_scorer)
    others = found.table.iloc[1:]
    assert set(others["verdict"]) == {"not tested"}
    assert (others["p_holm"] == 1).all()
    assert others[["difference_low", "difference_high"]].isna().all(axis=None)
    assert found.table["test_value_low"].isna().all()
    assert "not tested" not in set(others["accuracy_verdict"])
    assert "no finalist is tested against another (p = 1): 'rare' has a single group" in found.conclusion
    assert "would be needed" not in found.conclusion
    assert any("'rare' has a single test group" in note for note in found.warnings)
    assert "nan" not in markdown(found)


def test_ungrouped_data_gets_wilsons_interval(tmp_path, monkeypatch):
    undrawn(monkeypatch)
    run = make_run(tmp_path / "run", grouped=False)
    found = compare([run.path], scorer=fake_scorer)
    for end in ("low", "high"):
        assert (found.table[f"test_accuracy_{end}"] == found.table[f"image_accuracy_{end}"]).all()
    assert "without groups" in " ".join(found.warnings)


def test_the_files_hold_what_the_comparison_says(run, found):
    table = pd.read_parquet(found.out / "comparison.parquet")
    assert table["test_accuracy"].tolist() == found.table["test_accuracy"].tolist()
    assert pd.read_csv(found.out / "comparison.csv")["key"].tolist() == found.table["key"].tolist()
    probabilities = pd.read_parquet(found.out / "probabilities.parquet")
    assert list(probabilities.columns) == ["path", "group", "label", "trial_id", *CLASSES]
    best = probabilities[probabilities["trial_id"] == found.table["key"].iloc[0]]
    row = next(one.row for one in choose_finalists([run], top=5)[0] if one.key == found.table["key"].iloc[0])
    val_paths, val_labels, val_groups = images_of(run, "val")
    temperature = fit_temperature(fake_scorer(run, row, val_paths), val_labels, val_groups)
    logits = fake_scorer(run, row, best["path"].tolist()) / temperature
    assert best[list(CLASSES)].to_numpy() == pytest.approx(softmax(logits))
    labels = np.array([list(CLASSES).index(name) for name in best["label"]])
    log_loss = -np.log(softmax(logits))[range(len(labels)), labels].mean()
    assert found.table["test_value"].iloc[0] == pytest.approx(log_loss)
    assert set(best["path"]) == set(run.split().query("split == 'test'")["path"])


def test_test_and_validation_images_are_scored_once_and_no_training_image(tmp_path, monkeypatch):
    undrawn(monkeypatch)
    run = make_run(tmp_path / "run")
    asked = []
    found = compare(
        [run.path], ensemble=5, scorer=lambda *a: asked.append((a[1]["trial_id"], *a[2])) or fake_scorer(*a)
    )
    test, val = (tuple(run.split().query(f"split == '{part}'")["path"]) for part in ("test", "val"))
    assert {paths for _, *paths in map(tuple, asked) if tuple(paths) not in (test, val)} == set()
    assert len(asked) == len(set(asked))
    assert {trial for trial, *paths in asked if tuple(paths) == test} >= set(found.table["trial_id"]) - {
        "ensemble"
    }


def test_published_figures_stand_beside_the_trials_that_repeat_them(found):
    table = found.table.set_index("key")
    assert table.loc["googlenet-full-00003", "published_accuracy"] == pytest.approx(0.9706)
    assert "published %" in markdown(found)


def test_a_first_look_at_the_test_set_is_recorded_and_a_second_at_others_is_warned_of(tmp_path, monkeypatch):
    undrawn(monkeypatch)
    run = make_run(tmp_path / "run")
    first = compare([run.path], scorer=fake_scorer, top=1)
    again = compare([run.path], scorer=fake_scorer, top=1)
    more = compare([run.path], scorer=fake_scorer, top=8)
    assert not any("no longer fresh" in note for note in (*first.warnings, *again.warnings))
    assert any("no longer fresh" in note for note in more.warnings)
    scorings = read_yaml(run.path / "test_scored.yaml")["scorings"]
    assert [set(scoring["trials"]) for scoring in scorings] == [
        set(first.table["key"]),
        set(more.table["key"]),
    ]


def test_a_look_is_recorded_even_if_scoring_then_fails(tmp_path):
    run = make_run(tmp_path / "run")

    def broken(*_):
        raise RunProblem("no such weights")

    with pytest.raises(RunProblem, match="no such weights"):
        compare([run.path], scorer=broken)
    assert note_scoring(run, ["another"], "compare") is not None


def test_runs_of_one_split_are_compared_together(tmp_path, monkeypatch):
    undrawn(monkeypatch)
    first, second = make_run(tmp_path / "a"), make_run(tmp_path / "b", seed=5)
    found = compare([first.path, second.path], scorer=fake_scorer)
    assert set(found.table["run"]) == {"a", "b"}
    assert found.table["key"].str.startswith(("a/", "b/")).all()
    assert found.report.parent == first.path / "report"


def test_runs_with_other_splits_are_refused_with_both_fingerprints(tmp_path):
    first, second = make_run(tmp_path / "a"), make_run(tmp_path / "b", classes={"x": 12, "y": 12})
    with pytest.raises(RunProblem, match="split their images differently") as caught:
        compare([first.path, second.path], scorer=fake_scorer)
    assert first.record["data"]["split_fingerprint"] in str(caught.value)
    assert not (first.path / "test_scored.yaml").exists()


def test_a_scorer_that_returns_nonsense_is_refused(tmp_path):
    run = make_run(tmp_path / "run")
    with pytest.raises(RunProblem, match="no finite scores of 220 images"):
        compare([run.path], scorer=lambda run, trial, paths: np.full((len(paths), 3), np.nan))


def test_the_spread_over_seeds_stands_beside_the_sampling_error(tmp_path, monkeypatch):
    undrawn(monkeypatch)
    run = make_run(tmp_path / "run")
    key = choose_finalists([run], top=1)[0][0].key
    seeds = pd.DataFrame({"key": [key] * 3, "seed": [1, 2, 3], "accuracy": [0.90, 0.92, 0.94]})
    found = compare([run.path], scorer=fake_scorer, seed_scores=seeds)
    assert found.table["seeds"].iloc[0] == 3
    assert found.table["seed_accuracy_sd"].iloc[0] == pytest.approx(0.02)
    assert "92.0 ± 2.0 (3)" in markdown(found)


def test_seeds_of_equally_named_trials_of_two_runs_are_not_pooled(tmp_path, monkeypatch):
    undrawn(monkeypatch)
    runs = [make_run(tmp_path / "a"), make_run(tmp_path / "b")]
    twice = str(choose_finalists(runs[:1], top=1)[0][0].key)
    seeds = pd.DataFrame({"key": [f"a/{twice}", f"b/{twice}"] * 2, "seed": [1, 1, 2, 2]})
    seeds["accuracy"] = [0.9, 0.5, 0.9, 0.5]
    table = compare([run.path for run in runs], scorer=fake_scorer, seed_scores=seeds).table
    means = table.set_index("key")["seed_accuracy_mean"]
    assert (means[f"a/{twice}"], means[f"b/{twice}"]) == (0.9, 0.5)
    assert table["seeds"].max() == 2


def test_seed_scores_without_their_key_are_refused(tmp_path, monkeypatch):
    undrawn(monkeypatch)
    run = make_run(tmp_path / "run")
    seeds = pd.DataFrame({"trial_id": ["x"], "seed": [1], "accuracy": [0.9]})
    with pytest.raises(InvalidValue, match="key"):
        compare([run.path], scorer=fake_scorer, seed_scores=seeds)
    assert not (run.path / "test_scored.yaml").exists()


def test_seeds_that_are_yet_to_be_scored_come_after_the_look_is_recorded(tmp_path, monkeypatch):
    undrawn(monkeypatch)
    run = make_run(tmp_path / "run")

    def later(finalists):
        assert (run.path / "test_scored.yaml").exists()
        keys = [one.key for one in finalists]
        return pd.DataFrame({"key": keys, "seed": 1, "accuracy": 0.5})

    trained_by(monkeypatch, seeds=later)
    assert set(compare([run.path], scorer=fake_scorer).table["seeds"]) == {1}


def test_runs_that_are_named_alike_or_twice_are_refused(tmp_path):
    first, second = make_run(tmp_path / "a" / "run"), make_run(tmp_path / "b" / "run")
    with pytest.raises(RunProblem, match="both named 'run'"):
        compare([first.path, second.path], scorer=fake_scorer)
    with pytest.raises(RunProblem, match="named twice"):
        compare([first.path, first.path], scorer=fake_scorer)


def test_the_markdown_table_has_one_row_a_finalist_and_the_conclusion(found):
    text = markdown(found)
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len(lines) == len(found.table) + 2
    assert len({line.count("|") for line in lines}) == 1
    assert found.conclusion in text
    assert "Warning: class 'Potato___healthy' has only 5 groups" in text


def test_a_class_called_like_a_column_keeps_its_own(tmp_path, monkeypatch):
    undrawn(monkeypatch)
    run = make_run(tmp_path / "run", classes={"label": 12, "path": 12})
    found = compare([run.path], scorer=fake_scorer)
    assert {"class label", "class path"} <= set(pd.read_parquet(found.out / "probabilities.parquet").columns)


def test_no_run_is_no_comparison(tmp_path):
    with pytest.raises(RunProblem, match="no run to compare"):
        compare([])
    with pytest.raises(RunProblem, match="not a run directory"):
        compare([Run(tmp_path).path])


def test_kept_weights_are_scored_as_they_are(tmp_path, monkeypatch):
    import torch
    from safetensors.torch import save_file

    from trainables import models

    undrawn(monkeypatch)
    monkeypatch.setenv("TUNER_CACHE_DIR", str(tmp_path / "cache"))
    run = make_run(tmp_path / "run", classes=dict.fromkeys(CLASSES, 3), images=True)
    run.update_record(image_size=32)
    key = "googlenet-full-00000"
    for file in (run.path / "weights").iterdir():
        file.unlink()
    classifier = models.create("googlenet", 3)
    for parameter in classifier.parameters():
        if parameter.shape == (3,):
            parameter.data = torch.tensor([0.0, 9.0, 0.0])
    save_file({name: value.contiguous() for name, value in classifier.state_dict().items()}, run.weights(key))
    found = compare([run.path], top=1)
    assert found.table["key"].tolist() == [key]
    probabilities = pd.read_parquet(found.out / "probabilities.parquet")[list(CLASSES)].to_numpy()
    assert probabilities.sum(axis=1) == pytest.approx(np.ones(36))
    assert (probabilities.argmax(axis=1) == 1).all()


def test_a_changed_test_image_stops_the_comparison_before_anyone_looks(tmp_path):
    run = make_run(tmp_path / "run", images=True)
    first = run.split().query("split == 'test'")["path"].iloc[0]
    (tmp_path / "images" / first).unlink()
    with pytest.raises(RunProblem, match="1 of 440 test and validation images") as caught:
        compare([run.path])
    assert first in str(caught.value)
    assert not (run.path / "test_scored.yaml").exists()


def blind(*which):
    """A scorer whose trials of these strategies answer the second class for every image."""

    def scorer(run, trial, paths):
        scores = fake_scorer(run, trial, paths)
        return np.tile([0.0, 9.0, 0.0], (len(paths), 1)) if trial["strategy"] in which else scores

    return scorer


def test_a_finalist_of_one_answer_is_said_to_be_one_beside_its_score(tmp_path, monkeypatch):
    paint_only(monkeypatch)
    run = make_run(tmp_path / "run", samples=0)
    found = compare([run.path], scorer=blind("feature_extractor"))
    rows = found.table[found.table["strategy"] == "feature_extractor"]
    others = found.table[found.table["strategy"] != "feature_extractor"]
    assert set(rows["one_answer"]) == {"Potato___Late_blight"}
    assert others["one_answer"].isna().all()
    note = "same class for every image: 'Potato___Late_blight'"
    lines = markdown(found).splitlines()
    assert all(note in line for line in lines if "feature extractor" in line and line.startswith("|"))
    assert sum(note in line for line in lines) == len(rows)
    assert f"{len(rows)} finalists answer the same class for every test image" in found.conclusion
    assert f"of which {len(rows)} with the same class for every image" in found.conclusion
    page = found.report.read_text(encoding="utf-8")
    assert page.count("same class for every image: &#x27;Potato___Late_blight&#x27;") == len(rows)
    saved = pd.read_parquet(found.out / "comparison.parquet")
    assert saved["one_answer"].notna().sum() == len(rows)


def test_a_tie_with_a_chosen_one_of_one_answer_is_said_to_mean_nothing(tmp_path, monkeypatch):
    undrawn(monkeypatch)
    run = make_run(tmp_path / "run", samples=0)
    found = compare([run.path], scorer=blind("full", "feature_extractor", "gradual_unfreeze"))
    said = "answers the same class, 'Potato___Late_blight', for every test image, and so do 8 others"
    assert said in found.conclusion
    assert "to be tied with it says nothing" in found.conclusion


def test_no_note_where_every_finalist_tells_classes_apart(found):
    assert found.table["one_answer"].isna().all()
    assert "same class" not in markdown(found)


def test_a_class_of_one_test_group_leaves_averages_without_an_interval_and_says_why(tmp_path, monkeypatch):
    undrawn(monkeypatch)
    run = make_run(tmp_path / "run", classes={"plenty": 12, "some": 6, "rare": 1})
    found = compare([run.path], scorer=fake_scorer, top=1)
    for name in ("test_balanced_accuracy", "test_macro_f1"):
        assert found.table[[f"{name}_low", f"{name}_high"]].isna().all(axis=None)
        assert found.table[name].notna().all()
    assert found.table["test_accuracy_low"].notna().all()
    assert found.table["auc_low[rare]"].isna().all()
    assert found.table["auc_low[some]"].notna().all()
    reason = next(note for note in found.warnings if "without a 95 % interval" in note)
    assert "class 'rare' has a single test group" in reason
    few = "2 of 3 classes have fewer than 10 groups in the test set: their scores can't be precise"
    assert f"{few}; 'rare' has 1, 'some' has 6" in found.warnings
    assert reason in markdown(found)


def test_of_many_finalists_of_one_answer_three_are_named():
    table = pd.DataFrame({"label": ["best", "a", "b", "c", "d"], "one_answer": [None, *["late"] * 4]})
    (said,) = _answers_alike(table)
    assert said.endswith("a ('late'), b ('late'), c ('late') and 1 more.")
    (said,) = _answers_alike(table[:4])
    assert said.endswith("a ('late'), b ('late'), c ('late').")
