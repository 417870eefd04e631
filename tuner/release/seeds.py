"""One configuration trained from several seeds at once, on Ray, without a search."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import ray

from trainables.checkpoint import weights_of
from trainables.config import TrialConfig
from trainables.data.cache import ImageCache
from trainables.device_errors import breaks_process, is_out_of_memory, release_memory
from trainables.errors import Diverged, WorkerBroken
from trainables.frozen_features import FeatureCache
from trainables.inference import best_device, choose_precision, compute_logits
from trainables.setting import ComputeConfig
from trainables.training import TrainingRun, with_seed
from trainables.trial_data import load_trial_data
from trainables.worker import as_worker, prepare_worker
from tuner.cluster.session import RaySession
from tuner.evaluation.statistics import FloatArray
from tuner.tracking.reporter import Reporter

__all__ = ["SeedJob", "SeedResult", "draw_seeds", "score_weights", "train_jobs"]


@dataclass(frozen=True)
class SeedJob:
    """What all seeds share.

    `rows` are (path, label, part) of the images to train on and, if any, to validate on. The trained model answers
    the images of `test_paths` in `test_cache`, if there are any. `reduced_after` are
    the epochs after which a plateau schedule is lowered where there is nothing to validate on. `run_seed`
    None: each seed has its own augmentation too, so that the spread of the seeds holds all that varies. The
    weights of the last `late` epochs go to `folder`. Without `feature_cache_bytes` frozen features are not kept.
    Progress is told under `title`, or under the number of the seed.
    """

    config: TrialConfig
    classes: tuple[str, ...]
    cache: str
    rows: Sequence[tuple[str, str, str]]
    test_cache: str | None
    test_paths: Sequence[str]
    image_size: int
    weights: str
    precision: str
    run_seed: int | None
    epochs: int
    reduced_after: tuple[int, ...]
    late: int
    folder: str
    num_threads: int = 1
    feature_cache_bytes: int = 0
    title: str = ""


@dataclass(frozen=True)
class SeedResult:
    """One seed's epochs (mappings of EpochMetrics), files of weights (the last epoch's last), answers.

    `test_logits` is float64 [n, classes] of the weights of the last epoch, computed in fp32. A seed that
    diverged has an `error` instead.
    """

    seed: int
    history: tuple[Mapping[str, Any], ...] = ()
    weights: tuple[str, ...] = ()
    test_logits: FloatArray | None = None
    error: str | None = None


def draw_seeds(seed: int, count: int) -> list[int]:
    """`count` seeds that follow from `seed`; it is not among them, for it was chosen along with its luck."""
    return [int(np.random.SeedSequence([seed, 3, i]).generate_state(1)[0]) for i in range(count)]


def train_jobs(
    jobs: Sequence[tuple[SeedJob, Sequence[int]]],
    session: RaySession,
    reporter: Reporter,
    on_result: Callable[[int, SeedResult], None] | None = None,
) -> list[list[SeedResult]]:
    """For each job the results of its seeds, in their order; all jobs' seeds share the places of the Ray session.

    `on_result` hears of each at once: the job's place and the result.
    """
    resources = session.resources
    num_threads = max(1, int(resources["cpu"]))
    gpus = resources.get("gpu", 0.0)
    options: Any = {"num_cpus": resources["cpu"], "num_gpus": gpus, "max_retries": 2}
    # On a GPU each seed has a process of its own: one that can't compute any more is not used again.
    options |= {"retry_exceptions": [WorkerBroken], "max_calls": 1 if gpus else 0}
    remote = ray.remote(**options)(train_seed)
    shared = [ray.put(replace(job, num_threads=num_threads)) for job, _ in jobs]
    waiting = [(place, seed) for place, (_, seeds) in enumerate(jobs) for seed in seeds]
    count = len(waiting)
    running: dict[Any, tuple[int, int]] = {}
    results: dict[tuple[int, int], SeedResult] = {}
    with reporter.progress("training seeds") as progress:
        while waiting or running:
            while waiting and len(running) < max(1, session.slots()):
                place, seed = waiting.pop(0)
                running[remote.remote(shared[place], seed)] = (place, seed)
            done, _ = ray.wait(list(running), num_returns=1)
            result: SeedResult = ray.get(done[0])
            place, _ = running[done[0]]
            results[running.pop(done[0])] = result
            if on_result is not None:
                on_result(place, result)
            if progress is not None:
                progress(len(results), count)
            else:
                reporter.line(_said(jobs[place][0].title, result, len(results), count))
    return [[results[place, seed] for seed in seeds] for place, (_, seeds) in enumerate(jobs)]


def train_seed(job: SeedJob, seed: int) -> SeedResult:
    """Train one seed and score it; a divergence is a result, anything else is raised.

    When memory runs out it starts over with every batch in twice as many parts. An error that this process can't
    compute after is raised as WorkerBroken.
    """
    prepare_worker(job.num_threads)
    parts = 1
    try:
        while isinstance(result := _try_seed(job, seed, parts), int):
            parts = result
            release_memory()
    except Exception as error:
        if breaks_process(error):
            raise WorkerBroken(f"this process can compute no more: {error}") from error
        raise
    return result


def _try_seed(job: SeedJob, seed: int, parts: int) -> SeedResult | int:
    """The seed's result with every batch in `parts` parts, or in how many to try again after memory ran out.

    It returns before that: the traceback of the error refers to the model and all its tensors.
    """
    run = _start(job, seed)
    run.split_batches(parts)
    try:
        kept = [_train_epoch(run, job) for _ in range(job.epochs)]
    except Diverged as error:
        return SeedResult(seed, error=str(error))
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error) or not run.halve_batch():
            raise
        return run.accumulation
    weights = tuple(name for name in kept if name is not None)
    history = tuple(metrics.row() for metrics in run.history)
    return SeedResult(seed, history, weights, _test_logits(job, run))


def score_weights(job: SeedJob, weights: str, part: str) -> FloatArray:
    """Logits float64 [n, classes] that the file `weights` gives, in fp32, to the "val" or "test" images."""
    from trainables.inference import load_classifier

    classifier = load_classifier(job.config, len(job.classes), Path(weights))
    if part == "val":
        cache = ImageCache.open(job.cache)
        rows = load_trial_data(cache, job.rows, job.classes).val_rows
    else:
        cache = ImageCache.open(str(job.test_cache))
        rows = cache.rows(job.test_paths)
    with as_worker(job.num_threads):
        logits = compute_logits(classifier, cache, rows, job.image_size, "fp32", best_device())
    return np.asarray(logits.double().numpy())


def _start(job: SeedJob, seed: int) -> TrainingRun:
    device = best_device()
    compute = ComputeConfig(
        image_size=job.image_size,
        weights=job.weights,
        precision=choose_precision(job.precision, device),
        run_seed=seed if job.run_seed is None else job.run_seed,
        device=device,
    )
    data = load_trial_data(ImageCache.open(job.cache), job.rows, job.classes)
    # The number of epochs is settled, so patience has nothing to say; cosine keeps the length it was found with.
    config = replace(
        with_seed(job.config, seed), patience=0, max_epochs=max(job.config.max_epochs, job.epochs)
    )
    limit = job.feature_cache_bytes
    if not limit:
        return TrainingRun(config, data, compute)
    shared = FeatureCache.shared(config.model, data.cache, compute, limit, config.augmentation)
    return TrainingRun(config, data, compute, shared)


def _train_epoch(run: TrainingRun, job: SeedJob) -> str | None:
    """One epoch; the file of its weights if it is among the last that are kept."""
    from safetensors.torch import save_file

    metrics = run.step()
    if len(run.data.val_rows) == 0 and metrics.epoch in job.reduced_after:
        run.schedule.reduce(metrics.epoch)
    if metrics.epoch <= job.epochs - job.late:
        return None
    path = Path(job.folder) / f"{run.config.seed}-{metrics.epoch:05d}.safetensors"
    save_file({name: t.cpu().contiguous() for name, t in weights_of(run.classifier).items()}, path)
    return str(path)


def _test_logits(job: SeedJob, run: TrainingRun) -> FloatArray | None:
    if job.test_cache is None:
        return None
    cache = ImageCache.open(job.test_cache)
    rows = cache.rows(job.test_paths)
    device = run.compute.device
    logits = compute_logits(run.classifier, cache, rows, job.image_size, "fp32", device)
    return np.asarray(logits.double().numpy())


def _said(title: str, result: SeedResult, done: int, count: int) -> str:
    who = title or f"seed {result.seed}"
    if result.error is not None:
        return f"{who} diverged ({done} of {count} done): {result.error}"
    last = result.history[-1]
    return f"{who}: train_loss {last['train_loss']:.4f} ({done} of {count} done)"
