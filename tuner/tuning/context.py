"""What every trial of a run shares, as it is sent to the workers."""

from trainables.config import RunContext
from tuner.tuning.prepare import Prepared

__all__ = ["run_context"]


def run_context(prepared: Prepared, num_threads: int) -> RunContext:
    """What every trial of the run shares; `num_threads` is one trial's share of the cores."""
    return RunContext(
        run_dir=str(prepared.run.path.resolve()),
        cache=str(prepared.cache),
        classes=prepared.classes,
        image_size=prepared.image_size,
        weights=prepared.weights,
        precision=prepared.precision,
        metric=prepared.metric,
        seed=prepared.seed,
        num_threads=num_threads,
        feature_cache_bytes=prepared.feature_cache_bytes,
        data=str(prepared.run.record["data"].get("folder", "")),
        storage=prepared.storage,
        positive=None if prepared.positive is None else prepared.classes.index(prepared.positive),
    )
