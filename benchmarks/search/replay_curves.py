"""Recorded learning curves as a problem that a search can be replayed on: configuration in, whole curve out.

A Gaussian process learns what is expected of a configuration's epochs; around it is drawn the noise
that the file shows: from trial to trial, from epoch to epoch, and between what validation says and what is true.
`check` leaves configurations out and says how far off the process is.
"""

import functools
import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import KFold

from benchmarks.search.curve_process import CurveProcess, Noise, without_luck
from benchmarks.search.recorded_curves import CEILING, Recorded
from trainables import epoch_cost, models, strategies
from trainables.config import CHOICES, TrialConfig
from trainables.optim import cosine_factor

NEVER = 10_000
"""Stands for the epoch of an unfreeze that does not come."""

LATE = 5
"""Last epochs of a curve from which levels and scatter are measured."""


@dataclass(frozen=True)
class Curve:
    """What a trial would report epoch by epoch; its losses without noise, by which it is judged in the end; its cost.

    `full_epochs` count from the last unfreeze; `seconds` are an epoch's on one worker.
    """

    values: tuple[float, ...]
    full_epochs: tuple[int, ...]
    expected: tuple[float, ...]
    seconds: tuple[float, ...]


@dataclass(frozen=True)
class Seconds:
    """What an epoch takes: `full` for one that trains everything, `cached` for one on kept features."""

    full: float
    cached: float

    def of(self, config: TrialConfig) -> tuple[float, ...]:
        """Each epoch of `config`, between the two in proportion to what it trains."""
        costs = (epoch_cost.epoch_cost(config, epoch) for epoch in range(1, config.max_epochs + 1))
        return tuple(self.cached + (self.full - self.cached) * cost for cost in costs)


UNKNOWN_SECONDS = Seconds(1.0, 0.02)


class Surrogate:
    """Curves of any configuration of the space, learned from recorded ones."""

    def __init__(self, recorded: Sequence[Recorded]) -> None:
        found = noise_of(recorded)
        self.seconds = seconds_of(recorded)
        self.process = _learn(recorded, found)
        # Where no seed was repeated, a trial's luck is what the process could not explain by the configuration.
        self.noise = found if found.trial is not None else replace(found, trial=self.process.shape.persistent)
        self._known: dict[str, np.ndarray] = {}

    def expected(self, config: TrialConfig) -> np.ndarray:
        """Losses [max_epochs] without noise."""
        key = _key(config)
        if key not in self._known:
            logarithms = np.minimum(self.process.predict(features(config)), np.log(CEILING))
            self._known[key] = np.exp(logarithms)
        return self._known[key]

    def curve(self, config: TrialConfig, trial: int = 0) -> Curve:
        """The whole curve of a `trial` of `config`: another trial of the same has other luck, but the same bias."""
        expected = self.expected(config)
        bias, _ = _drawn(_key(config), 1)
        luck, scatter = _drawn(f"{trial} {_key(config)}", len(expected))
        noise = self.noise
        around = (noise.split or 0.0) * bias + (noise.trial or 0.0) * luck + noise.epoch * scatter
        values = np.minimum(expected * np.exp(around), CEILING)
        return Curve(
            tuple(values.tolist()), full_epochs(config), tuple(expected.tolist()), self.seconds.of(config)
        )


class Nearest:
    """The curve of the nearest of `recorded` with the same strategy, as it was recorded."""

    def __init__(self, recorded: Sequence[Recorded]) -> None:
        seconds = seconds_of(recorded)
        self._curves = [as_recorded(item, seconds) for item in recorded]
        self._strategies = np.array([item.config.strategy for item in recorded])
        self._points = np.stack([_parameters(item.config) for item in recorded])

    def curve(self, config: TrialConfig, trial: int = 0) -> Curve:
        """The recorded curve nearest to `config`, whatever the trial."""
        distances = np.square(self._points - _parameters(config)).sum(axis=1)
        distances[self._strategies != config.strategy] = np.inf
        return self._curves[int(distances.argmin())]


def as_recorded(item: Recorded, seconds: Seconds) -> Curve:
    """The first curve of `item` as it was; its expected losses are the mean of all."""
    expected = tuple(item.known.mean(0).tolist())
    return Curve(tuple(item.values[0].tolist()), full_epochs(item.config), expected, seconds.of(item.config))


