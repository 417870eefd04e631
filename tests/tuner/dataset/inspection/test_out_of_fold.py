import numpy as np
import torch

from tuner.dataset.inspection.out_of_fold import out_of_fold


def test_an_image_is_judged_by_a_probe_that_has_not_seen_it():
    random = np.random.default_rng(0)
    labels = np.arange(90) % 3
    features = (np.eye(3)[labels] * 3 + random.normal(size=(90, 3))).astype(np.float32)
    wrong = labels.copy()
    wrong[:6] = (wrong[:6] + 1) % 3
    folds = torch.from_numpy(np.arange(90) // 3 % 5)
    found = out_of_fold(torch.from_numpy(features), torch.from_numpy(wrong), 3, folds)
    assert torch.allclose(found.sum(1), torch.ones(90).double())
    right = found.argmax(1).numpy() == labels
    assert right.mean() > 0.85
    assert right[:6].mean() > 0.6


def test_what_is_never_held_out_gets_no_probabilities():
    features, labels = torch.randn(12, 2), torch.arange(12) % 2
    folds = torch.tensor([0, 1, 2] * 3 + [-1, -1, -1])
    found = out_of_fold(features, labels, 2, folds)
    assert torch.isnan(found[9:]).all()
    assert torch.isfinite(found[:9]).all()
