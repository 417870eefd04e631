"""One configuration trained from several seeds at once, on Ray, without a search."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import ray
from ray.exceptions import RayTaskError

from trainables.checkpoint import save_weights, weights_of
from trainables.data.cache import ImageCache
from trainables.data.parallel import Progress
from trainables.device_errors import breaks_process, is_out_of_memory, release_memory
from trainables.errors import Diverged, RunProblem, UserMistake, WorkerBroken
from trainables.frozen_features import FeatureCache
from trainables.inference import best_device, choose_precision, compute_logits
from trainables.setting import ComputeConfig
from trainables.training import TrainingRun
from trainables.trial_data import load_trial_data
from trainables.worker import prepare_worker
from tuner.cluster.session import RaySession
from tuner.console.reporter import Reporter
from tuner.retraining import kept
from tuner.retraining.room import lack_of_room
from tuner.retraining.seed_job import SeedJob, SeedResult
from tuner.retraining.words import ended_words, kept_words, unkept_words
from tuner.statistics.intervals import FloatArray

__all__ = ["SeedJob", "SeedResult", "draw_seeds", "train_jobs"]

LOOK_S = 0.5
"""So often whoever may stop the trainings is asked."""

RETRIES = 2
"""So often a seed whose process dies is trained again."""


def draw_seeds(seed: int, count: int) -> list[int]:
    """`count` seeds that follow from `seed`; it is not among them, for it was chosen along with its luck."""
    return [int(np.random.SeedSequence([seed, 3, i]).generate_state(1)[0]) for i in range(count)]


def train_jobs(
    jobs: Sequence[tuple[SeedJob, Sequence[int]]],
    session: RaySession,
    reporter: Reporter,
    on_result: Callable[[int, SeedResult], None] | None = None,
    stop: Callable[[], bool] | None = None,
    title: str = "training seeds",
) -> list[list[SeedResult]]:
    """For each job the results of its seeds, in their order; all jobs' seeds share the places of the Ray session.

    `on_result` hears of each at once: the job's place and the result. A seed that fails costs no other seed. Where its
    process dies again and again, all others are trained and RunProblem is raised. Where it raises an error, those that
    train are waited for and the error is raised; so too, as a RunProblem, where the disk has no room for the weights of
    the next model. Once `stop` says so what trains is ended, and the lists lack what had not ended.
    """
    training = _Training(jobs, session, reporter, on_result, stop)
    training.run(title)
    found = training.results
    return [
        [found[place, seed] for seed in seeds if (place, seed) in found]
        for place, (_, seeds) in enumerate(jobs)
    ]


class _Training:
    """Which seeds of which jobs wait, run and have ended; a job goes by its place."""

    def __init__(
        self,
        jobs: Sequence[tuple[SeedJob, Sequence[int]]],
        session: RaySession,
        reporter: Reporter,
        on_result: Callable[[int, SeedResult], None] | None,
        stop: Callable[[], bool] | None,
    ) -> None:
        self.session, self.reporter, self.on_result, self.stop = session, reporter, on_result, stop
        num_threads = max(1, int(session.resources["cpu"]))
        self.jobs = [replace(kept.located(job), num_threads=num_threads) for job, _ in jobs]
        wanted = [(place, seed) for place, (_, seeds) in enumerate(jobs) for seed in seeds]
        self.count = len(wanted)
        self.results = {
            (place, seed): found
            for place, seed in wanted
            if (found := kept.find(self.jobs[place], seed)) is not None
        }
        self.waiting = [one for one in wanted if one not in self.results]
        self.running: dict[Any, tuple[int, int]] = {}
        self.failed: BaseException | None = None
        self.died: list[str] = []

    def run(self, title: str) -> None:
        """Train whatever is not kept from before, shown as `title`; raises what kept a seed from being trained."""
        if self.results:
            self.reporter.line(kept_words(len(self.results), self.count))
        remote = ray.remote(**self._options())(train_seed)
        shared = {place: ray.put(self.jobs[place]) for place in sorted({place for place, _ in self.waiting})}
        with self.reporter.progress(title) as progress:
            while self._start(remote, shared):
                for task in self._ended():
                    self._end(task, progress)
                if self.stop is not None and self.stop():
                    for task in self.running:
                        ray.cancel(task, force=True)
                    return
        self._raise()

    def _ended(self) -> list[Any]:
        """A task that has ended, when there is one; or none for now, where somebody may stop the trainings."""
        running = list(self.running)
        if self.stop is None:
            done, _ = ray.wait(running, num_returns=1)
        else:
            done, _ = ray.wait(running, num_returns=1, timeout=LOOK_S)
        return list(done)

    def _options(self) -> dict[str, Any]:
        gpus = self.session.resources.get("gpu", 0.0)
        options = {"num_cpus": self.session.resources["cpu"], "num_gpus": gpus, "max_retries": RETRIES}
        # On a GPU each seed has a process of its own: one that can't compute any more is not used again.
        return options | {"retry_exceptions": [WorkerBroken], "max_calls": 1 if gpus else 0}

    def _start(self, remote: Any, shared: Mapping[int, Any]) -> bool:
        """Start what waits, as far as there are places and room on the disk; whether anything runs."""
        while self.waiting and len(self.running) < max(1, self.session.slots()):
            place, seed = self.waiting[0]
            running = [self.jobs[other] for other, _ in self.running.values()]
            if (lack := lack_of_room(self.jobs[place], running)) is not None:
                if not running:
                    self._give_up(RunProblem(lack))
                break
            self.waiting.pop(0)
            self.running[remote.remote(shared[place], seed)] = (place, seed)
        return bool(self.running)

    def _end(self, task: Any, progress: Progress | None) -> None:
        """Take the result of a task that has ended."""
        place, seed = self.running.pop(task)
        job = self.jobs[place]
        try:
            result: SeedResult = ray.get(task)
        except Exception as error:  # whatever the seed raised, or what Ray says of its process
            self._lose(job.said(seed), error)
            return
        self.results[place, seed] = result
        try:
            kept.keep(job, result)
        except OSError as error:
            self.reporter.warn(unkept_words(job, seed, error))
        if self.on_result is not None:
            self.on_result(place, result)
        if progress is not None:
            progress(len(self.results), self.count)
        else:
            self.reporter.line(ended_words(job.said(seed), result, len(self.results), self.count))

    def _lose(self, who: str, error: Exception) -> None:
        cause = error.cause if isinstance(error, RayTaskError) else None
        if cause is None or isinstance(cause, WorkerBroken):
            self.died.append(who)
            self.reporter.warn(f"{who}: its process died {RETRIES + 1} times ({_first_line(cause or error)})")
            return
        self._give_up(cause if isinstance(cause, UserMistake) else error)
        if self.running:
            self.reporter.warn(f"{who} failed ({_first_line(cause)}); tuner waits for those that train now")

    def _give_up(self, error: BaseException) -> None:
        """Start nothing more; what runs may end."""
        self.failed = self.failed or error
        self.waiting.clear()

    def _raise(self) -> None:
        if self.failed is not None:
            raise self.failed
        if self.died:
            raise RunProblem(
                f"{', '.join(self.died)}: the process died {RETRIES + 1} times, as it does where memory runs out;"
                f" free some, or train fewer at once (--concurrent 1), and give the same command again"
            )


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
    config = replace(job.config, seed=seed, patience=0, max_epochs=max(job.config.max_epochs, job.epochs))
    limit = job.feature_cache_bytes
    if not limit:
        return TrainingRun(config, data, compute)
    shared = FeatureCache.shared(config.model, data.cache, compute, limit, config.augmentation)
    return TrainingRun(config, data, compute, shared)


def _train_epoch(run: TrainingRun, job: SeedJob) -> str | None:
    """One epoch; the file of its weights if it is among the last that are kept."""
    metrics = run.step()
    if len(run.data.val_rows) == 0 and metrics.epoch in job.reduced_after:
        run.schedule.reduce(metrics.epoch)
    if metrics.epoch <= job.epochs - job.late:
        return None
    path = Path(job.folder) / f"{run.config.seed}-{metrics.epoch:05d}.safetensors"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_weights({name: tensor.cpu() for name, tensor in weights_of(run.classifier).items()}, path)
    except OSError as error:
        raise RunProblem(
            f"{path.parent}: the trained weights can't be written ({error.strerror}); make room there, or"
            " choose another place"
        ) from error
    return str(path)


def _test_logits(job: SeedJob, run: TrainingRun) -> FloatArray | None:
    if job.test_cache is None:
        return None
    cache = ImageCache.open(job.test_cache)
    rows = cache.rows(job.test_paths)
    device = run.compute.device
    logits = compute_logits(run.classifier, cache, rows, job.image_size, "fp32", device)
    return np.asarray(logits.double().numpy())


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
