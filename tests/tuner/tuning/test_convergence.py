import itertools
import math

import numpy as np
import pytest
from tiny import epoch, prepared, store, write_space

from tuner.tuning.convergence import LEAST, MORE, Settling, expected_gain, noise, reason


def test_the_expected_gain_is_that_of_the_last_trials_over_all_orders():
    costs = [0.7, 0.1, 0.5, 0.2, 0.9]
    for more in (1, 2, 3, 4):
        orders = [min(order[: 5 - more]) - min(costs) for order in itertools.permutations(costs)]
        assert expected_gain(costs, more) == pytest.approx(np.mean(orders))
    assert expected_gain(costs, 5) == math.inf


def test_noise_falls_with_the_images_and_is_never_nothing_for_a_share():
    assert noise("val_loss", 0.2, 400) == pytest.approx(0.01)
    assert noise("val_accuracy", 0.5, 100) == pytest.approx(0.05)
    assert 0 < noise("val_accuracy", 1.0, 100) < 0.02


def test_a_search_whose_best_are_alike_is_settled_and_one_that_still_gains_is_not():
    alike = [0.200 + 0.001 * number for number in range(LEAST)]
    assert "converged after 30 trials" in (reason(alike, "val_loss", 200) or "")
    lone = [0.1, *[0.5] * (LEAST - 1)]
    assert reason(lone, "val_loss", 200) is None
    # Nothing is gained in the mean over all orders, but each has been better than those before.
    falling = [0.2 - 0.002 * number for number in range(LEAST)]
    assert expected_gain(falling, MORE) < noise("val_loss", falling[-1], 200) < falling[-MORE] - falling[-1]
    assert reason(falling, "val_loss", 200) is None
    assert reason(falling[::-1], "val_loss", 200) is not None
    assert reason(alike[:-1], "val_loss", 200) is None
    assert reason([1 - value for value in alike], "val_accuracy", 200) is not None


def test_a_settled_search_proposes_no_more_and_says_why(tmp_path):
    space = write_space(tmp_path)
    run = prepared(tmp_path, space).run
    book = store(tmp_path, space, samples=200)
    book.settling = Settling(run, "val_loss", 200)
    ended = 0
    while (trial := book.next()) is not None:
        book.report(trial["trial_id"], epoch(1, 0.2 + 0.0001 * ended))
        book.finish(trial["trial_id"], "completed", "completed")
        ended += 1
    assert ended == LEAST
    assert f"{MORE} more trials are expected" in run.record["ended"]
    again = store(tmp_path, space, samples=200)
    again.settling = Settling(run, "val_loss", 200)
    assert again.next() is None
