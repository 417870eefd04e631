"""What is expected of backbones after fine-tuning, and which go on."""

import math
from dataclasses import replace

import pytest

from tuner.probing.outlook import GAIN, MOST, SPREAD, TIME_SHARE, WHOLE, Z90, chosen, outlooks
from tuner.probing.probed import Probed
from tuner.probing.sizes import Plan

ANY_TIME = Plan(100)


def row(model, loss, *, milliseconds=10.0, parameters=5_000_000):
    return Probed(
        *(model, None, None, parameters, 20.0, 8, milliseconds, None, 0.1),
        *(loss, None, None, 0.5, 0.5, 1.0, (loss,)),
        image_size=96,
        step_milliseconds=milliseconds,
    )


def names(found):
    return [one.model for one in found]


def test_of_backbones_that_are_known_alike_the_probe_decides():
    found = outlooks([row("timm:a_one", 0.3), row("timm:b_two", 0.2)], ANY_TIME)
    assert names(found) == ["timm:b_two", "timm:a_one"]
    assert found[0].low < found[0].expected < found[0].high
    assert found[0].high / found[0].expected == pytest.approx(math.exp(Z90 * SPREAD))


def test_of_backbones_that_the_probe_finds_alike_the_prior_decides():
    rows = [row("timm:resnet50.a1_in1k", 0.2), row("timm:vit_small_patch16_224.augreg_in21k_ft_in1k", 0.2)]
    found = outlooks(rows, ANY_TIME)
    assert names(found) == names(rows)[::-1]
    assert [one.basis for one in found] == ["measured", "measured"]


def test_an_impostor_of_a_good_name_is_found_out_by_the_probe():
    rows = [row("timm:vit_base_patch16_224.augreg2_in21k_ft_in1k", 0.6), row("timm:somenet", 0.2)]
    assert chosen(rows, ANY_TIME)[0] == "timm:somenet"


def test_fine_tuning_gains_as_much_on_average_as_it_did_where_it_was_measured():
    rows = [row("timm:a_one", 0.3), row("timm:b_two", 0.2)]
    found = outlooks(rows, ANY_TIME)
    mean = [math.prod(values) ** 0.5 for values in ([one.expected for one in found], [0.3, 0.2])]
    assert mean[0] == pytest.approx(GAIN * mean[1])


def test_a_backbone_without_time_to_train_stays_as_the_probe_found_it():
    quick, slow = row("timm:a_one", 0.3), row("timm:b_two", 0.2, milliseconds=10_000.0)
    found = {one.model: one for one in outlooks([quick, slow], Plan(100, 300.0))}
    assert found["timm:b_two"].epochs == 0
    assert found["timm:b_two"].expected == found["timm:b_two"].high == pytest.approx(0.2)
    assert found["timm:a_one"].epochs == WHOLE
    assert chosen([quick, slow], Plan(100, 300.0))[0] == "timm:a_one"


def test_three_go_on_and_fewer_where_time_is_short():
    rows = [row(f"timm:{name}_net", loss) for name, loss in (("a", 0.1), ("b", 0.2), ("c", 0.4), ("d", 0.8))]
    each = WHOLE * 100 * 10.0 / 1e3
    assert chosen(rows, ANY_TIME) == tuple(names(rows)[:MOST])
    for count in (1, 2, 3):
        assert len(chosen(rows, Plan(100, (count + 0.5) * each / TIME_SHARE))) == count
    assert len(chosen(rows, Plan(100, 1.0))) == 1
    assert chosen(rows[:1], ANY_TIME) == ("timm:a_net",)


def test_where_the_next_are_alike_another_family_comes_first():
    lites = [row(f"timm:tf_efficientnet_lite{size}", 0.2 + 0.001 * size) for size in range(3)]
    other, far = row("timm:regnetx_002", 0.22), row("timm:resnet18.a1_in1k", 2.0)
    assert "timm:regnetx_002" in chosen([*lites, other, far], ANY_TIME)
    assert "timm:resnet18.a1_in1k" not in chosen([*lites, other, far], ANY_TIME)


def test_losses_that_are_noise_count_alike():
    found = outlooks([row("timm:a_one", 1e-7), row("timm:b_two", 1e-4)], ANY_TIME)
    assert found[0].expected == pytest.approx(found[1].expected)
    assert replace(found[0], model="") == replace(found[1], model="")
