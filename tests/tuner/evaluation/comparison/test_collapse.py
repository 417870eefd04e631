"""A training that falls apart is said to, with the epoch and the likely reason."""

from types import SimpleNamespace

import pandas as pd
import pytest

from tuner.evaluation.comparison.collapse import collapse_sentence, fell_apart

HEAD, ALL = 3_843, 3_374_851


def curve(*epochs):
    """Epochs as (accuracy, loss, trained parameters)."""
    frame = pd.DataFrame(epochs, columns=["val_accuracy", "val_loss", "trainable_parameters"])
    return frame.assign(epoch=range(1, len(epochs) + 1))


FALLEN = curve((0.94, 0.2, HEAD), (0.53, 1.4, ALL), (0.6, 1.1, ALL))


def test_much_worse_after_unfreezing_is_a_collapse():
    found = fell_apart(FALLEN, 1)
    assert (found.epoch, found.worst_epoch, found.thawed) == (1, 2, True)
    assert (found.accuracy, found.worst) == (0.94, 0.53)


@pytest.mark.parametrize(
    "harmless",
    [
        curve((0.94, 0.2, HEAD), (0.90, 0.25, ALL)),
        curve((0.94, 0.2, HEAD), (0.78, 0.22, HEAD)),
        curve((0.94, 0.2, HEAD)),
        curve((0.94, 0.2, HEAD), (float("nan"), float("nan"), ALL)),
    ],
)
def test_noise_and_a_best_last_epoch_are_none(harmless):
    assert fell_apart(harmless, 1) is None


def test_it_is_said_in_words_and_of_ensembles_nothing():
    run = SimpleNamespace(epochs=lambda trial: FALLEN)
    one = SimpleNamespace(run=run, label="lite0 · full", members=None, row={"trial_id": "t", "best_epoch": 1})
    both = SimpleNamespace(
        run=run, label="ensemble", members={"t": 2}, row={"trial_id": "e", "best_epoch": None}
    )
    said = collapse_sentence([one, both])
    assert "lite0 · full got worse after epoch 1" in said
    assert "from 94 % to 53 % in epoch 2, when more of the network was trained" in said
    assert "Learning rates were too high or there were too few images" in said
    assert "feature_extractor and linear_probe" in said
    assert "ensemble" not in said
    assert collapse_sentence([both]) is None
