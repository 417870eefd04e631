"""The run directory: its only reader and writer.

    run.yaml                 all that defines the run: space, data fingerprint, weights, seeds, versions, hardware
    split.parquet            path, label, group, split (train, val, test)
    images.parquet           path, pixels: hash of every image's pixels, by which a changed image is noticed
    probe.json               what a probe of backbones showed, if there was one
    probe/<model>@<px>.npz   its heads, and their answers to the images that they have not seen
    similar-groups.csv       path, group: groups that were proposed from similar pictures, if these were asked for
    study.journal            Optuna's journal, from which trials.parquet can be made anew
    epochs/<trial>.parquet   one row an epoch
    losses/<trial>.calibrated.npy  the loss of each validation image, one row an epoch; with 4,096 such images at most
    trials.parquet           one row a trial
    weights/<trial>.safetensors    best weights of the kept trials only
    judged.parquet           what all images say of the best trials, each answered by a model that has not seen it
    out_of_fold/<trial>.<epoch>.npy    these answers
    alive/<trial>/           resume state of trials that are not finished
    failures/<trial>.txt     traceback of a failed trial
    best.yaml  report/       the best configuration, the final comparison

Every file is written under a temporary name, flushed to disk and renamed, so a reader never sees half of one.
"""

import contextlib
import json
import os
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainables.config import CROP
from trainables.data.split import Split
from trainables.errors import RunProblem
from trainables.locks import LockHeld, is_locked, locked
from tuner.runs.trial_table import epochs_schema, trials_schema

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd
    import pyarrow as pa

PROBE = "probe.json"

PATIENCE_S = 0.5
"""So long one waits for a run's lock: who only looks whether it is held holds it for an instant."""


def fit_of(record: Mapping[str, Any]) -> str:
    """How a run or a probe makes squares of pictures, by its record; those from before there was a choice cropped."""
    return str(record.get("fit", CROP))


