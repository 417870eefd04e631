"""How many trials share a GPU under `--gpus-per-trial auto`: measure one trial of every model, then divide.

Any trial may land on any GPU, so the hungriest model decides. Memory is a hard bound, kept with a margin; beyond
the number of trials that keep the GPU busy between them, more would only wait for each other. What was measured stands
in the run's record. The division is tested with measurements made by hand; the measuring was not run on a GPU.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainables import models
from trainables.config import RunContext, TrialConfig
from tuner.console.reporter import Reporter

if TYPE_CHECKING:
    from trainables.training import TrainingRun
    from tuner.tuning.prepare import Prepared

MARGIN = 0.15
"""Share of a GPU's memory that stays free: allocators fragment, and a probe sees a few batches only."""

CONTEXT_BYTES = 600 * 2**20
"""What a process takes of a GPU besides its tensors: CUDA's context and the libraries' kernels."""

MPS_PIPES = "/tmp/nvidia-mps"
"""Where the daemon has its pipes unless CUDA_MPS_PIPE_DIRECTORY says otherwise; source: NVIDIA's guide to MPS."""

PROBE_BATCHES = 6

PROBE_EPOCHS = 100
"""Of which two are trained: a trial that would soon be over takes less memory, as it records no graph of its steps."""


@dataclass(frozen=True)
class Use:
    """What one training trial takes of a GPU with `gpu_bytes`.

    `peak_bytes` is the most memory at any moment, the process itself included; `busy` is the share of
    the time, 0 to 1, in which the GPU computes for it. With `mps`, NVIDIA's Multi-Process Service, trials on one GPU
    compute at the same time; without it they take turns.
    """

    peak_bytes: int
    busy: float
    gpu_bytes: int
    mps: bool = False


@dataclass(frozen=True)
class Packing:
    """How many trials share a GPU, and the measurements of one trial of every model that say so."""

    trials_per_gpu: int
    uses: Mapping[str, Use]

    @property
    def share(self) -> float:
        """The share of a GPU that each trial gets."""
        return 1 / self.trials_per_gpu

    def document(self) -> dict[str, Any]:
        """What `run.yaml` keeps."""
        return {
            "trials_per_gpu": self.trials_per_gpu,
            "margin": MARGIN,
            "uses": {model: asdict(use) for model, use in self.uses.items()},
        }

    def lines(self) -> list[str]:
        """What a person is told."""
        said = [
            f"one trial of {model} takes {use.peak_bytes / 1e9:.1f} of {use.gpu_bytes / 1e9:.1f} GB"
            f" and keeps the GPU busy {use.busy:.0%} of the time"
            for model, use in self.uses.items()
        ]
        number = self.trials_per_gpu
        if number == 1:
            return [*said, "1 trial on a GPU"]
        mps = any(use.mps for use in self.uses.values())
        how = "at the same time, by NVIDIA's MPS" if mps else "taking turns, since NVIDIA's MPS does not run"
        return [*said, f"{number} trials on a GPU, {how}"]


Probe = Callable[[TrialConfig], Use]


def heaviest(configs: Iterable[TrialConfig]) -> dict[str, TrialConfig]:
    """For every model among `configs`, one that takes the most of a GPU: all parts train, the largest batch."""
    batches: dict[str, int] = {}
    for config in configs:
        batches[config.model] = max(config.batch_size, batches.get(config.model, 0))
    return {
        model: TrialConfig.resolve(
            {
                "model": model,
                "strategy": "full_aux" if models.has_auxiliary(model) else "full",
                "batch_size": batch_size,
                "max_epochs": PROBE_EPOCHS,
            }
        )
        for model, batch_size in sorted(batches.items())
    }


def trials_per_gpu(uses: Iterable[Use], slots: int) -> int:
    """How many trials to put on one GPU, at least 1 and at most `slots`, whatever the models' mixture."""
    most = max(1, slots)
    for use in uses:
        by_memory = int(use.gpu_bytes * (1 - MARGIN) / max(use.peak_bytes, 1))
        # Rounded, not cut: at 0.6 a second trial still finds the GPU idle for a good part of its time.
        by_time = round(1 / max(use.busy, 1e-3))
        most = min(most, by_memory, by_time)
    return max(1, most)


def pack_trials(prepared: "Prepared", reporter: Reporter, have: Mapping[str, float]) -> float:
    """The share of a GPU that each trial of the run gets on a cluster that has `have` ("CPU", "GPU")."""
    from search_spaces.sampling import sample_configs

    configs = sample_configs(prepared.space, prepared.overrides, prepared.allowed)
    probe = probe_on_ray(prepared.context)
    packing = measured_packing(configs, probe, have, prepared.cpus_per_trial or 1.0)
    for line in packing.lines():
        reporter.line(line)
    prepared.run.update_record(packing=packing.document())
    return packing.share


def measured_packing(
    configs: Iterable[TrialConfig], probe: Probe, have: Mapping[str, float], cpus_per_trial: float
) -> Packing:
    """How many trials share a GPU, after `probe` measured one of every model among `configs`."""
    uses = {model: probe(config) for model, config in heaviest(configs).items()}
    slots = int(have.get("CPU", 1.0) / have["GPU"] / cpus_per_trial)
    return Packing(trials_per_gpu(uses.values(), slots), uses)


def probe_on_ray(context: RunContext) -> Probe:
    """A probe that measures on a GPU of the Ray that is running, in a process of its own."""

    def probe(config: TrialConfig) -> Use:
        import ray

        remote = ray.remote(num_gpus=1, max_calls=1)(measure)
        use: Use = ray.get(remote.remote(config, context))
        return use

    return probe


def measure(config: TrialConfig, context: RunContext) -> Use:
    """Train two short epochs of `config` on this process's GPU; what the second one took."""
    import torch

    from trainables.device_errors import is_out_of_memory
    from trainables.worker import prepare_worker

    prepare_worker(context.num_threads)
    run = _short_run(config, context)
    total = torch.cuda.mem_get_info()[1]
    try:
        run.step()
        torch.cuda.synchronize()
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
            seconds = run.step().epoch_seconds
            torch.cuda.synchronize()
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        return Use(total, 1.0, total, mps_runs())
    busy = sum(event.self_device_time_total for event in profile.key_averages()) / 1e6 / seconds
    # Reserved, not allocated: what the caching allocator holds is lost to the neighbours.
    return Use(torch.cuda.max_memory_reserved() + CONTEXT_BYTES, min(1.0, busy), total, mps_runs())


def mps_runs() -> bool:
    """Whether NVIDIA's Multi-Process Service is here for this process, by the pipe of its control daemon."""
    return (Path(os.environ.get("CUDA_MPS_PIPE_DIRECTORY") or MPS_PIPES) / "control").exists()


def _short_run(config: TrialConfig, context: RunContext) -> "TrainingRun":
    """A trial on the first few batches of the run's images."""
    from trainables.ray_trainable import compute_config, trial_data
    from trainables.training import TrainingRun

    data, images = trial_data(context), PROBE_BATCHES * config.batch_size
    few = replace(data, train_rows=data.train_rows[:images], train_labels=data.train_labels[:images])
    return TrainingRun(config, few, compute_config(context))
