import math

import pytest

import search_spaces
from search_spaces._checking import random_study
from search_spaces.priors import Normal, entry_of, normal_of, weights_of
from trainables.errors import UserMistake

SPACE = '''"""A space with a prior."""


def space(trial):
    strategy = trial.suggest_categorical("strategy", ["full", "gradual_unfreeze"])
    trial.suggest_float("learning_rate", 1e-5, 1e-2, log=True)
    if strategy == "gradual_unfreeze":
        trial.suggest_int("unfreeze_at", 1, 3)
    return {{"model": "resnet18"}}


prior = {prior}
'''


@pytest.fixture
def written(tmp_path):
    def write(prior):
        path = tmp_path / "mine.py"
        path.write_text(SPACE.format(prior=prior))
        return search_spaces.load(str(path))

    return write


def refusal(space, allowed=None):
    with pytest.raises(UserMistake) as caught:
        search_spaces.check(space, {}, allowed or {}, 1)
    assert "\n" not in str(caught.value)
    assert "mine.py" in str(caught.value)
    return str(caught.value)


GOOD = {
    "strategy": {"full": 3, "gradual_unfreeze": 1.0},
    "learning_rate": {"centre": 1e-3, "width": 0.5},
    "unfreeze_at": {"centre": 2, "width": 1},
}


def test_a_prior_is_read_as_plain_numbers(written):
    space = written(repr(GOOD))
    search_spaces.check(space, {}, {}, 1)
    assert search_spaces.prior_of(space, 10) == GOOD
    assert normal_of(search_spaces.prior_of(space, 10)["unfreeze_at"]) == Normal(2.0, 1.0)


def test_a_restricted_space_keeps_the_prior_of_what_it_leaves_out(written):
    only_full = {"strategy": ("full",)}
    space = written(repr(GOOD))
    search_spaces.check(space, {}, only_full, 1)
    assert "unfreeze_at" in search_spaces.prior_of(space, 10)
    nowhere = written(repr({**GOOD, "dropout": {"centre": 0.1, "width": 1}}))
    assert "does not ask for" in refusal(nowhere, only_full)


def test_a_prior_may_follow_from_max_epochs(written):
    space = written("lambda max_epochs: {'unfreeze_at': {'centre': min(3, max_epochs), 'width': 1}}")
    assert search_spaces.prior_of(space, 2)["unfreeze_at"]["centre"] == 2
    search_spaces.check(space, {}, {}, 1)


@pytest.mark.parametrize(
    ("prior", "words"),
    [
        ("['dropout']", ["prior must map names", "dropout"]),
        (
            "{'dropuot': {'centre': 0.1, 'width': 1}}",
            ["unknown parameter in prior", "'dropuot'", "'dropout'"],
        ),
        ("{'dropout': {'centre': 0.1, 'width': 1}}", ["dropout", "does not ask for"]),
        ("{'learning_rate': 1e-3}", ["learning_rate", "0.001", "centre and a width"]),
        ("{'learning_rate': {}}", ["learning_rate", "centre and a width"]),
        ("{'learning_rate': {'centre': 1e-3}}", ["learning_rate gives centre", "centre and width"]),
        ("{'learning_rate': {'center': 1e-3, 'width': 1}}", ["learning_rate gives center, width"]),
        ("{'learning_rate': {'centre': 0.1, 'width': 1}}", ["centre 0.1 outside 1e-05 to 0.01"]),
        ("{'learning_rate': {'centre': 1e-3, 'width': 0}}", ["width 0", "above 0"]),
        ("{'learning_rate': {'centre': 1e-3, 'width': float('nan')}}", ["width nan", "finite"]),
        ("{'learning_rate': {'centre': '1e-3', 'width': 1}}", ["centre '1e-3'", "number"]),
        ("{'strategy': {'full': 1, 'gradual': 2}}", ["'gradual'", "none of full, gradual_unfreeze"]),
        ("{'strategy': {'full': 1, 'gradual_unfreeze': -2}}", ["'gradual_unfreeze' with -2", "0 or more"]),
        ("{'strategy': {'full': float('nan')}}", ["full nan", "finite"]),
        ("{'strategy': {'full': 0}}", ["strategy", "above 0"]),
        ("{'strategy': {'centre': 1, 'width': 1}}", ["'centre'", "none of full"]),
    ],
)
def test_a_prior_that_can_not_be_is_refused_in_one_sentence(written, prior, words):
    message = refusal(written(prior))
    for word in words:
        assert word in message


def test_a_name_s_own_entry_comes_before_its_field_s():
    priors = {"strategy": {"full": 1.0}, "strategy@vgg16": {"full": 2.0}}
    assert entry_of(priors, "strategy@vgg16") == {"full": 2.0}
    assert entry_of(priors, "strategy@resnet18") == {"full": 1.0}
    assert entry_of(priors, "dropout") is None


def test_weights_of_choices_that_were_narrowed_away_are_equal_if_none_is_left():
    assert weights_of({"a": 1.0, "b": 3.0}, ["b", "c"]) == [3.0, 0.0]
    assert weights_of({"a": 1.0}, ["b", "c"]) == [1.0, 1.0]


@pytest.mark.parametrize("max_epochs", [1, 2, 5, 50])
@pytest.mark.parametrize("name", ["googlenet_full", "all_models"])
def test_our_priors_fit_their_spaces_and_are_wide(name, max_epochs):
    space = search_spaces.load(name)
    search_spaces.check(space, {"max_epochs": max_epochs}, {}, 1)
    priors, study = search_spaces.prior_of(space, max_epochs), random_study()
    for _ in range(40):
        trial = study.ask()
        search_spaces.configure(space, trial, {"max_epochs": max_epochs}, {})
        for parameter, distribution in trial.distributions.items():
            entry = entry_of(priors, parameter)
            if entry is None:
                continue
            if hasattr(distribution, "choices"):
                assert min(weights_of(entry, distribution.choices)) > 0
                continue
            low, high = distribution.low, distribution.high
            room = math.log10(high / low) if distribution.log else high - low
            assert normal_of(entry).width > room / 10
