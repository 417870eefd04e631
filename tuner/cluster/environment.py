"""Ray's switches: environment variables that have to stand before Ray is imported, and what it may print."""

import contextlib
import logging
import os
from collections.abc import Iterator, Mapping, Sequence

__all__ = ["QUIET", "changed_environment", "ray_environment"]

QUIET = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    # A trial without a GPU sees none, though the machine has some.
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    # Of a custom searcher Ray takes one trial that has no worker yet, so that workers would start one after the
    # other; the searcher never proposes more than there are slots.
    "TUNE_MAX_PENDING_TRIALS_PG": "1000000",
    # tuner resumes from its own run directory, so Ray's snapshots of the experiment serve nobody.
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
}

ALONE = {
    # Everything listens on 127.0.0.1 only.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    # Workers are processes of this installation, which their own cluster's need not be.
    "RAY_preload_python_modules": "tuner.cluster.worker_start",
    # Ray would start a worker for each core at once, but Tune's trials never get one of these: they have an environment
    # of their own, and so processes of their own.
    "RAY_prestart_worker_first_driver": "0",
}
"""Ray's switches for a machine without a cluster."""

SET_BY_RAY = ("PYTHONBREAKPOINT", "RAY_AUTH_MODE")
"""What `ray.init` leaves in the environment of its process; the first would make `breakpoint()` Ray's for good."""

LOGGERS = ("ray", "ray.tune", "ray.data", "ray.train")


@contextlib.contextmanager
def ray_environment(address: str | None) -> Iterator[None]:
    """While entered: Ray's switches stand as tuner needs them; afterwards as its caller had them.

    For a Ray of one's own (`address` None) or a cluster that is joined. Ray's loggers are put back too, since a
    session silences them.
    """
    levels = {name: logging.getLogger(name).level for name in LOGGERS}
    try:
        with changed_environment({**QUIET, **(ALONE if address is None else {})}, SET_BY_RAY):
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


@contextlib.contextmanager
def changed_environment(values: Mapping[str, str], others: Sequence[str] = ()) -> Iterator[None]:
    """While entered `values` are in the environment; afterwards what stood there before, of `others` too."""
    before = {name: os.environ.get(name) for name in (*values, *others)}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
