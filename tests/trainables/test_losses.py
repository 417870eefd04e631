import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from trainables.errors import InvalidValue
from trainables.losses import class_weights, describe_loss, training_loss

# Softmax of these logits is (1/2, 1/4, 1/4) and (1/4, 1/4, 1/2).
LOGITS = torch.log(torch.tensor([[2.0, 1.0, 1.0], [1.0, 1.0, 2.0]]))
LABELS = torch.tensor([0, 1])
PLAIN = (math.log(2) + math.log(4)) / 2


def loss(*outputs: Tensor, **how: float | Tensor) -> float:
    return training_loss(outputs or (LOGITS,), LABELS, **how).item()


def test_without_settings_the_loss_is_plain_cross_entropy():
    assert loss() == pytest.approx(PLAIN)
    assert F.cross_entropy(LOGITS, LABELS).item() == pytest.approx(PLAIN)


def test_smoothing_moves_a_tenth_of_the_target_to_all_classes():
    # -log p of the three classes: (log 2, log 4, log 4) and (log 4, log 4, log 2), a third of the tenth each.
    uniform = (math.log(2) + 2 * math.log(4)) / 3
    expected = 0.9 * PLAIN + 0.1 * uniform
    assert loss(label_smoothing=0.1) == pytest.approx(expected)
    assert expected != pytest.approx(PLAIN)


def test_class_weights_make_a_mean_over_the_weights_of_the_batch():
    weight = torch.tensor([1.0, 3.0, 7.0])
    assert loss(weight=weight) == pytest.approx((1 * math.log(2) + 3 * math.log(4)) / 4)


def test_the_loss_of_a_good_trial_has_a_floor_under_smoothing_but_plain_cross_entropy_has_none():
    confident = torch.tensor([[100.0, 0.0, 0.0]])
    # The best that three classes allow at smoothing 0.1: targets 0.9333, 0.0333, 0.0333.
    best = torch.log(torch.tensor([[14 / 15, 0.5 / 15, 0.5 / 15]]))
    floor = training_loss((best,), LABELS[:1], label_smoothing=0.1).item()
    assert floor == pytest.approx(0.291, abs=5e-4)
    assert F.cross_entropy(confident, LABELS[:1]).item() == pytest.approx(0)


def test_auxiliary_losses_are_added_with_their_weight_only_when_it_is_given():
    first, second = torch.zeros(2, 3), torch.log(torch.tensor([[3.0, 1.0, 1.0], [1.0, 3.0, 1.0]]))
    extra = math.log(3) + math.log(5 / 3)
    assert loss(LOGITS, first, second, auxiliary_weight=0.3) == pytest.approx(PLAIN + 0.3 * extra)
    assert loss(LOGITS, first, second) == pytest.approx(PLAIN)
    assert loss(LOGITS, auxiliary_weight=0.3) == pytest.approx(PLAIN)


def test_smoothing_and_weights_apply_to_auxiliary_outputs_too():
    how = {"label_smoothing": 0.1, "weight": torch.tensor([1.0, 3.0, 7.0])}
    single = loss(**how)
    assert loss(LOGITS, LOGITS, LOGITS, auxiliary_weight=0.5, **how) == pytest.approx(2 * single)


def test_the_loss_is_computed_in_fp32_whatever_the_logits_are():
    assert training_loss((LOGITS.bfloat16(),), LABELS).dtype is torch.float32


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_class_weights_have_mean_one_over_the_images(power: float):
    counts = [1000, 1000, 152]
    weight = class_weights(counts, power)
    assert sum(n * w for n, w in zip(counts, weight.tolist(), strict=True)) / sum(counts) == pytest.approx(1)
    assert weight[2] / weight[0] == pytest.approx((1000 / 152) ** power)


def test_class_weights_by_hand():
    # counts 1 and 3 at power 1: raw 1 and 1/3, mean over four images (1 + 3/3) / 4 = 1/2.
    assert class_weights([1, 3], 1.0).tolist() == pytest.approx([2.0, 2 / 3])
    assert class_weights([1, 3], 0.0).tolist() == [1.0, 1.0]


def test_an_empty_class_can_not_be_weighted():
    with pytest.raises(InvalidValue, match=r"\[3, 0\]"):
        class_weights([3, 0], 0.5)


def test_the_description_names_what_is_in_force_and_nothing_else():
    assert describe_loss() == "cross-entropy"
    everything = describe_loss(weight=torch.tensor([2.0, 0.5]), label_smoothing=0.1, auxiliary_weight=0.3)
    assert everything == "cross-entropy, smoothing 0.1, class weights 2 0.5, auxiliary 0.3"
