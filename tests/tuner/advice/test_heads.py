from dataclasses import replace

import numpy as np
import pytest
from drawn_features import drawn

from tuner.advice.heads import class_halves, compressed, heads_on, shares_of, solved, subsets


def groups_of(images, mask):
    return set(images.groups[mask].tolist())


@pytest.mark.parametrize("share", [0.125, 0.25, 0.5])
def test_draws_of_a_size_hold_whole_groups_of_training_alone_and_no_group_twice(share):
    images = drawn(groups=60)
    draws = list(subsets(images, share))
    for fold in range(5):
        parts = [groups_of(images, draw[fold]) for draw in draws]
        assert all(not groups_of(images, images.folds == fold) & part for part in parts)
        assert sum(map(len, parts)) == len(set().union(*parts))
        training = groups_of(images, images.training(fold))
        assert all(len(part) == pytest.approx(share * len(training), abs=2) for part in parts)


def test_a_class_with_few_groups_is_in_every_draw():
    images = drawn(groups=40)
    rare = np.where(np.isin(images.groups, ["group 00", "group 01", "group 02"]), 2, images.labels)
    images = replace(images, labels=rare, classes=("a", "b", "c"))
    for draw in subsets(images, 0.125):
        assert all(set(images.labels[mask]) == {0, 1, 2} for mask in draw.values())


def test_sizes_at_which_most_classes_have_no_group_are_left_out():
    assert shares_of(drawn(groups=40)) == (0.125, 0.25, 0.5, 1.0)
    assert shares_of(drawn(groups=10)) == (0.25, 0.5, 1.0)


def test_a_half_of_a_class_is_left_out_and_the_others_stay():
    images = drawn(groups=40)
    halves = list(class_halves(images, 1))
    for fold in range(5):
        others = images.training(fold) & (images.labels != 1)
        assert all((half[fold] & (images.labels != 1) == others).all() for half in halves)
        own = [groups_of(images, half[fold] & (images.labels == 1)) for half in halves]
        assert not own[0] & own[1]
        assert own[0] | own[1] == groups_of(images, images.training(fold) & (images.labels == 1))


@pytest.mark.parametrize("classes", [("a", "b"), ("a", "b", "c")])
def test_heads_on_everything_answer_as_the_probe_does(classes):
    import torch

    from trainables.linear_probe import out_of_fold

    images = drawn(classes=classes, groups=45)
    # What the probe scales, as `compressed` does before the heads see it.
    raw = torch.from_numpy(images.features).float()
    features = compressed(images.features.astype(np.float32))
    assert features.shape == images.features.shape
    labels, folds = torch.from_numpy(images.labels), torch.from_numpy(images.folds)
    found = out_of_fold(raw, labels, len(classes), folds, [images.l2])
    mine = heads_on(replace(images, features=features)).losses.mean()
    assert mine == pytest.approx(found.log_loss, rel=0.05)


def test_fewer_images_lose_more():
    images = drawn(groups=60, apart=1.0)
    few = np.mean(
        [heads_on(images, draw, steps=(1.0, 10.0)).losses.mean() for draw in subsets(images, 0.125)]
    )
    assert heads_on(images).losses.mean() < few


def test_all_images_judge_but_many_are_judged_in_as_few_folds_as_are_enough():
    few = drawn(groups=60)
    assert few.judging == few.numbers == [0, 1, 2, 3, 4]
    assert len(heads_on(few).losses) == len(few.labels)
    many = drawn(groups=100, each=70)
    assert many.numbers == [0, 1, 2, 3, 4]
    assert many.judging == [0, 1]
    answers = heads_on(many)
    assert len(answers.losses) == many.held.sum() == pytest.approx(2800, abs=140)
    assert (answers.labels == many.labels[many.held]).all()
    for fold in many.judging:
        images = many.folds == fold
        alone = solved(many, many.training(fold), images, many.l2)
        assert answers.logits[many.folds[many.held] == fold] == pytest.approx(alone)
