"""Seconds that 50 trials of one trivial epoch take: tuner, and Ray Tune with a function and with a class trainable.

    python -m benchmarks.speed.trials

A trial makes one step of a linear layer, so it needs torch as every real one does. Ray Tune is used as its
documentation shows: a function that reports, or a class with reset_config under reuse_actors, which keeps a worker for
many trials. Ray has been started before the clock runs, once for each measurement.
"""

import logging
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.common import in_turns, parse, print_held_equal, print_table
from benchmarks.speed.children import children, measure_at_once

NUM_TRIALS = 50


def tuner_trials(num_trials: int) -> Callable[[], float]:
    """A search by tuner, its proposals, tables and weights included."""

    def measure() -> float:
        from benchmarks.speed.simulated import Simulated, prepared_run
        from tuner.tuning.loop import execute

        with prepared_run(num_trials, 1) as prepared:
            with started_ray():
                started = time.perf_counter()
                result = execute(prepared, trainable=Simulated)
                seconds = time.perf_counter() - started
            if len(result.run.trials()) != num_trials:
                raise RuntimeError(f"{len(result.run.trials())} trials ended, not {num_trials}")
        return seconds

    return measure


def function_trials(num_trials: int) -> Callable[[], float]:
    """Ray Tune's function API."""
    from ray import tune

    from benchmarks.speed.simulated import trivial_epoch

    def train(config: dict[str, Any]) -> None:
        tune.report({"loss": trivial_epoch(config["learning_rate"], 1)})

    return partial(_fit, train, num_trials, reuse=False)


def class_trials(num_trials: int) -> Callable[[], float]:
    """Ray Tune's class API with reused workers."""
    import torch
    from ray import tune

    from benchmarks.speed.simulated import trivial_epoch

    class Trivial(tune.Trainable):  # type: ignore[misc]
        def setup(self, config: dict[str, Any]) -> None:
            self.learning_rate = config["learning_rate"]

        def step(self) -> dict[str, Any]:
            return {"loss": trivial_epoch(self.learning_rate, 1), "done": True}

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            self.learning_rate = new_config["learning_rate"]
            return True

        def save_checkpoint(self, checkpoint_dir: str) -> None:
            torch.save(self.learning_rate, Path(checkpoint_dir) / "state.pt")

        def load_checkpoint(self, checkpoint: Any) -> None:
            self.learning_rate = torch.load(Path(checkpoint) / "state.pt", weights_only=True)

    return partial(_fit, Trivial, num_trials, reuse=True)


def started_ray() -> Any:
    """A Ray of its own, quiet, to be used as a context."""
    import ray

    return ray.init(
        address="local",
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
        _node_ip_address="127.0.0.1",
    )


def _fit(trainable: Any, num_trials: int, reuse: bool) -> float:
    from ray import tune

    with started_ray(), tempfile.TemporaryDirectory() as folder:
        tuner = tune.Tuner(
            trainable,
            param_space={"learning_rate": tune.loguniform(1e-6, 1e-1)},
            tune_config=tune.TuneConfig(
                metric="loss", mode="min", num_samples=num_trials, reuse_actors=reuse
            ),
            run_config=tune.RunConfig(storage_path=folder, verbose=0),
        )
        started = time.perf_counter()
        found = tuner.fit()
        seconds = time.perf_counter() - started
        if len(found) != num_trials or found.errors:
            raise RuntimeError(f"{len(found)} trials, errors {found.errors}")
    return seconds


def main() -> None:
    """Measure and print."""
    options = parse(__doc__)
    num_trials = 4 if options.quick else NUM_TRIALS
    makers = {
        "tuner": tuner_trials,
        "Ray Tune, function": function_trials,
        "Ray Tune, class, reuse_actors": class_trials,
    }
    with ExitStack() as stack:
        contenders = {}
        for name, make in makers.items():
            group = stack.enter_context(children(make, [num_trials]))
            contenders[name] = partial(_seconds, group)
        found = in_turns(contenders, options.repeats)
    print_table(f"{num_trials} trials of one trivial epoch", "seconds", found, ("tuner",))
    print_held_equal("one core a trial", "the same epoch", "Ray started beforehand")


def _seconds(group: Any) -> float:
    seconds: float = measure_at_once(group)[0]
    return seconds


if __name__ == "__main__":
    main()
