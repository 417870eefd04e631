import numpy as np

from tuner.statistics.groups import effective_groups, group_codes, grouped_folds


def test_groups_are_numbered_in_the_order_of_their_names():
    assert group_codes(["leaf b", "leaf a", "leaf b"]).tolist() == [1, 0, 1]


def test_one_large_group_leaves_few_effective_ones():
    assert effective_groups(np.full(7, 4)) == 7
    assert 1 < effective_groups(np.array([100, 1, 1, 1])) < 1.1


def test_folds_keep_groups_whole_and_spread_every_class():
    labels = np.repeat([0, 1, 2, 3], [60, 30, 6, 3])
    groups = [f"{label}-{number // 3}" for number, label in enumerate(labels)]
    folds = grouped_folds(labels, groups, 3)
    for group in set(groups):
        assert len({fold for fold, name in zip(folds, groups, strict=True) if name == group}) == 1
    assert set(folds[labels == 0]) == set(folds[labels == 1]) == set(range(5))
    assert len(set(folds[labels == 2])) == 2
    # A class with one group stays in every training part.
    assert set(folds[labels == 3]) == {-1}
    assert set(grouped_folds(np.array([0, 0, 1, 1]), ["a", "a", "b", "b"], 0)) == {0, 1}
