"""The quick probe: what it tells, that it does not learn from what it judges, and that many classes are no burden."""

import numpy as np

from tuner.dataset.inspection import nuisance_probe
from tuner.dataset.inspection.nuisance_probe import out_of_fold_area, out_of_fold_scores


def test_a_class_without_others_is_told_by_chance():
    assert out_of_fold_area(np.ones(3, bool), np.arange(3.0)) == 0.5


def test_images_that_are_never_held_out_have_no_score_and_leave_the_area_alone():
    random = np.random.default_rng(0)
    folds = np.arange(60) % 5
    folds[:4] = -1
    scores, _ = out_of_fold_scores({"light": random.random((60, 2))}, np.arange(60) % 2, folds, 2)
    assert np.isnan(scores[:4]).all()
    assert np.isfinite(scores[4:]).all()
    assert 0 <= out_of_fold_area(np.arange(60) % 2 == 1, scores[:, 1]) <= 1


def test_a_fold_does_not_learn_from_itself():
    """What only the held-out images have does not tell their class."""
    given, folds = np.arange(400) % 2, np.arange(400) // 2 % 4
    values = np.random.default_rng(0).random((400, 1))
    values[folds == 0, 0] = given[folds == 0] + 2.0
    scores, _ = out_of_fold_scores({"light": values}, given, folds, 2)
    held = folds == 0
    assert out_of_fold_area(given[held] == 1, scores[held, 1]) < 0.7


def test_a_middling_number_is_told_as_well_as_a_high_one():
    random = np.random.default_rng(0)
    light = random.random(600)
    given = ((light > 0.4) & (light < 0.6)).astype(np.int64)
    kinds = {"light": light[:, None], "size": np.ones((600, 1)), "camera": random.random((600, 1))}
    scores, alone = out_of_fold_scores(kinds, given, np.arange(600) % 5, 2)
    assert out_of_fold_area(given == 1, scores[:, 1]) > 0.95
    assert out_of_fold_area(given == 1, alone["light"][:, 1]) > 0.95
    assert out_of_fold_area(given == 1, alone["size"][:, 1]) == 0.5
    assert out_of_fold_area(given == 1, alone["camera"][:, 1]) < 0.65


def test_a_hundred_times_the_classes_are_solved_as_often(monkeypatch):
    random = np.random.default_rng(0)
    values = random.random((1200, 3))

    def solved(classes):
        sizes = []
        solve = np.linalg.solve
        with monkeypatch.context() as patched:
            patched.setattr(
                nuisance_probe.np.linalg, "solve", lambda a, b: sizes.append(a.shape) or solve(a, b)
            )
            out_of_fold_scores({"size": values}, np.arange(1200) % classes, np.arange(1200) // 300, classes)
        return sizes

    assert solved(300) == solved(3)


def test_one_class_of_three_hundred_that_was_taken_otherwise_is_told():
    random = np.random.default_rng(0)
    given = np.arange(3000) % 300
    values = random.random((3000, 4))
    values[given == 7, 1] += 2.0
    scores, _ = out_of_fold_scores({"size": values}, given, np.arange(3000) // 300 % 5, 300)
    areas = [out_of_fold_area(given == code, scores[:, code]) for code in range(300)]
    assert areas[7] > 0.95
    assert np.mean(areas) < 0.56
