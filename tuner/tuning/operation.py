"""What stands around a running search: sinks, metrics for Prometheus, the sign of life and the stop requests."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from tuner.console.reporter import Reporter
from tuner.runs.heartbeat import Watch, page_words
from tuner.tracking.events import Observer
from tuner.tracking.outbox import open_outboxes
from tuner.tracking.prometheus import Gauges

if TYPE_CHECKING:
    from tuner.cluster.session import RaySession
    from tuner.tuning.prepare import Prepared
    from tuner.tuning.trial_store import TrialStore


@contextlib.contextmanager
def operated(
    prepared: "Prepared",
    store: "TrialStore",
    session: "RaySession",
    stop: Callable[[], None],
    reporter: Reporter,
    observers: Sequence[Observer] = (),
) -> Iterator[None]:
    """While entered the store's news go to metrics, sinks and `observers`, and `stop` is called when asked for.

    Says at the end what a sink did not take.
    """
    outboxes = open_outboxes(prepared.run, prepared.log, prepared.log_weights)
    store.observers += [Gauges(store, _images(prepared)), *outboxes, *observers]
    for line in page_words(session.pages):
        reporter.line(line)
    try:
        with Watch(prepared.run, stop, session.pages):
            yield
    finally:
        for outbox in outboxes:
            outbox.close()
            if outbox.unsent:
                reporter.warn(
                    f"{outbox.name} did not take {outbox.unsent} entries ({outbox.trouble});"
                    f" send them with: tuner sync {prepared.run.path}"
                )
            if outbox.in_doubt:
                reporter.warn(
                    f"{outbox.name} was still taking {outbox.in_doubt} entries, which may have arrived or not;"
                    f" they stand in {outbox.doubtful}"
                )


def _images(prepared: "Prepared") -> int:
    """Training and validation images of the run; 0 for a run without a split."""
    if not (prepared.run.path / "split.parquet").exists():
        return 0
    return int((prepared.run.split()["split"] != "test").sum())
