"""Records whole learning curves of random configurations of `recorded_space.py`, for `search_quality.py` to replay.

    python benchmarks/record_curves.py --data potato/ --groups potato-groups.csv --parts DIR

So that there is something to transfer, GoogLeNet is first trained for a few epochs from random weights on most
of the groups; every configuration then fine-tunes it on a few other groups and is validated on the rest, for ten
epochs that nobody cuts short. One row an epoch. What is recorded already is kept in part files in the folder
--parts, and a second call goes on.
"""

import argparse
import dataclasses
import json
import multiprocessing
import os
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch

import search_spaces
from search_spaces.sampling import sample_configs
from trainables.config import TrialConfig
from trainables.data.cache import ImageCache, build_cache
from trainables.data.scan import scan
from trainables.data.split import make_split, parse_fractions, read_groups
from trainables.errors import Diverged
from trainables.frozen_features import FeatureCache, FeatureKey
from trainables.inference import best_device, choose_precision
from trainables.setting import ComputeConfig
from trainables.training import TrainingRun, with_seed
from trainables.trial_data import TrialData, load_trial_data
from tuner.runs.directory import write_atomically

SPACE, MODEL = str(Path(__file__).with_name("recorded_space.py")), "googlenet"
MAX_EPOCHS = 10
RUN_SEED = 0


def load_images(options: argparse.Namespace) -> tuple[TrialData, TrialData]:
    """The images of the pretraining, validated on those that configurations train on; and those of the recording."""
    found = scan(options.data)
    groups = read_groups(found, options.groups, None)
    split = make_split(found, groups, parse_fractions(options.split), RUN_SEED)
    pixels = {image.path: image.pixels for image in found.images}
    paths = split["path"].tolist()
    path = build_cache(options.data, paths, [pixels[path] for path in paths], options.image_size)
    return _part(split, path, found.classes, "train", "val"), _part(split, path, found.classes, "val", "test")


def _part(split: pd.DataFrame, cache: Path, classes: Sequence[str], train: str, val: str) -> TrialData:
    named = split.assign(split=split["split"].map({train: "train", val: "val"}))
    rows = list(zip(named["path"], named["label"], named["split"], strict=True))
    return load_trial_data(ImageCache.open(cache), rows, classes)


def pretrain(data: TrialData, image_size: int, epochs: int, target: Path) -> float:
    """Train GoogLeNet from random weights, write its backbone under torchvision's names; the best val_accuracy."""
    config = TrialConfig.resolve(
        {"model": MODEL, "strategy": "full", "schedule": "cosine", "max_epochs": epochs, "patience": 0}
    )
    run = TrainingRun(config, data, compute_config("none", image_size))
    for metrics in run.epochs():
        print(f"pretraining: {metrics.epoch} {metrics.val_loss:.4f} {metrics.val_accuracy:.4f}", flush=True)
    state = {name: tensor.contiguous() for name, tensor in run.classifier.backbone.state_dict().items()}
    write_atomically(target, lambda path: torch.save(state, path))
    return max(metrics.val_accuracy for metrics in run.history)


def compute_config(weights: str, image_size: int) -> ComputeConfig:
    """Precision and device of this machine with the run's seed."""
    device = best_device()
    return ComputeConfig(image_size, weights, choose_precision("auto", device), RUN_SEED, device=device)


def configurations(count: int) -> list[TrialConfig]:
    """The space's first trials, then random ones, each with a seed of its own."""
    overrides = {"max_epochs": MAX_EPOCHS, "patience": 0}
    drawn = sample_configs(search_spaces.load(SPACE), overrides, {}, count)
    return [with_seed(config, number) for number, config in enumerate(drawn)]


def record(config: TrialConfig, data: TrialData, compute: ComputeConfig) -> pd.DataFrame:
    """One row an epoch: the parameters beside the metrics; a diverged trial ends in an infinite val_loss."""
    key = FeatureKey(
        model=MODEL,
        weights=compute.weights,
        run_seed=compute.run_seed,
        images=data.cache.path.name,
        image_size=compute.image_size,
        precision=compute.precision,
        device=compute.device.type,
    )
    run = TrainingRun(config, data, compute, FeatureCache(key, data.cache, compute.device, 2**31))
    rows = []
    try:
        rows.extend(dataclasses.asdict(metrics) for metrics in run.epochs())
    except Diverged:
        rows = [dataclasses.asdict(metrics) for metrics in run.history]
        rows.append({"epoch": run.epoch + 1, "val_loss": float("inf")})
    frame = pd.DataFrame(rows).drop(columns=["time", "learning_rate"], errors="ignore")
    return frame.assign(**dataclasses.asdict(config))


