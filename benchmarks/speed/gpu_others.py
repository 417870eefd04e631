"""The parts `probe`, `fp16` and `deploy` of `gpu_search.py`."""

import math
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.speed.gpu_bound import graphed
from benchmarks.speed.gpu_contenders import CLASSES, Job, forget, seconds, training_run
from benchmarks.speed.gpu_packing import draw_folder
from trainables.folding import folded
from trainables.inference import autocast, choose_precision, placed

CANDIDATES = (
    "timm:mobilenetv4_conv_small.e2400_r224_in1k",
    "timm:convnext_atto.d2_in1k",
    "timm:tf_efficientnet_lite0.in1k",
    "timm:vit_tiny_patch16_224.augreg_in21k_ft_in1k",
    "timm:tf_efficientnetv2_b0.in1k",
    "timm:regnety_016.tv2_in1k",
    "timm:convnext_nano.in12k_ft_in1k",
    "timm:vit_small_patch16_224.augreg_in21k_ft_in1k",
    "timm:resnet50.a1_in1k",
    "googlenet",
)
"""Ten of the models that a probe looks at by default, small and large, of every family that differs in kind."""

BATCH = 128
"""Images of a batch of the feature cache, and of the bound."""

ALIKE = 1e-4
"""How far probabilities on a GPU may be from the processor's in fp32; what `tuner retrain` asks of its files."""


def measure_probe(images: int, size: int, names: Sequence[str], device: str) -> dict[str, Any]:
    """A whole probe of `names`, and of each the features of all images by themselves beside the forward bound."""
    from tuner.console.reporter import Reporter
    from tuner.dataset.config import DataConfig
    from tuner.probing.ranking import probe

    class Said(Reporter):
        def line(self, text: str) -> None:
            print(f"  {text}", flush=True)

        warn = line

    with tempfile.TemporaryDirectory(prefix="gpu-probe-") as place:
        folder = Path(place)
        os.environ["TUNER_CACHE_DIR"] = str(folder / "cache")
        asked = DataConfig(folder=draw_folder(folder / "images", images), weights="none", image_size=size)
        started = time.perf_counter()
        found = probe(asked, ",".join(names), Said())
        whole = time.perf_counter() - started
        print(f"  {len(found.rows)} candidates in {whole:.1f} s", flush=True)
        rows = {row.model: {"probe_s": row.seconds} for row in found.rows}
        for name in rows:
            rows[name] |= _features(name, asked, folder, device)
            print(f"  {name}: {_said(rows[name])}", flush=True)
    share = sum(row["bound_s"] for row in rows.values()) / sum(row["features_s"] for row in rows.values())
    return {"images": images, "whole_s": whole, "rows": rows, "share": share}


def _features(name: str, asked: Any, folder: Path, device: str) -> dict[str, float]:
    """Seconds of the features of all images in an empty feature cache, and of as many images by the forward bound."""
    from trainables import models
    from trainables.data.cache import ImageCache, build_cache
    from trainables.frozen_features import FeatureCache
    from trainables.setting import ComputeConfig
    from trainables.worker import as_worker

    where = torch.device(device)
    paths = sorted(str(path.relative_to(asked.folder)) for path in asked.folder.rglob("*.jpg"))
    cache = ImageCache.open(build_cache(asked.folder, paths, paths, asked.side()))
    precision = choose_precision("auto", where)
    compute = ComputeConfig(asked.side(), "none", precision, device=where)
    with as_worker(torch.get_num_threads()):
        classifier = placed(models.create(name, len(CLASSES), weights="none", dropout=0.0, seed=0), where)
        classifier.eval()
        rows = np.arange(len(cache))
        taken = []
        for _ in range(2):
            # The first time chooses kernels; a probe pays for that, too.
            bank = FeatureCache.shared(name, cache, compute, 2**34)
            bank.home = Path(tempfile.mkdtemp(dir=folder))
            taken.append(seconds(partial(bank.validation, classifier, rows), device))
        bound = _forward(classifier, asked.side(), precision, where)
    del classifier
    forget(device)
    return {"features_s": taken[1], "first_s": taken[0], "bound_s": bound * len(cache)}


@torch.no_grad()
def _forward(classifier: Any, size: int, precision: str, device: torch.device) -> float:
    """Seconds an image of the backbone alone, on tensors that lie on the device; on a GPU one graph a batch."""
    batch = BATCH if device.type == "cuda" else 8
    images = torch.randn(batch, 3, size, size).to(device, memory_format=torch.channels_last)
    network = folded(classifier, images[:1], precision)

    def look() -> None:
        with torch.no_grad(), autocast(device, precision):
            network.features(images)

    look()
    work = graphed(look) if device.type == "cuda" else look
    times = 10 if device.type == "cuda" else 2

    def repeated() -> None:
        for _ in range(times):
            work()

    return min(seconds(repeated, device.type) for _ in range(3)) / times / batch


def _said(row: Mapping[str, float]) -> str:
    share = row["bound_s"] / row["features_s"]
    return (
        f"probe {row['probe_s']:.2f} s; features {row['features_s']:.3f} s (the first time"
        f" {row['first_s']:.3f} s), forward bound {row['bound_s']:.3f} s, share {share:.2f}"
    )


