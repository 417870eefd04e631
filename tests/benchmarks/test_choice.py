import numpy as np

from benchmarks.statistics.choice import ESTIMATE, FIRST, measure, parts, ways
from benchmarks.statistics.record_answers import Answers


def answers(seed=0, configurations=8, epochs=4, groups=60, size=2):
    """Losses of configurations that differ little, each image its own noise; one configuration ended early."""
    random, images = np.random.default_rng(seed), groups * size
    truth = 0.5 + 0.02 * random.normal(size=(configurations, epochs))
    losses = truth[..., None] + random.normal(size=images) + 0.5 * random.normal(size=(*truth.shape, images))
    losses[-1, -1] = np.nan
    names = np.repeat([f"leaf {number:02d}" for number in range(groups)], size)
    return Answers(
        losses,
        names,
        np.zeros(images, dtype=np.int64),
        tuple(map(str, range(configurations))),
        (0,) * configurations,
    )


def test_the_parts_of_a_split_are_whole_groups_and_have_their_shares():
    groups = np.repeat(np.arange(90), 4).astype(str)
    part = parts(groups, np.random.default_rng(0))
    assert all(len(set(part[groups == name])) == 1 for name in set(groups))
    shares = [np.mean(part == which) for which in range(3)]
    assert np.allclose(shares, [0.1, 2 / 3 - 0.1, 1 / 3], atol=0.02)


def test_the_estimate_is_nearer_to_what_the_winner_shows_than_its_lowest_epoch():
    found = measure("set", answers(), 12)
    for images in ("one tenth", "every image"):
        luck, left = (
            np.mean([one.steadier for one in found[f"{way}, {images}"]]) for way in (FIRST, ESTIMATE)
        )
        assert luck < 0
        assert abs(left) < abs(luck)


def test_an_epoch_that_only_solves_the_head_is_chosen_by_no_estimate():
    one = answers(configurations=2)
    one.losses[0, 0] -= 1.0
    whole, solved = (ways(first)[f"{ESTIMATE}, every image"] for first in ((0, 0), (1, 0)))
    groups = np.repeat(np.arange(60), 2)
    assert whole(one.losses, groups)[:2] == (0, 0)
    assert solved(one.losses, groups)[:2] != (0, 0)
