"""Files of recorded learning curves, as `record_curves` writes them.

A file has a row an epoch: `configuration`, `epoch`, `val_loss`, the configuration's fields; and optionally `seed`
(several seeds of a configuration have equal parameters), `test_loss`, `expected` (the loss without noise) and
`epoch_seconds`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from trainables.config import FIELDS, TrialConfig, plain_type

CEILING = 5.0
"""Nats above which one bad epoch is as bad as another."""


@dataclass(frozen=True)
class Recorded:
    """One configuration and its curves: losses [repeats, epochs], those of the test and without noise if recorded."""

    config: TrialConfig
    values: np.ndarray
    tests: np.ndarray | None
    expected: np.ndarray | None
    seconds: np.ndarray | None

    @property
    def level(self) -> float:
        """The lowest of the epochs' mean losses."""
        return float(self.known.mean(0).min())

    @property
    def known(self) -> np.ndarray:
        """The losses to learn from [repeats, epochs]: those without noise where there are any."""
        return self.values if self.expected is None else self.expected


def read(path: Path) -> list[Recorded]:
    """Every recorded configuration, in the order of recording."""
    frame = pd.read_parquet(path)
    return [_recorded(part) for _, part in frame.groupby("configuration", sort=True)]


def made(path: Path) -> dict[str, Any]:
    """How the file was made, from its metadata; empty where it does not say."""
    content: dict[str, Any] = json.loads((pq.read_schema(path).metadata or {}).get(b"made", b"{}"))
    return content


def _recorded(part: pd.DataFrame) -> Recorded:
    row: Mapping[str, Any] = part.iloc[0].to_dict()
    config = TrialConfig(**{name: _plain(name, row[name]) for name in FIELDS if name in row})
    repeats = [own.sort_values("epoch") for _, own in part.groupby("seed", sort=False)]
    return Recorded(
        config,
        _losses(repeats, "val_loss", config),
        _losses(repeats, "test_loss", config) if _has(part, "test_loss") else None,
        _losses(repeats, "expected", config) if _has(part, "expected") else None,
        _filled(repeats, "epoch_seconds", config, np.nan) if _has(part, "epoch_seconds") else None,
    )


def _has(part: pd.DataFrame, column: str) -> bool:
    return column in part and bool(part[column].notna().any())


def _losses(repeats: Sequence[pd.DataFrame], column: str, config: TrialConfig) -> np.ndarray:
    found = _filled(repeats, column, config, CEILING)
    return np.minimum(np.where(np.isfinite(found), found, CEILING), CEILING)


def _filled(repeats: Sequence[pd.DataFrame], column: str, config: TrialConfig, rest: float) -> np.ndarray:
    """[repeats, max_epochs]; a trial that diverged has `rest` after its end."""
    rows = [[float(value) for value in own[column].fillna(np.nan)] for own in repeats]
    return np.array([[*row, *[rest] * (config.max_epochs - len(row))] for row in rows])


def _plain(name: str, value: Any) -> Any:
    """A value of the file as the config's field has it; pandas knows no whole number beside a null."""
    if value is None or value is pd.NA or value != value:
        return None
    if plain_type(FIELDS[name]) is int:
        return int(value)
    return value.item() if isinstance(value, np.generic) else value