def probe_line(found: Mapping[str, Any]) -> str:
    """The probe in a line."""
    rows = found["rows"].values()
    rate = found["images"] * len(rows) / sum(row["features_s"] for row in rows)
    return (
        f"{len(rows)} candidates, {found['images']} images: {found['whole_s']:.1f} s,"
        f" {found['images'] * len(rows) / found['whole_s']:.4g} images/s;"
        f" features alone {rate:.4g} images/s, {found['share']:.2f} of the forward bound"
    )


def measure_precisions(job: Job, repeats: int) -> dict[str, Any]:
    """Rates and validation losses of fp32, bf16 and fp16 after the same epochs; where the scaler of fp16 stands."""
    count, found = job.pictures.count("train"), {}
    for precision in ("fp32", "bf16", "fp16"):
        run = training_run(job, precision=precision)
        run.step()
        taken = min(seconds(run.step, job.device) for _ in range(repeats))
        last, scaler = run.history[-1], run._step.scaler
        found[precision] = {
            "rate": count / taken,
            "val_loss": last.val_loss,
            "train_loss": last.train_loss,
            "epochs": last.epoch,
            "scale": scaler.get_scale() if scaler.is_enabled() else None,
        }
        print(f"  {precision}: {found[precision]}", flush=True)
        del run
        forget(job.device)
    return found


def precisions_line(found: Mapping[str, Any]) -> str:
    """The precisions in a line."""
    rate = found["bf16"]["rate"]
    rows = (
        f"{name} {row['rate']:.4g} images/s ({row['rate'] / rate:.2f} of bf16), val_loss {row['val_loss']:.4f}"
        for name, row in found.items()
        if isinstance(row, Mapping)
    )
    return "; ".join(rows) + f"; fp16's scale is {found['fp16']['scale']:g}"


def measure_deployment(model: str, size: int, device: str) -> dict[str, Any]:
    """How far the exported files' answers on `device` are from the processor's, and how fast they come."""
    from trainables import models
    from tuner.release.folder import ONNX, PT2, ModelSpec
    from tuner.release.formats import quiet, write_formats
    from tuner.release.portable import Portable

    classifier = models.create(model, len(CLASSES), weights="none", dropout=0.0, seed=0).eval()
    spec = ModelSpec(
        model, CLASSES, size, math.ceil(size * 8 / 7), tuple(classifier.mean), tuple(classifier.std)
    )
    portable = Portable(classifier)
    images = np.random.default_rng(0).integers(0, 256, (32, size, size, 3), dtype=np.uint8)
    found: dict[str, Any] = {"model": model}
    with tempfile.TemporaryDirectory(prefix="gpu-deploy-") as place:
        folder = Path(place)
        write_formats(portable, spec, folder, images[:4])
        with torch.inference_mode():
            truth = portable(torch.from_numpy(images))["probabilities"].numpy()
        ways: dict[str, Callable[[], dict[str, Any]]] = {
            "onnx": partial(_by_onnx, folder / ONNX, images, truth, device),
            "pt2": partial(_by_pt2, folder / PT2, images, truth, device),
        }
        for name, way in ways.items():
            with quiet():
                found[name] = way()
            print(f"  {name}: {found[name]}", flush=True)
    return found


def _by_onnx(path: Path, images: np.ndarray, truth: np.ndarray, device: str) -> dict[str, Any]:
    """The answers of `tuner predict`'s own way."""
    import onnxruntime

    from tuner.release.predict import load_model

    offered = onnxruntime.get_available_providers()
    if device == "cuda" and "CUDAExecutionProvider" not in offered:
        return {"skipped": f"onnxruntime-gpu is absent: this ONNX Runtime offers {', '.join(offered)}"}
    model = load_model(path)
    used = model.session.get_providers()[0]
    if device == "cuda" and used != "CUDAExecutionProvider":
        return {"skipped": f"ONNX Runtime fell back to {used}: its GPU libraries were not found"}
    return _compared(lambda: model(images), images, truth) | {"provider": used}


def _by_pt2(path: Path, images: np.ndarray, truth: np.ndarray, device: str) -> dict[str, Any]:
    """The exported program on the device, in fp32 without TF32."""
    from torch.export.passes import move_to_device_pass

    program = move_to_device_pass(torch.export.load(path), device).module()
    before = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    try:
        shown = torch.from_numpy(images).to(device)
        return _compared(lambda: program(shown)["probabilities"].detach().cpu().numpy(), images, truth)
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before


def _compared(answer: Callable[[], np.ndarray], images: np.ndarray, truth: np.ndarray) -> dict[str, Any]:
    apart = float(np.abs(answer().astype(np.float64) - truth).max())
    started = time.perf_counter()
    for _ in range(3):
        answer()
    rate = 3 * len(images) / (time.perf_counter() - started)
    return {"apart": apart, "agrees": apart <= ALIKE, "images_a_second": rate}


def deployment_line(found: Mapping[str, Any]) -> str:
    """Both files in a line."""

    def said(row: Mapping[str, Any]) -> str:
        if "skipped" in row:
            return f"skipped: {row['skipped']}"
        verdict = "agrees" if row["agrees"] else "DIFFERS"
        where = f" by {row['provider']}" if "provider" in row else ""
        return f"{verdict} (probabilities up to {row['apart']:.1e} apart), {row['images_a_second']:.4g} images/s{where}"

    return f"{found['model']}: ONNX {said(found['onnx'])}; .pt2 {said(found['pt2'])}"
