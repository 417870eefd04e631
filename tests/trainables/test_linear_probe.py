"""The solved head against scikit-learn's, and a trial that starts from it."""

import numpy as np
import pytest
import torch
from pictures import trial_data
from sklearn.linear_model import LogisticRegression
from torch.nn import functional as F

from trainables.config import TrialConfig
from trainables.data.batches import epoch_order
from trainables.errors import Diverged
from trainables.linear_probe import scales, solve
from trainables.setting import ComputeConfig
from trainables.training import TrainingRun


@pytest.fixture(scope="module")
def problem():
    """Features of three overlapping classes on very different scales, one of them constant; their labels."""
    random = np.random.default_rng(0)
    labels = random.choice(3, 240, p=[0.5, 0.4, 0.1])
    raw = random.normal(size=(240, 12)) + 0.8 * np.eye(3)[labels] @ random.normal(size=(3, 12))
    raw = raw * 10.0 ** random.integers(-1, 2, 12) + 5.0
    raw[:, 4] = 7.0
    return torch.from_numpy(raw).float(), torch.from_numpy(labels)


@pytest.mark.parametrize("l2", [1e-3, 1e-1])
def test_it_answers_as_scikit_learn_does(problem, l2):
    features, labels = problem
    weights, biases = solve(features, labels, 3, l2=l2)
    scaled = ((features.double() - features.double().mean(0)) / scales(features.double())).numpy()
    peer = LogisticRegression(C=1 / (l2 * len(labels)), tol=1e-9, max_iter=5000).fit(scaled, labels.numpy())
    found = F.linear(features.double(), weights.double(), biases.double()).softmax(1).numpy()
    np.testing.assert_allclose(found, peer.predict_proba(scaled), atol=2e-4)


def test_smoothing_and_class_weights_are_part_of_what_is_solved(problem):
    features, labels = problem
    weight = torch.tensor([0.5, 1.0, 4.0])
    weights, biases = solve(features, labels, 3, l2=0.05, weight=weight, label_smoothing=0.1)
    scale = scales(features.double())
    own = (weights.double() * scale).requires_grad_(True)
    centred = (features.double() - features.double().mean(0)) / scale
    bias = (biases.double() + weights.double() @ features.double().mean(0)).requires_grad_(True)
    loss = F.cross_entropy(F.linear(centred, own, bias), labels, weight=weight.double(), label_smoothing=0.1)
    (loss + 0.025 * own.square().sum()).backward()
    assert own.grad.abs().max() < 1e-4
    assert bias.grad.abs().max() < 1e-4


def test_a_start_elsewhere_ends_in_the_same_place(problem):
    features, labels = problem
    fresh = solve(features, labels, 3, l2=0.02)
    warm = solve(features, labels, 3, l2=0.02, start=solve(features, labels, 3, l2=1.0))
    logits = [F.linear(features.double(), *(part.double() for part in found)) for found in (fresh, warm)]
    torch.testing.assert_close(logits[0], logits[1], atol=2e-3, rtol=0)


def test_features_are_divided_by_their_deviation_or_by_the_typical_one():
    features = torch.tensor([[0.0, 0.0, 5.0], [8.0, 0.1, 5.0]]).double()
    typical = ((4.0**2 + 0.05**2) / 3) ** 0.5
    np.testing.assert_allclose(scales(features), [4.0, typical, typical])
    assert scales(torch.ones(3, 2).double()).tolist() == [1.0, 1.0]


def test_a_feature_that_hardly_varies_in_training_does_not_drown_the_others_elsewhere():
    random = np.random.default_rng(0)
    labels = torch.from_numpy(random.integers(0, 2, 60))
    useful = torch.from_numpy(random.normal(size=(60, 8))).float() + 1.5 * labels[:, None]
    hidden = torch.full((60, 1), 0.0)
    hidden[0] = 1e-3
    weights, biases = solve(torch.cat([useful, hidden], 1), labels, 2, l2=0.01)
    # Elsewhere that feature is as large as the others.
    seen = torch.cat([useful, torch.ones(60, 1)], 1)
    assert F.cross_entropy(F.linear(seen, weights, biases), labels) < 0.3


def test_a_feature_that_never_varies_weighs_nothing(problem):
    weights, _ = solve(*problem, 3, l2=0.01)
    assert weights[:, 4].abs().max() == 0


def probing(folder, **parameters):
    values = {
        "model": "resnet18",
        "strategy": "probe_then_full",
        "batch_size": 4,
        "max_epochs": 3,
        "probe_l2": 0.05,
    }
    return TrainingRun(TrialConfig.resolve({**values, **parameters}), trial_data(folder), ComputeConfig(32))


