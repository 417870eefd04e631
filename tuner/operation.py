"""What stands around a running search: sinks, metrics for Prometheus, the sign of life and the stop requests."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from tuner.events import Observer
from tuner.metrics import Gauges
from tuner.show import Show
from tuner.sinks.outbox import open_outboxes
from tuner.watch import Watch

if TYPE_CHECKING:
    from tuner.ledger import Ledger
    from tuner.prepare import Prepared
    from tuner.ray_session import RaySession


@contextlib.contextmanager
def operated(
    prepared: "Prepared",
    ledger: "Ledger",
    session: "RaySession",
    stop: Callable[[], None],
    show: Show,
    observers: Sequence[Observer] = (),
) -> Iterator[None]:
    """While entered the ledger's news go to metrics, sinks and `observers`, and `stop` is called when asked for.

    Says at the end what a sink did not take.
    """
    outboxes = open_outboxes(prepared.run, prepared.log, prepared.log_weights)
    ledger.observers += [Gauges(ledger, _images(prepared)), *outboxes, *observers]
    for name, address in session.pages.items():
        show.line(f"{name} {address}")
    try:
        with Watch(prepared.run, stop, session.pages):
            yield
    finally:
        for outbox in outboxes:
            outbox.close()
            if outbox.unsent:
                show.warn(
                    f"{outbox.name} did not take {outbox.unsent} entries ({outbox.trouble});"
                    f" send them with: tuner sync {prepared.run.path}"
                )


def _images(prepared: "Prepared") -> int:
    """Training and validation images of the run; 0 for a run without a split."""
    if not (prepared.run.path / "split.parquet").exists():
        return 0
    return int((prepared.run.split()["split"] != "test").sum())
