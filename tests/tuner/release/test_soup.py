import pytest
import torch

from tuner.release.soup import average, greedy_soup


def state(value, count=3):
    return {"weight": torch.full((2,), float(value)), "seen": torch.tensor(count)}


def closeness(target):
    return lambda model: -abs(float(model["weight"][0]) - target)


def test_the_average_is_the_mean_and_leaves_counters_alone():
    mean = average([state(1, 3), state(2, 5), state(6, 7)])
    assert mean["weight"].tolist() == [3.0, 3.0]
    assert mean["seen"].item() == 3
    assert mean["weight"].dtype == torch.float32


def test_a_soup_takes_in_what_helps_and_only_that():
    soup = greedy_soup([state(9), state(1), state(4)], closeness(2.4))
    assert soup.members == (1, 2)
    assert soup.state["weight"][0].item() == 2.5
    assert soup.score == pytest.approx(-0.1)
    assert soup.singles == pytest.approx((-6.6, -1.4, -1.6))


def test_a_soup_that_does_not_help_is_the_best_single_model():
    soup = greedy_soup([state(5), state(3), state(8)], closeness(3))
    assert (soup.members, soup.score) == ((1,), 0.0)
    assert soup.state["weight"][0].item() == 3.0


def test_equal_models_gain_nothing_from_each_other():
    assert greedy_soup([state(1), state(1)], closeness(2)).members == (0,)


def test_a_soup_is_never_worse_than_its_best_ingredient():
    random = torch.Generator().manual_seed(0)
    for _ in range(50):
        models = [{"weight": torch.randn(2, generator=random)} for _ in range(4)]
        target = float(torch.randn((), generator=random))
        soup = greedy_soup(models, closeness(target))
        assert soup.score >= max(soup.singles)
        assert soup.score == pytest.approx(closeness(target)(soup.state))
