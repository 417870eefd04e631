"""Mixed pictures, their labels' shares, and trials that train on them."""

import numpy as np
import pytest
import torch
from pictures import trial_data
from torch.nn import functional as F

from trainables.config import TrialConfig
from trainables.errors import InvalidValue
from trainables.mixing import Mixture, draw_mixture, mix
from trainables.setting import ComputeConfig
from trainables.training import TrainingRun


def run_of(folder, **parameters):
    values = {"model": "timm:test_resnet", "strategy": "full", "batch_size": 4, "max_epochs": 2}
    return TrainingRun(TrialConfig.resolve({**values, **parameters}), trial_data(folder), ComputeConfig(32))


def drawn(mixup, cutmix, count=2000):
    return [
        draw_mixture(mixup, cutmix, 3, epoch, batch) for epoch in range(1, 21) for batch in range(count // 20)
    ]


def test_nothing_is_drawn_where_nothing_is_to_be_mixed():
    assert draw_mixture(0.0, 0.0, 0, 1, 0) is None


def test_a_share_follows_beta_folded_at_a_half_and_the_seeds_alone():
    lam = np.array([mixture.lam for mixture in drawn(0.4, 0.0)])
    beta = np.random.default_rng(0).beta(0.4, 0.4, 200_000)
    for share in (0.1, 0.5, 0.9):
        assert np.quantile(lam, share) == pytest.approx(
            np.quantile(np.maximum(beta, 1 - beta), share), abs=0.02
        )
    assert draw_mixture(0.4, 0.0, 3, 2, 5) == draw_mixture(0.4, 0.0, 3, 2, 5)
    assert draw_mixture(0.4, 0.0, 4, 2, 5) != draw_mixture(0.4, 0.0, 3, 2, 5)


def test_with_both_each_is_drawn_for_half_of_the_batches():
    boxes = [mixture.box is not None for mixture in drawn(0.2, 1.0)]
    assert 0.45 < np.mean(boxes) < 0.55
    assert not any(mixture.box for mixture in drawn(0.2, 0.0, 100))
    assert all(mixture.box for mixture in drawn(0.0, 1.0, 100))


def test_mixup_adds_the_pictures_at_mirrored_places():
    images = torch.randint(0, 256, (3, 3, 8, 8), dtype=torch.uint8)
    mixed, lam = mix(images, Mixture(0.75))
    assert lam == 0.75
    expected = 0.75 * images.float() + 0.25 * images.flip(0).float()
    assert (mixed.float() - expected).abs().max() <= 0.5
    assert torch.equal(mixed[1], images[1])


def test_cutmix_takes_a_box_of_the_partner_and_its_area_is_its_share():
    images = torch.stack([torch.full((3, 8, 8), value, dtype=torch.uint8) for value in (10, 200)])
    mixed, lam = mix(images, Mixture(0.75, (0.5, 0.0, 1.0, 0.5)))
    assert lam == 0.75
    assert (mixed[0, :, :4, 4:] == 200).all()
    assert (mixed[0] == 10).float().mean() == 0.75
    assert images.unique().tolist() == [10, 200]


def test_a_box_is_as_large_as_its_share_wherever_it_is_not_clipped():
    for mixture in drawn(0.0, 1.0, 200):
        left, top, right, bottom = mixture.box
        assert 0 <= left <= right <= 1
        assert (right - left) * (bottom - top) <= 1 - mixture.lam + 1e-9
        if left > 0 and top > 0 and right < 1 and bottom < 1:
            assert (right - left) * (bottom - top) == pytest.approx(1 - mixture.lam)


@pytest.mark.parametrize("class_weight_power", [0.0, 1.0])
def test_the_loss_is_that_of_both_labels_by_their_shares(tmp_path, class_weight_power):
    run = run_of(tmp_path, mixup=0.4, class_weight_power=class_weight_power, dropout=0.0)
    inputs, labels = next(iter(run.loader.train(1)))
    mixed, labels, lam = run._mixed(inputs, labels, 1, 0)
    assert lam == draw_mixture(0.4, 0.0, 0, 1, 0).lam
    run.classifier.train()
    loss, logits = run._update(mixed, labels, lam)
    both = [F.cross_entropy(logits, own, weight=run._step.class_weights) for own in (labels, labels.flip(0))]
    assert float(loss) == pytest.approx(float(lam * both[0] + (1 - lam) * both[1]), rel=1e-5)


def test_parts_of_a_mixed_batch_have_the_loss_of_the_whole(tmp_path):
    losses = []
    for parts in (1, 2):
        run = run_of(tmp_path, cutmix=1.0, class_weight_power=0.5, dropout=0.0)
        run.split_batches(parts)
        run.classifier.eval()
        inputs, labels = next(iter(run.loader.train(1)))
        losses.append(float(run._update(*run._mixed(inputs, labels, 1, 0))[0]))
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_a_frozen_backbone_sees_plain_pictures_and_a_thawed_one_mixed(tmp_path):
    plain, mixing = (
        run_of(tmp_path, strategy="gradual_unfreeze", unfreeze_at=1, **more) for more in ({}, {"mixup": 1.0})
    )
    assert mixing.step().train_loss == plain.step().train_loss
    assert mixing.step().train_loss != plain.step().train_loss


def test_mixing_means_nothing_where_the_backbone_never_trains():
    with pytest.raises(InvalidValue, match=r"mixup=0\.2 has no meaning with strategy 'feature_extractor'"):
        TrialConfig.resolve({"model": "timm:test_resnet", "strategy": "feature_extractor", "mixup": 0.2})