class Run:
    """A run directory."""

    def __init__(self, path: Path) -> None:
        """Bind to `path` without touching the disk."""
        self.path = path

    @staticmethod
    def require_free(path: Path) -> None:
        """Raise RunProblem if `path` is taken."""
        if path.exists():
            raise RunProblem(
                f"{path} exists already; choose another --name, or go on with: tuner resume {path}"
            )

    @classmethod
    def create(cls, path: Path, record: Mapping[str, Any]) -> "Run":
        """A new run directory with its `run.yaml`; raises RunProblem if `path` is taken."""
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            cls.require_free(path)
            raise
        run = cls(path)
        for folder in ("epochs", "losses", "weights", "alive", "failures"):
            (path / folder).mkdir()
        run.write_yaml("run.yaml", record)
        return run

    @classmethod
    def open(cls, path: Path) -> "Run":
        """The run at `path`; raises RunProblem if there is none."""
        if not (path / "run.yaml").is_file():
            raise RunProblem(f"{path} is not a run directory: it has no run.yaml")
        return cls(path)

    @contextlib.contextmanager
    def owned(self) -> Iterator[None]:
        """Hold the run's lock, which a process that dies does not keep.

        Raises RunProblem if another process holds it.
        """
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(locked(self._lock, PATIENCE_S))
            except LockHeld:
                raise RunProblem(
                    f"{self.path} is in use by another process; wait for it or stop it first"
                ) from None
            yield

    @property
    def in_use(self) -> bool:
        """Whether some process holds the run's lock, as far as the file system shows it here."""
        return is_locked(self._lock)

    @property
    def _lock(self) -> Path:
        return self.path / "run.lock"

    @property
    def record(self) -> dict[str, Any]:
        """What `run.yaml` says; raises RunProblem if it can't be read."""
        return read_yaml(self.path / "run.yaml")

    @property
    def journal(self) -> Path:
        """Optuna's journal file."""
        return self.path / "study.journal"

    def weights(self, trial_id: str) -> Path:
        """Where the best weights of a kept trial are."""
        return self.path / "weights" / f"{trial_id}.safetensors"

    @property
    def judged_file(self) -> Path:
        """Where the judgement of all images is, if there was one."""
        return self.path / "judged.parquet"

    def judged(self) -> "pd.DataFrame | None":
        """One row a trial that all images, or many, have judged, the chosen one first; None where there was no such."""
        import pandas as pd

        return pd.read_parquet(self.judged_file) if self.judged_file.exists() else None

    def head(self, model: str, image_size: int) -> Path:
        """Where the heads that the probe solved for a backbone at a side are."""
        return self.path / "probe" / f"{model.replace(':', '_').replace('/', '_')}@{image_size}.npz"

    def alive(self, trial_id: str) -> Path:
        """Folder of a living trial's resume state and of its best weights so far."""
        return self.path / "alive" / trial_id

    def sweep(self) -> None:
        """Remove what a search that was killed had begun to write; only for who owns the run.

        The state of living trials is left alone: other processes write it, and its folder ends with the trial.
        """
        for folder in (
            self.path,
            *(self.path / name for name in ("epochs", "losses", "weights", "failures")),
        ):
            for stale in folder.glob(".*.tmp"):
                stale.unlink(missing_ok=True)

    def split(self) -> "pd.DataFrame":
        """path, label, group, split: one row an image, ordered by path."""
        return self._read("split.parquet")

    def trials(self) -> "pd.DataFrame":
        """One row a finished trial; empty with the right columns before the first."""
        if not (self.path / "trials.parquet").exists():
            frame: pd.DataFrame = trials_schema().empty_table().to_pandas()
            return frame
        return self._read("trials.parquet")

    def epochs(self, trial_id: str | None = None) -> "pd.DataFrame":
        """One row an epoch of `trial_id`, or of every trial."""
        import pyarrow.parquet as pq

        if trial_id is None:
            parts = sorted((self.path / "epochs").glob("*.parquet"))
        else:
            parts = [part for part in [self.path / "epochs" / f"{trial_id}.parquet"] if part.exists()]
        schema = epochs_schema()
        # All at once: one by one ten thousand parts take three times as long.
        table = pq.read_table(parts, schema=schema, partitioning=None) if parts else schema.empty_table()
        frame: pd.DataFrame = table.to_pandas()
        return frame

    def update_record(self, **changes: Any) -> None:
        """Change entries of `run.yaml`."""
        self.write_yaml("run.yaml", {**self.record, **changes})

    def images_and_parts(self) -> Split:
        """The same with class numbers in the order of the run's classes."""
        return Split.of(self.split(), list(self.record["data"]["classes"]))

    def write_split(self, split: "pd.DataFrame") -> None:
        """Write `split.parquet`."""
        write_atomically(self.path / "split.parquet", lambda file: split.to_parquet(file, index=False))

    def images(self) -> dict[str, str]:
        """The hash of every image's pixels, by path."""
        frame = self._read("images.parquet")
        return dict(zip(frame["path"], frame["pixels"], strict=True))

    def write_images(self, hashes: Mapping[str, str]) -> None:
        """Write `images.parquet`."""
        import pyarrow as pa

        schema = pa.schema([("path", pa.string()), ("pixels", pa.string())])
        self._write_rows("images.parquet", [{"path": p, "pixels": h} for p, h in hashes.items()], schema)

    def probe(self) -> dict[str, Any] | None:
        """What a probe of backbones showed before the search, as `tuner probe --json` prints it; None without one."""
        try:
            return dict(json.loads((self.path / PROBE).read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None

    def write_probe(self, document: Mapping[str, Any]) -> None:
        """Write `probe.json`."""
        text = json.dumps(document, indent=1, allow_nan=False)
        write_atomically(self.path / PROBE, lambda file: file.write_text(text, encoding="utf-8"))

    def write_epochs(self, trial_id: str, epochs: Sequence[Mapping[str, Any]]) -> None:
        """Replace the part of `trial_id` by `epochs`, one mapping of EPOCH_COLUMNS each."""
        rows = [{"trial_id": trial_id, **epoch} for epoch in epochs]
        self._write_rows(f"epochs/{trial_id}.parquet", rows, epochs_schema())

    def write_losses(self, trial_id: str, losses: "npt.NDArray[np.float32]") -> None:
        """Replace the `losses` [epochs, images] of `trial_id`: nats, images as the validation rows of the split are."""
        import numpy as np

        def write(path: Path) -> None:
            with path.open("wb") as file:
                np.save(file, losses)

        # A run of an earlier version has no such folder.
        (self.path / "losses").mkdir(exist_ok=True)
        write_atomically(self._losses(trial_id), write)

    def losses(self, trial_id: str) -> "npt.NDArray[np.float32] | None":
        """What `write_losses` wrote, NaN in epochs whose losses nobody reported; None without a file."""
        import numpy as np

        try:
            found: npt.NDArray[np.float32] = np.load(self._losses(trial_id))
        except FileNotFoundError:
            return None
        return found

    def _losses(self, trial_id: str) -> Path:
        # Earlier versions kept plain losses in TRIAL.npy: they are not to be compared with these.
        return self.path / "losses" / f"{trial_id}.calibrated.npy"

    def write_trials(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Replace `trials.parquet` by `rows` as `flat_row` makes them."""
        self._write_rows("trials.parquet", list(rows), trials_schema())

    def write_yaml(self, name: str, content: Mapping[str, Any]) -> None:
        """Write `content` in the order of its keys, any script readable."""
        import yaml

        text = yaml.safe_dump(dict(content), sort_keys=False, allow_unicode=True, width=100)
        write_atomically(self.path / name, lambda file: file.write_text(text, encoding="utf-8"))

    def _read(self, name: str) -> "pd.DataFrame":
        import pandas as pd

        try:
            return pd.read_parquet(self.path / name)
        except (OSError, ValueError) as error:
            raise RunProblem(f"{self.path / name} can't be read: {error}") from error

    def _write_rows(self, name: str, rows: list[dict[str, Any]] | list[Any], schema: "pa.Schema") -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pa.Table.from_pylist(rows, schema=schema)
        write_atomically(self.path / name, lambda file: pq.write_table(table, file))


def rows_of(frame: "pd.DataFrame") -> list[dict[str, Any]]:
    """The rows of `frame`, each by column name."""
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file; raises RunProblem if there is none."""
    import yaml

    try:
        # The one of libyaml reads a record in less than a millisecond, that in Python takes four.
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        content = yaml.load(path.read_text(encoding="utf-8"), loader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RunProblem(f"{path} can't be read: {error}") from error
    if not isinstance(content, dict):
        raise RunProblem(f"{path} holds no settings")
    return content


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` make a temporary neighbour of `path`, flush it to disk and rename it."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        write(temporary)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
