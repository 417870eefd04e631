"""Each kind of advice, from images that were drawn as features."""

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from drawn_features import drawn

from trainables.config import TrialConfig
from trainables.data.split import Split
from tuner.advice.at_once import averaged_folds, ensemble
from tuner.advice.floor import floor, least_loss
from tuner.advice.heads import heads_on
from tuner.advice.hours import more_hours
from tuner.advice.labels import better_labels, doubted
from tuner.advice.line import Line, Unknown
from tuner.advice.more_images import class_gain, more_images
from tuner.tuning.candidates import Candidate, Judges


def material(images, **own):
    """What the kinds read of a Material."""
    size = len(images.labels)
    paths = tuple(f"{place}.png" for place in range(size))
    pool = Split(paths, images.labels, tuple(images.groups.tolist()), ("train",) * size, images.classes)
    given = {
        "images": images,
        "images_of": "resnet18",
        "frozen": heads_on(images),
        "pool": pool,
        "groups": images.groups,
        "classes": images.classes,
        "unit": "group",
        "record": {
            "seed": 0,
            "settings": {},
            "data": {"folder": "photos", "groups": "groups.csv", "group_regex": None},
        },
        "head": None,
        "heads": [],
        "chosen": None,
        "trials": [],
        "answers": {},
        "level": None,
    }
    return SimpleNamespace(**{**given, **own})


def offered(images, answers, costs):
    """A material whose trials answered so, at so many milliseconds an image, 10 if nothing else is said."""
    config = TrialConfig.resolve({"model": "resnet18", "strategy": "full"})
    given = material(images)
    given.candidates = [
        Candidate({"trial_id": name, "best_epoch": 9, "source": "tpe"}, config, logits, costs.get(name, 10.0))
        for name, logits in answers.items()
    ]
    given.judges = Judges(given.pool, "val_loss", None)
    return given


def test_more_images_promise_a_gain_where_heads_still_learn():
    lines = more_images(material(drawn(groups=80, apart=1.0, width=24)))
    assert [line.kind for line in lines] == ["images", "class", "class"]
    first = lines[0]
    assert first.log_loss.mean > 0
    assert first.log_loss.low < first.log_loss.mean < first.log_loss.high
    assert first.cost == {"images": 160}
    assert "frozen backbone" in first.why


def test_few_groups_are_one_sentence():
    (found,) = more_images(material(drawn(groups=10)))
    assert isinstance(found, Unknown)
    assert found.reason == "10 groups are too few for a learning curve; it takes 16"


def test_the_rare_class_gains_more_than_the_common_one():
    images = drawn(groups=120, apart=1.2, width=24)
    # Class 1 keeps 12 of its 60 groups.
    rare = [f"group {number:02d}" for number in range(1, 120, 2)][12:]
    kept = ~np.isin(images.groups, rare)
    images = replace(
        images, features=images.features[kept], labels=images.labels[kept], groups=images.groups[kept]
    )
    full = heads_on(images)
    common, few = (class_gain(images, full, label)[0].mean for label in (0, 1))
    assert few > common


def test_labels_that_were_changed_are_doubted_and_checking_them_gains():
    images = drawn(groups=200, apart=6.0)
    changed = images.labels.copy()
    changed[:40] = 1 - changed[:40]
    images = replace(images, labels=changed)
    found = doubted(heads_on(images))
    assert len(set(found.places[found.wrong].tolist()) & set(range(40))) >= 25
    (line,) = better_labels(material(images))
    assert line.log_loss.low <= 0 < line.log_loss.mean
    assert line.cost == {"looks": 50}
    assert "themselves bear" in line.why


def test_labels_that_nobody_doubts_stay():
    (line,) = better_labels(material(drawn(groups=40, apart=12.0)))
    assert line.do == "leave the labels as they are"
    assert line.log_loss.mean == 0


@pytest.mark.parametrize(("trials", "said"), [(0, "no trial was"), (1, "1 trial was"), (5, "5 trials were")])
def test_few_trials_say_nothing_of_hours(trials, said):
    rows = [{"source": "tpe", "val_loss": 0.5, "val_accuracy": 0.5, "seconds": 1.0}] * trials
    (found,) = more_hours(material(drawn(), trials=rows))
    assert found.reason.startswith(said)


def hours(losses):
    rows = [{"source": "tpe", "val_loss": v, "val_accuracy": 1 - v / 3, "seconds": 60.0} for v in losses]
    (found,) = more_hours(material(drawn(), trials=rows))
    return found


