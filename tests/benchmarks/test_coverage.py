import numpy as np
import pytest

from benchmarks.statistics import coverage
from benchmarks.statistics.paired_tests import measure as measure_tests
from benchmarks.statistics.selected_folds import measure as measure_selection
from benchmarks.statistics.simulated_answers import PROFILES
from tuner.statistics.scores import score

SMALL = coverage.Design((6, 6, 2), (0.95, 0.9, 0.8), 0.6)


def test_the_simulated_model_is_as_right_as_the_design_says():
    sample = coverage.simulate(
        SMALL, coverage.skills(SMALL.accuracies), np.random.default_rng(0), times=2000
    )[0]
    recall = score(sample.labels, sample.logits).recall
    assert recall == pytest.approx(SMALL.accuracies, abs=0.02)


def test_the_bootstrap_surrounds_the_scores_of_its_sample():
    design = coverage.Design((25, 25, 25), (0.85, 0.85, 0.85), 0.3)
    sample = coverage.simulate(design, coverage.skills(design.accuracies), np.random.default_rng(3))[0]
    ends, values = coverage.percentile_bootstrap(sample, np.random.default_rng(0)), sample.scores()
    assert (ends[:5, 0] < values[:5]).all()
    assert (values[:5] < ends[:5, 1]).all()


def test_each_design_has_a_row_a_score_and_one_for_the_paired_test(monkeypatch):
    monkeypatch.setattr(coverage, "POPULATION", 2000)
    rows = coverage.measure(coverage.Design((6, 6, 2), None, 0.6), 3, 0)
    assert [row[1] for row in rows] == [*coverage.METRICS, "paired test: alarms at 5 %"]
    assert all("±" in row[2] for row in rows[:4])
    assert [row[2] for row in rows[4:6]] == ["not here", "none given"]


def test_where_a_class_has_one_group_no_interval_is_given(monkeypatch):
    monkeypatch.setattr(coverage, "POPULATION", 2000)
    rows = coverage.measure(next(design for design in coverage.DESIGNS if 1 in design.groups), 2, 0)
    assert [row[2] for row in rows[1:4]] == ["none given"] * 3


def test_balanced_accuracy_and_f1_cover_the_truth_where_a_class_has_two_groups(monkeypatch):
    monkeypatch.setattr(coverage, "POPULATION", 60_000)
    rows = coverage.measure(coverage.Design((6, 6, 2), (0.9, 0.9, 0.9), 0.6), 80, 0)
    for row in rows[1:3]:
        assert 90 <= float(row[2].split()[0]) <= 100
        assert float(row[4].split()[0]) < 90


def test_drawn_accuracies_repeat_and_lie_where_the_design_says():
    design = coverage.Design((6, 6, 2), None, 0.6)
    assert len(design.profiles) == PROFILES
    assert design.profiles == design.profiles
    assert all(0.8 <= one <= 0.98 for profile in design.profiles for one in profile)


def test_the_rows_of_the_paired_tests_say_how_often():
    rows = measure_tests(coverage.Design((6, 6, 6), (0.95, 0.9, 0.8), 0.6), 2, 0)
    assert [row[1] for row in rows][:2] == ["log loss", "accuracy"]
    assert all(row[2].split(" ")[0] in ("0.0", "50.0", "100.0") for row in rows)


def test_the_rows_of_the_selection_compare_folds_with_one_test_set():
    rows = measure_selection(3, 4)
    assert [row[1] for row in rows] == ["accuracy", "log loss"]
    assert all(0.2 < float(row[-1]) < 0.6 for row in rows)