def gradient(run, l2):
    """Of the trial's criterion on the frozen features of epoch 1 by the head, the penalty included."""
    run.classifier.eval()
    with torch.no_grad():
        batches = [(run._step.pooled(inputs).float(), labels) for inputs, labels in run.loader.train(1)]
    pooled, labels = (torch.cat(parts).double() for parts in zip(*batches, strict=True))
    linear = run.classifier.head[-1]
    scale = scales(pooled)
    weights = (linear.weight.detach().double() * scale).requires_grad_(True)
    biases = linear.bias.detach().double() + linear.weight.detach().double() @ pooled.mean(0)
    logits = F.linear((pooled - pooled.mean(0)) / scale, weights, biases)
    loss = F.cross_entropy(logits, labels.long(), label_smoothing=run.config.label_smoothing)
    (loss + 0.5 * l2 * weights.square().sum()).backward()
    return weights.grad.abs().max().item()


def test_the_first_epoch_leaves_the_solved_head_and_the_backbone_as_it_was(tmp_path):
    run = probing(tmp_path, label_smoothing=0.1)
    before = {name: value.clone() for name, value in run.classifier.backbone.state_dict().items()}
    first = run.step()
    after = run.classifier.backbone.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert gradient(run, 0.05) < 1e-4
    assert first.full_epochs == 0
    assert first.train_loss < np.log(3)
    run.step()
    assert not torch.equal(run.classifier.backbone.state_dict()["conv1.weight"], before["conv1.weight"])


def test_it_is_solved_alike_in_parts_and_goes_on_from_a_checkpoint(tmp_path):
    whole, parted = probing(tmp_path), probing(tmp_path)
    parted.split_batches(4)
    assert parted.step().val_loss == pytest.approx(whole.step().val_loss, abs=1e-4)
    resumed = probing(tmp_path)
    resumed.load_state_dict(whole.state_dict())
    assert resumed.step().val_loss == whole.step().val_loss


def test_features_that_are_not_finite_are_a_divergence(tmp_path):
    run = probing(tmp_path)
    with torch.no_grad():
        run.classifier.backbone.conv1.weight.fill_(float("nan"))
    with pytest.raises(Diverged, match="features of the frozen backbone"):
        run.step()


def test_a_linear_probe_is_complete_after_one_epoch_on_pictures_as_validation_sees_them(tmp_path):
    run = probing(tmp_path, strategy="linear_probe", max_epochs=9, patience=5, ema_decay=0.9)
    before = {name: value.clone() for name, value in run.classifier.backbone.state_dict().items()}
    [metrics] = run.epochs()
    assert (run.finished, run.best_epoch, metrics.full_epochs) == ("completed", 1, 1)
    after = run.classifier.backbone.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    run.classifier.eval()
    with torch.no_grad():
        batches, labels = run.loader.plain(1)
        logits = torch.cat([run._outputs(images)[0] for images in batches])
    assert F.cross_entropy(logits, labels).item() == pytest.approx(metrics.train_loss, abs=1e-4)
    assert labels.tolist() == run.data.train_labels.tolist()


def test_a_linear_probe_does_not_depend_on_its_seed_nor_on_what_has_no_part_in_it(tmp_path):
    one, other = (
        probing(tmp_path, strategy="linear_probe", **own).step()
        for own in ({}, {"seed": 7, "augmentation": "strong", "learning_rate": 1e-5, "batch_size": 8})
    )
    assert other.scores == one.scores


def test_a_linear_probe_keeps_its_head_alone_and_goes_on_as_finished(tmp_path):
    run = probing(tmp_path, strategy="linear_probe")
    run.step()
    state = run.state_dict()
    assert all(name.startswith("head.") for name in state["weights"])
    resumed = probing(tmp_path, strategy="linear_probe")
    resumed.load_state_dict(state)
    assert list(resumed.epochs()) == []
    assert torch.equal(resumed.classifier.head[-1].weight, run.classifier.head[-1].weight)


def test_a_weighted_sampler_says_how_often_a_linear_probe_sees_an_image(tmp_path):
    run = probing(tmp_path, strategy="linear_probe", sampler="weighted")
    batches, labels = run.loader.plain(1)
    assert sum(len(images) for images in batches) == len(labels) == len(run.data.train_rows)
    order = np.sort(epoch_order(run.data.train_labels, "weighted", run.config.seed, 1))
    assert labels.tolist() == run.data.train_labels[order].tolist() != run.data.train_labels.tolist()
