import numpy as np
import pytest

from tuner.statistics.posterior import count_groups, draw_f1, draw_recalls, interval_of_draws


def balanced(counts, **options):
    return draw_recalls(counts, **options).recall.mean(axis=1)


def answers(right, size=4, classes=2):
    """Labels, predictions, groups: of class c, group g, `right[c][g]` of `size` images are right."""
    labels, predicted = [], []
    for code, of_class in enumerate(right):
        for hits in of_class:
            labels += [code] * size
            predicted += [code] * hits + [(code + 1) % classes] * (size - hits)
    groups = np.repeat(np.arange(len(labels) // size), size)
    return np.array(labels), np.array(predicted), groups


def test_a_group_is_counted_once_for_each_class_in_it():
    labels, predicted = np.array([0, 0, 1, 1]), np.array([0, 1, 1, 2])
    counts = count_groups(labels, predicted, ["a", "a", "a", "b"], 3)
    assert counts.classes.tolist() == [0, 1, 1]
    assert counts.right.tolist() == [1, 1, 0]
    assert counts.size.tolist() == [2, 1, 1]
    assert counts.wrong.tolist() == [[0, 1, 0], [0, 0, 0], [0, 0, 1]]


def test_a_recall_of_many_independent_images_has_its_textbook_error():
    labels, predicted, _ = answers([[3600], [3200]], size=4000)
    drawn = draw_recalls(count_groups(labels, predicted, np.arange(8000), 2)).recall
    assert drawn.mean(axis=0) == pytest.approx([0.9, 0.8], abs=0.002)
    assert drawn.std(axis=0) == pytest.approx(np.sqrt([0.9 * 0.1 / 4000, 0.8 * 0.2 / 4000]), rel=0.1)


def test_groups_that_succeed_or_fail_as_a_whole_count_as_one_image_each():
    whole = answers([[4] * 16 + [0] * 4] * 2)
    parts = answers([[3] * 16 + [4] * 4] * 2)
    assert draw_recalls(count_groups(*whole, 2)).correlation > 0.7
    assert draw_recalls(count_groups(*parts, 2)).correlation < 0.1
    spread = balanced(count_groups(*whole, 2)).std()
    assert spread == pytest.approx(np.sqrt(0.8 * 0.2 / 40), rel=0.25)
    assert balanced(count_groups(*parts, 2)).std() < 0.6 * spread


def test_rare_classes_among_many_alike_learn_from_the_others():
    few = balanced(count_groups(*answers([[4, 4, 3]] * 2, classes=2), 2))
    many = balanced(count_groups(*answers([[4, 4, 3]] * 20, classes=20), 20))
    assert many.mean() == pytest.approx(11 / 12, abs=0.03)
    assert many.std() < 0.5 * few.std()


def test_f1_of_many_images_is_that_of_its_confusions():
    labels, predicted, _ = answers([[3600], [3200]], size=4000)
    counts = count_groups(labels, predicted, np.arange(8000), 2)
    drawn = draw_f1(counts, draw_recalls(counts))
    expected = [7200 / (4000 + 3600 + 800), 6400 / (4000 + 3200 + 400)]
    assert drawn.mean(axis=0) == pytest.approx(expected, abs=0.003)


def test_a_class_without_images_has_no_draws_and_takes_no_part():
    labels, predicted, groups = answers([[4, 3, 4], [4, 4, 2]], classes=2)
    counts = count_groups(labels, predicted, groups, 4)
    found = draw_recalls(counts)
    assert np.isnan(found.recall[:, 2:]).all()
    assert np.isfinite(draw_f1(counts, found)[:, :2]).all()


def test_draws_repeat_with_their_seed():
    counts = count_groups(*answers([[4, 3, 4], [4, 4, 2]]), 2)
    assert np.array_equal(draw_recalls(counts, seed=3).recall, draw_recalls(counts, seed=3).recall)
    assert not np.array_equal(draw_recalls(counts, seed=3).recall, draw_recalls(counts, seed=4).recall)


def test_the_interval_holds_the_observed_value_and_95_percent_of_the_draws():
    drawn = np.random.default_rng(0).beta(20, 2, 20_000)
    interval = interval_of_draws(drawn, 0.9)
    assert np.mean((drawn >= interval.low) & (drawn <= interval.high)) == pytest.approx(0.95, abs=0.01)
    assert interval_of_draws(drawn, 1.0).high == 1.0