def work(worker: int, options: argparse.Namespace) -> None:
    """Record this worker's share of the configurations that have no part file yet, until the time is over."""
    os.nice(15)
    torch.set_num_threads(1)
    _, data = load_images(options)
    compute = compute_config(str(options.parts / "pretrained.pt"), options.image_size)
    for number, config in enumerate(configurations(options.configurations)):
        part = options.parts / f"{number:04d}.parquet"
        if number % options.workers != worker or part.exists() or time.time() > options.deadline:
            continue
        started = time.perf_counter()
        frame = record(config, data, compute)
        frame.insert(0, "configuration", number)
        write_atomically(part, lambda path, frame=frame: frame.to_parquet(path, index=False))
        best = frame["val_loss"].min()
        print(f"{number} {config.strategy} {best:.4f} {time.perf_counter() - started:.1f}s", flush=True)


def join(options: argparse.Namespace, made: dict[str, object]) -> None:
    """All parts as one file, which says in its metadata how it was made."""
    frames = [pd.read_parquet(part) for part in sorted(options.parts.glob("[0-9]*.parquet"))]
    frame = pd.concat([frame.dropna(axis=1, how="all") for frame in frames], ignore_index=True)
    for column in frame.select_dtypes("float64"):
        if column not in ("val_loss", "learning_rate", "backbone_learning_rate", "weight_decay"):
            frame[column] = frame[column].astype(np.float32)
    table = pa.Table.from_pandas(frame.convert_dtypes(), preserve_index=False)
    table = table.replace_schema_metadata({"made": json.dumps(made)})
    write_atomically(options.out, lambda path: pq.write_table(table, path, compression="zstd"))
    print(f"{options.out}: {frame['configuration'].nunique()} configurations, {len(frame)} epochs")


def main() -> None:
    """Pretrain, record, join."""
    options = arguments()
    options.parts.mkdir(parents=True, exist_ok=True)
    options.deadline = time.time() + 60 * options.minutes
    os.environ.setdefault("TUNER_CACHE_DIR", str(options.parts / "cache"))
    made_at = options.parts / "made.json"
    if not made_at.exists():
        torch.set_num_threads(1)
        data, kept = load_images(options)
        accuracy = pretrain(
            data, options.image_size, options.pretrain_epochs, options.parts / "pretrained.pt"
        )
        made = {
            "by": "benchmarks/record_curves.py",
            "space": Path(SPACE).stem,
            "max_epochs": MAX_EPOCHS,
            "image_size": options.image_size,
            "precision": compute_config("none", options.image_size).precision,
            "torch": torch.__version__,
            "pretraining": f"GoogLeNet from random weights, {options.pretrain_epochs} epochs on"
            f" {len(data.train_rows)} images; accuracy {accuracy:.3f} on the images that configurations train on",
            "data": f"{options.data.name}, {len(kept.train_rows)} images for training and {len(kept.val_rows)} for"
            f" validation of {', '.join(kept.classes)}; no group in two of pretraining, training and validation",
        }
        made_at.write_text(json.dumps(made), encoding="utf-8")
    context = multiprocessing.get_context("spawn")
    jobs = [context.Process(target=work, args=(worker, options)) for worker in range(options.workers)]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    join(options, json.loads(made_at.read_text(encoding="utf-8")))


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="image folder")
    parser.add_argument("--groups", type=Path, required=True, help="its groups file")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/curves.parquet"))
    parser.add_argument("--parts", type=Path, required=True, help="folder of part files")
    parser.add_argument("--configurations", type=int, default=240)
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument(
        "--split", default="0.7,0.16,0.14", help="shares of pretraining, training and validation"
    )
    parser.add_argument("--pretrain-epochs", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=40, help="start no configuration after this time")
    parser.add_argument("--workers", type=int, default=2)
    return parser.parse_args()


if __name__ == "__main__":
    main()