def noise_of(recorded: Sequence[Recorded]) -> Noise:
    """The noise that the recordings show; a part that they can't show is null.

    From epoch to epoch: second differences of the last epochs. From seed to seed: the levels of a configuration's
    curves. Between validation and truth: what is left of the difference between validation and test beside a straight
    line, half of whose variance is the validation images'.
    """
    epoch = _scatter(recorded)
    levels = [logs(item.values)[:, -LATE:].mean(1) for item in recorded]
    repeated = [own for own in levels if len(own) > 1]
    trial = split = None
    if repeated:
        within = sum(float(((own - own.mean()) ** 2).sum()) for own in repeated)
        variance = within / sum(len(own) - 1 for own in repeated)
        trial = max(variance - epoch**2 / LATE, 0.0) ** 0.5
    tested = [item for item in recorded if item.tests is not None]
    if len(tested) > FEWEST_FOR_A_LINE:
        truth = np.array([logs(item.tests)[:, -LATE:].mean() for item in tested])
        found = np.array([logs(item.values)[:, -LATE:].mean() for item in tested])
        rest = found - np.polyval(np.polyfit(truth, found, 1), truth)
        # Of a seed's luck that test and validation do not share each has its part in the rest; it is small and stays.
        split = float((rest.var(ddof=2) / 2) ** 0.5)
    return Noise(epoch, trial, split)


FEWEST_FOR_A_LINE = 10


def seconds_of(recorded: Sequence[Recorded]) -> Seconds:
    """Medians over the epochs that train everything, and over those on kept features."""
    full, cached = [], []
    for item in recorded:
        if item.seconds is None:
            continue
        for epoch in range(1, item.config.max_epochs + 1):
            cost = epoch_cost.epoch_cost(item.config, epoch)
            if cost in (0.0, 1.0):
                (full if cost else cached).extend(item.seconds[:, epoch - 1])
    if not full or not cached:
        return UNKNOWN_SECONDS
    return Seconds(float(np.nanmedian(full)), float(np.nanmedian(cached)))


def check(recorded: Sequence[Recorded], folds: int = 10) -> dict[str, float]:
    """How far off curves of unseen configurations are, in log loss, by `folds`-fold cross-validation.

    Root mean square error and explained share over all epochs for the process, whose shape is that of all
    configurations, and for the nearest neighbour, and the rank correlation of the process's best losses with the
    recorded ones. No process can be nearer than the noise of what was recorded.
    """
    truth, process, nearest, best = [], [], [], []
    noise = noise_of(recorded)
    shape = _learn(recorded, noise).shape
    for known, unknown in KFold(folds, shuffle=True, random_state=0).split(np.arange(len(recorded))):
        others = [recorded[i] for i in known]
        learned, neighbours = _learn(others, noise, shape), Nearest(others)
        for item in (recorded[i] for i in unknown):
            guess = learned.predict(features(item.config))
            truth.append(logs(item.known).mean(0))
            process.append(guess)
            nearest.append(logs(np.array(neighbours.curve(item.config).expected)))
            best.append((item.level, guess.min()))
    spread = float(np.concatenate(truth).var())
    errors = {
        name: float(np.square(np.concatenate(guesses) - np.concatenate(truth)).mean())
        for name, guesses in (("process", process), ("nearest neighbour", nearest))
    }
    ranks = pd.DataFrame(best).corr("spearman").iloc[0, 1]
    return {
        **{f"rmse of the {name}": error**0.5 for name, error in errors.items()},
        **{f"explained by the {name}": 1 - error / spread for name, error in errors.items()},
        "rank correlation of best losses": float(ranks),
    }


def _learn(recorded: Sequence[Recorded], noise: Noise, shape: Any = None) -> CurveProcess:
    rows = [features(item.config) for item in recorded]
    losses = [logs(item.known).mean(0) for item in recorded]
    if all(item.expected is not None for item in recorded):
        noise = without_luck(noise)
    return CurveProcess.learn(rows, losses, [len(item.known) for item in recorded], noise, shape)


