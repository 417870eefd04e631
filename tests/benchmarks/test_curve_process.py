"""The process over curves is put together in parts, with the numbers of the whole."""

import numpy as np
import torch

from benchmarks.search import curve_process
from benchmarks.search.curve_process import CurveProcess, Noise, Shape, _covariance, _tensors, _whole

NOISE = Noise(0.05, 0.2, 0.1)
SHAPE = Shape(0.5, np.array([1.0, 2.0, 3.0]), 0.2, 0.05)


def test_the_covariance_in_parts_is_the_covariance(monkeypatch):
    random = np.random.default_rng(0)
    rows, curve = torch.from_numpy(random.normal(size=(50, 3))), np.repeat(np.arange(10), 5)
    shares = 1 / random.integers(1, 4, 10).astype(float)[curve]
    monkeypatch.setattr(curve_process, "ROWS_AT_ONCE", 7)
    parts = _whole(rows, curve, shares, NOISE, _tensors(SHAPE))
    assert torch.equal(parts, _covariance(rows, curve, shares, NOISE, _tensors(SHAPE)))


def test_what_is_predicted_in_parts_is_what_is_predicted_at_once(monkeypatch):
    random = np.random.default_rng(1)
    features = [random.normal(size=(4, 3)) for _ in range(6)]
    process = CurveProcess.learn(features, [random.normal(size=4) for _ in range(6)], [1] * 6, NOISE, SHAPE)
    asked = random.normal(size=(11, 3))
    at_once = process.predict(asked)
    monkeypatch.setattr(curve_process, "ASKED_AT_ONCE", 3)
    np.testing.assert_allclose(process.predict(asked), at_once, rtol=1e-12)
