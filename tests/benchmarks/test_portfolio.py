import numpy as np

from benchmarks.search.portfolio import greedy


def test_each_choice_lowers_the_mean_of_the_best_so_far_most_and_none_is_made_twice():
    regrets = np.array([[0.5, 0.5], [0.0, 0.9], [0.9, 0.0], [0.6, 0.1], [3.0, 3.0]])
    assert greedy(regrets, 2) == [3, 1]
    assert greedy(regrets, 3) == [3, 1, 2]
    assert sorted(greedy(regrets, 5)) == [0, 1, 2, 3, 4]


def test_a_configuration_that_does_not_fit_a_set_comes_last():
    regrets = np.array([[0.0, np.inf], [0.4, 0.4], [0.5, 0.5]])
    assert greedy(regrets, 1) == [1]
