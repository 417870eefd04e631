import numpy as np
import pytest

from tuner.statistics.means import error_of_mean
from tuner.statistics.shrinkage import choose, group_sums, shrink, shrink_sums


def draw(random, truth, groups, *, own=0.3, common=0.6, size=3):
    """Losses [candidates, images] around `truth` [candidates]: what images and groups have in common, and own noise."""
    codes = np.repeat(np.arange(groups), size)
    hard = common * random.normal(size=groups)[codes] + 0.2 * random.normal(size=len(codes))
    noise = own * random.normal(size=(len(truth), groups))[:, codes]
    noise += own * random.normal(size=(len(truth), len(codes)))
    return np.asarray(truth)[:, None] + hard + noise, codes


def winners(spread, *, candidates=20, groups=30, draws=200, bad=0):
    """By draw: the winner's estimate, its lowest mean, its truth and the best truth."""
    random, rows = np.random.default_rng(1), []
    for _ in range(draws):
        truth = 0.5 + spread * random.normal(size=candidates)
        truth[:bad] += random.exponential(3.0, bad)
        losses, codes = draw(random, truth, groups)
        found = shrink(losses, codes)
        won = choose(found)
        rows.append((found.values[won], found.means[won], truth[won], truth.min(), found.errors[won]))
    return np.array(rows).T


@pytest.mark.parametrize("spread", [0.0, 0.05, 0.1, 0.2])
def test_the_expected_loss_of_the_winner_is_unbiased_and_the_lowest_mean_is_not(spread):
    value, mean, truth, _, _ = winners(spread)
    bias, luck = value - truth, mean - truth
    error = bias.std(ddof=1) / np.sqrt(len(bias))
    assert abs(bias.mean()) < max(2.5 * error, 0.1 * abs(luck.mean()))
    assert luck.mean() < -2.5 * error


def test_a_few_very_bad_candidates_do_not_make_the_lead_of_the_first_look_real():
    value, mean, truth, _, _ = winners(0.03, bad=5)
    assert abs((value - truth).mean()) < 0.25 * abs((mean - truth).mean())


def test_the_choice_is_no_worse_than_that_of_the_lowest_mean():
    random = np.random.default_rng(0)
    losses, codes = draw(random, 0.5 + 0.1 * random.normal(size=12), 20)
    assert choose(shrink(losses, codes)) == losses.mean(axis=1).argmin()


def test_the_standard_error_of_the_winner_is_about_how_far_the_truth_lies():
    value, _, truth, _, error = winners(0.1)
    assert np.sqrt((error**2).mean()) == pytest.approx((value - truth).std(), rel=0.2)


def test_without_noise_the_means_stay_and_where_nothing_tells_them_apart_all_are_equal():
    random, codes = np.random.default_rng(0), np.repeat(np.arange(10), 2)
    apart = shrink(np.array([[0.1], [0.5], [0.3], [0.9]]) + random.normal(size=20), codes)
    assert apart.values == pytest.approx(apart.means)
    assert apart.kept == pytest.approx(1.0)
    # Each leads on the images on which the others are worse.
    alike = shrink([[0.0, 1.0] * 10, [1.02, 0.02] * 10, [1.04, 0.04] * 10], np.arange(20))
    assert alike.kept == 0.0
    assert len(set(alike.values)) == 1


def test_one_candidate_and_one_group_keep_their_means():
    random = np.random.default_rng(0)
    losses, codes = draw(random, [0.5], 8)
    alone = shrink(losses, codes)
    assert alone.values == pytest.approx(losses.mean(axis=1))
    assert alone.errors[0] == pytest.approx(error_of_mean(losses[0], codes))
    several, _ = draw(random, [0.5, 0.7], 8)
    one_group = shrink(several, np.zeros(several.shape[1]))
    assert one_group.values == pytest.approx(several.mean(axis=1))


def test_sums_of_groups_do_for_the_losses_of_the_images():
    random = np.random.default_rng(0)
    losses, codes = draw(random, [0.5, 0.6, 0.8], 9)
    whole, added = shrink(losses, [f"leaf {code}" for code in codes]), shrink_sums(*group_sums(losses, codes))
    assert added.values == pytest.approx(whole.values)
    assert added.errors == pytest.approx(whole.errors)


def test_a_tie_goes_to_the_cheaper_and_a_difference_that_is_seen_does_not():
    random = np.random.default_rng(0)
    losses, codes = draw(random, [0.50, 0.501, 0.9], 30)
    first = int(losses.mean(axis=1).argmin())
    other = 1 - first
    costs = [0.0, 0.0, 0.0]
    costs[first] = 1.0
    found = shrink(losses, codes)
    assert choose(found) == first
    assert choose(found, costs) == other
    assert choose(found, [1.0, 1.0, 0.0]) == first


def test_who_is_behind_the_middle_is_not_said_to_be_better_than_it_was():
    losses = np.random.default_rng(0).normal(0.5, 0.4, (7, 12))
    losses[-1] += 2.0
    found = shrink(losses, np.arange(12))
    assert (found.values >= found.means - 1e-12).all()
    assert found.values[-1] == pytest.approx(found.means[-1])