def _key(config: TrialConfig) -> str:
    return repr([value for name, value in asdict(config).items() if name != "seed"])


def _drawn(key: str, count: int) -> tuple[float, np.ndarray]:
    """A standard normal number, and `count` others, that follow from `key`."""
    digest = hashlib.sha256(key.encode()).digest()
    numbers = np.random.default_rng(int.from_bytes(digest[:8], "little")).normal(size=count + 1)
    return float(numbers[0]), numbers[1:]


def full_epochs(config: TrialConfig) -> tuple[int, ...]:
    """Epochs since the last unfreeze, for every epoch of `config`."""
    last = strategies.last_unfreeze(config, models.num_stages(config.model))
    return tuple(max(0, epoch - last + 1) for epoch in range(1, config.max_epochs + 1))


def logs(losses: np.ndarray) -> np.ndarray:
    """Logarithms of losses, cut off where they diverged."""
    return np.log(np.clip(losses, 1e-6, CEILING))


def features(config: TrialConfig) -> np.ndarray:
    """What the surrogate sees of every epoch of `config`: [max_epochs, d]."""
    first, last = _unfreezes(config)
    fixed = _parameters(config)
    rows = []
    head, backbone = 0.0, 0.0
    for epoch in range(1, config.max_epochs + 1):
        head_rate = config.learning_rate * _decay(config, epoch, 1)
        backbone_rate = config.backbone_rate * _decay(config, epoch, first) if epoch >= first else 0.0
        head, backbone = head + head_rate, backbone + backbone_rate
        amounts = [np.log10(max(amount, 1e-8)) for amount in (head_rate, backbone_rate, head, backbone)]
        clock = [epoch, max(0, epoch - first + 1), max(0, epoch - last + 1)]
        rows.append(np.concatenate([fixed, clock, amounts]))
    return np.stack(rows)


def _decay(config: TrialConfig, epoch: int, started: int) -> float:
    """Share of its base rate that a group has in the middle of `epoch`; plateau's reductions depend on the curve."""
    if config.schedule == "step":
        return float((config.gamma or 1.0) ** ((epoch - started) // (config.step_size or 1)))
    if config.schedule == "cosine":
        length = config.max_epochs - started + 1
        warmup = min(config.warmup_epochs or 0, length / 2)
        return cosine_factor(epoch - started + 0.5, warmup, length)
    return 1.0


@functools.lru_cache(maxsize=4096)
def _unfreezes(config: TrialConfig) -> tuple[int, int]:
    """Epochs of the backbone's first and last unfreeze."""
    if config.strategy == "feature_extractor":
        return NEVER, NEVER
    first = (config.unfreeze_at or 0) + 1
    return first, strategies.last_unfreeze(config, models.num_stages(config.model))


def _parameters(config: TrialConfig) -> np.ndarray:
    """Parameters as numbers of about equal spread, one-hot for choices."""
    moving = config.strategy != "feature_extractor"
    numbers = [
        np.log10(config.learning_rate) / 3,
        np.log10(config.backbone_rate) / 4 if moving else -3.0,
        np.log10(config.weight_decay + 1e-8) / 5,
        config.label_smoothing * 5,
        config.class_weight_power,
        config.dropout * 2,
        (config.unfreeze_at or 0) / 5,
        np.log10(config.stage_decay or 1.0),
        np.log10(config.auxiliary_weight or 0.01) / 2,
        np.log10(config.gamma or config.plateau_factor or 1.0),
        (config.step_size or config.plateau_patience or 0) / 10,
    ]
    known = {**CHOICES, "strategy": strategies.names()}
    chosen = [
        float(getattr(config, name) == choice)
        for name in ("schedule", "sampler", "strategy")
        for choice in known[name]
    ]
    return np.array([*numbers, *chosen])


def _scatter(recorded: Sequence[Recorded]) -> float:
    """Standard deviation of log losses around a locally straight curve, from second differences of later epochs."""
    seconds = np.concatenate([np.diff(logs(item.values)[:, -LATE:], n=2).ravel() for item in recorded])
    # The median, since an unfreeze or a lower rate is a kink and no scatter. A second difference has six times
    # the variance.
    return float(np.median(np.abs(seconds)) / 0.6745 / 6**0.5)