def test_a_search_whose_trials_are_alike_is_settled():
    found = hours(np.linspace(0.2, 0.21, 20))
    assert found.do == "search no longer: 20 trials more, in 20m00s, gain less than 0.01 nats"
    assert found.cost == {"seconds": 0.0}


def test_a_search_that_still_jumps_is_worth_going_on():
    found = hours(np.linspace(0.2, 1.2, 20))
    assert found.do == "search on for 20m00s, about 20 trials more"
    assert found.cost == {"seconds": 1200.0}
    assert found.accuracy.mean > 0


def test_an_ensemble_of_models_that_err_elsewhere_is_advised_with_its_members():
    images = drawn(groups=200)
    random = np.random.default_rng(0)
    size = len(images.labels)
    truth = 1.5 * np.eye(2)[images.labels]
    logits = {name: truth + 2.0 * random.normal(size=(size, 2)) for name in ("first", "second", "third")}
    (line,) = ensemble(offered(images, logits, {}))
    assert line.log_loss.low > 0
    assert line.cost == {"milliseconds": 20.0}
    assert "ensemble of 3" in line.do
    assert "second" in line.why


def test_no_average_of_trials_that_answer_by_chance_is_advised():
    images = drawn(groups=60)
    random = np.random.default_rng(0)
    chance = {str(number): random.normal(size=(120, 2)) for number in range(12)}
    (line,) = ensemble(offered(images, chance, {}))
    assert line.do == "ship one model, no ensemble"
    assert line.log_loss.mean == 0


def test_one_trial_is_no_ensemble():
    images = drawn()
    (found,) = ensemble(offered(images, {"only": np.zeros((80, 2))}, {}))
    assert found.reason.startswith("fewer than two trials have answered")


def test_the_average_of_the_folds_is_judged_by_images_that_none_of_its_models_has_seen():
    (line,) = averaged_folds(material(drawn(groups=60, apart=1.0, width=24)))
    assert isinstance(line, Line)
    assert line.do == "average the models of 4 folds"
    assert "on 48 images" in line.why


def test_near_duplicates_with_other_labels_are_a_floor():
    images = drawn(groups=150, each=2, apart=0.0, width=40)
    twins = images.features.copy()
    twins[1::2] = twins[::2] + 1e-3
    labels = images.labels.copy()
    labels[1:60:2] = 1 - labels[1:60:2]
    images = replace(images, features=twins, labels=labels)
    (line,) = floor(material(images))
    assert line.log_loss is None
    assert "150 pairs of near-duplicates" in line.why
    assert "30 have different labels" in line.why
    assert f"{least_loss(0.2):.3f}" in line.do


def test_pictures_none_of_which_look_alike_have_no_known_floor():
    (found,) = floor(material(drawn(groups=60, each=1)))
    assert isinstance(found, Unknown)


def test_an_ensemble_costs_what_its_members_take_more_than_the_chosen_trial():
    images = drawn(groups=80, apart=1.0)
    random = np.random.default_rng(0)
    truth = np.eye(2)[images.labels] * 2.0
    answers = {name: truth + random.normal(size=truth.shape) for name in ("a", "b", "c")}
    (line,) = ensemble(offered(images, answers, {"a": 2.0, "b": 2.0, "c": 7.0}))
    assert "ensemble of 3" in line.do
    assert line.cost["milliseconds"] in (2.0 + 7.0, 2.0 + 2.0)
    (unknown,) = ensemble(offered(images, answers, {"a": math.nan}))
    assert unknown.cost == {}


def test_many_images_are_averaged_over_folds_on_those_that_judge():
    images = drawn(groups=100, each=70)
    (line,) = averaged_folds(material(images))
    assert isinstance(line, Line)
    assert line.do == "average the models of 4 folds"
    assert f"on {int(images.held.sum()):,} images" in line.why


def test_a_hundred_pairs_of_one_group_say_hardly_more_than_a_few_groups():
    from tuner.advice.floor import _interval

    spread, alone = (
        np.array([*np.repeat("g", 100), *map(str, range(9))]),
        np.array(list(map(str, range(10)))),
    )
    crowded = _interval(np.zeros(109, dtype=bool), spread)
    even = _interval(np.zeros(10, dtype=bool), alone)
    assert crowded[0] == even[0] == 0.0
    assert crowded[1] > 1.5 * even[1]
