"""The end of `run` and `resume`: what a person is told, and the model folder of --out."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console

from tuner.console.sentences import show, show_part

if TYPE_CHECKING:
    from tuner.release.ship import ShipConfig
    from tuner.tuning.budget import Budget
    from tuner.tuning.result import SearchResult

__all__ = ["Shipping", "finish", "networks_of", "shipping_of"]


def networks_of(out: Path | None, final: bool, networks: int | None) -> int:
    """How many trainings the model of --out has at most, 0 without one; raises UsageError, or RunProblem for `out`."""
    from tuner.tuning.budget import NETWORKS

    if out is not None:
        _check_out(out)
        return NETWORKS if networks is None else networks
    if final:
        raise click.UsageError("--final says what the model of --out is trained on; give --out MODEL")
    if networks is not None:
        raise click.UsageError("--networks says what the model of --out consists of; give --out MODEL")
    return 0


def _check_out(out: Path) -> None:
    """Refuse a model folder that can't be written before hours are spent; raises RunProblem."""
    from trainables.errors import RunProblem
    from tuner.runs.paths import is_taken, try_target

    if is_taken(out):
        raise RunProblem(f"{out} exists already; choose another --out")
    try_target(out, "--out")


@dataclass(frozen=True)
class Shipping:
    """What is to be shipped, and the budget of the command."""

    config: "ShipConfig"
    budget: "Budget"


def shipping_of(result: "SearchResult", out: Path, final: bool, budget: "Budget") -> Shipping | None:
    """What to ship of a search that has ended; None where there is nothing, or it was interrupted."""
    from tuner.release.ship import ShipConfig

    if result.best is None or result.interrupted:
        return None
    return Shipping(ShipConfig(result.run.path, out, final, networks=budget.networks), budget)


def finish(result: "SearchResult", console: Console, shipping: Shipping | None = None) -> None:
    """Tell how a search ended and what to type next, write the model if one is asked for; exits with its status."""
    from tuner.cli.ending import ending

    for line in ending(result, ships=shipping is not None):
        show_part(console, line)
    if shipping is not None:
        from tuner.console.reporter import Reporter
        from tuner.release.ship import ship

        done = ship(shipping.config, shipping.budget, Reporter(console))
        show(console, done.sentences[0])
        show(console, f"the model is in {done.folder}; its MODEL_CARD.md says more")
        show(console, f"next: tuner predict {done.folder} IMAGES...")
    sys.exit(result.exit_status)
