import numpy as np
import pandas as pd
import pytest

from benchmarks.quality.known_backbones import (
    RESULT,
    SIZE,
    TMLR,
    TMLR_MODELS,
    fit,
    predict,
    read_sweep,
)

NAMES = [f"net{number}" for number in range(12)]


def write(folder):
    """A published world: the error falls with the size and grows with ImageNet's; two rates, three runs each."""
    random = np.random.default_rng(0)
    millions, error = random.uniform(2, 90, 12), random.uniform(8, 25, 12)
    good = np.exp(-0.1 * np.log(millions) + 0.5 * np.log(error))
    runs = [
        {"dataset": name, "model_name": net, "error_rate": scale * value * factor, "fit_time": 1.0}
        for name, scale in (("pets", 0.03), ("planet", 0.02))
        for net, value in zip(NAMES, good, strict=True)
        for factor in (1.0, 1.0, 1.0, 2.0, 2.0, 2.0)
    ]
    pd.DataFrame(runs).to_csv(folder / "fastai_timm.csv", index=False)
    results = pd.DataFrame(
        {
            "model": [f"{net}.a1_in1k" for net in NAMES],
            "img_size": 224,
            "top1": 100 - error,
            "param_count": millions,
        }
    )
    results.to_csv(folder / "timm-results-imagenet-real.csv", index=False)
    return good


def test_the_formula_finds_what_the_sweep_was_made_of(tmp_path):
    good = write(tmp_path)
    sweep = read_sweep(tmp_path)
    assert sweep["pets"].to_numpy() == pytest.approx(0.03 * good[np.argsort(NAMES)])
    found = fit(sweep, RESULT)
    assert found["log_millions"] == pytest.approx(-0.1, abs=1e-6)
    assert found["log_error"] == pytest.approx(0.5, abs=1e-6)
    expected = predict(sweep, found)
    assert np.exp(expected - expected.mean()) == pytest.approx(
        sweep["pets"].to_numpy() / np.exp(np.log(sweep["pets"]).mean())
    )
    assert fit(sweep, SIZE)["spread"] > found["spread"]


def test_every_set_has_a_score_and_an_accuracy_of_every_network():
    for accuracies, scores in TMLR.values():
        assert len(accuracies) == len(scores) == len(TMLR_MODELS)
        assert all(0 < value < 1 for value in accuracies)
        assert all(value > 0 for value in scores)
