"""Does it find better trials? Searches replayed over recorded learning curves, tuner's against its peers.

    python benchmarks/search_quality.py [--designs] [--seeds 40]

Equal for all: the space `googlenet_full`, the curves, two workers in virtual time, ten epochs a trial at most, a
budget of epochs. Peers as their documentation shows them: ASHAScheduler(max_t=10, grace_period=1,
reduction_factor=2) as in Ray's PyTorch example, with OptunaSearch() or random proposals; Optuna's TPESampler() with
SuccessiveHalvingPruner(). With --designs also the choices inside tuner. Takes some minutes.
"""

import argparse
import functools
import multiprocessing
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from replay_curves import RECORDED, Curve, Forest, Nearest, Recorded, check, made, read
from replay_designs import DESIGNS, LEVEL, SHIPPED
from replay_searchers import OVERRIDES, Trace, quiet, replay
from scipy import stats

import search_spaces
from search_spaces.sampling import sample_configs

CHECKPOINTS = (60, 120, 240)
BUDGET = CHECKPOINTS[-1]
NEAR = 1.05
FEWEST_OTHERS = 20
"""Recorded configurations that a problem has at least."""

POOL = 3000
"""Random configurations among which, with the searches' own finds, the best is looked for."""


@dataclass(frozen=True)
class Job:
    """One replay: which searcher, which seed, and whether it is about a late bloomer's survival."""

    name: str
    seed: int
    survival: bool = False


def main() -> None:
    """Check the surrogate, replay, print the tables."""
    options = arguments()
    print_origin(read(options.curves), options.curves)
    chosen = {**SHIPPED, **LEVEL, **(DESIGNS if options.designs else {})}
    started = time.perf_counter()
    jobs = [
        Job(name, seed, survival)
        for survival in (False, True)
        for seed in range(options.seeds)
        for name in chosen
    ]
    with multiprocessing.get_context("spawn").Pool(options.workers) as pool:
        outcome = dict(
            zip(jobs, pool.map(functools.partial(run, path=options.curves), jobs, chunksize=4), strict=True)
        )
    best = lowest(Forest(read(options.curves)), outcome)
    seconds = time.perf_counter() - started
    print(
        f"{len(jobs)} searches of {BUDGET} epochs in {seconds:.0f} s; lowest loss that a trial can reach: {best:.4f}"
    )
    print_table("as they come", list(SHIPPED), options.seeds, outcome, best)
    print_table("from the same random trials", list(LEVEL), options.seeds, outcome, best)
    if options.designs:
        print_table("designs of tuner", [next(iter(LEVEL)), *DESIGNS], options.seeds, outcome, best)


def run(job: Job, path: Path = RECORDED) -> Trace:
    """Replay one search."""
    quiet()
    searcher = {**SHIPPED, **LEVEL, **DESIGNS}[job.name](search_spaces.load("googlenet_full"), job.seed)
    if not job.survival:
        return replay(searcher, forest(path).curve, BUDGET, seed=job.seed)
    problems = late_problems(path)
    others, winner = problems[job.seed % len(problems)]
    number = int(np.random.default_rng(job.seed).integers(3, 20))
    return replay(searcher, others.curve, BUDGET, seed=job.seed, forced={number: winner})


@functools.cache
def forest(path: Path) -> Forest:
    """The surrogate of the recorded curves, once a process."""
    return Forest(read(path))


@functools.cache
def late_problems(path: Path) -> list[tuple[Nearest, Curve]]:
    """Problems made of recorded curves in which a gradual-unfreeze trial is truly the best, and that trial.

    There is one for every such trial that was recorded: what beats it, or comes near it, is left out of the others.
    """
    recorded = read(path)
    problems = []
    for winner in (item.curve for item in recorded if item.config.strategy == "gradual_unfreeze"):
        limit = min(winner.values) * NEAR
        others = [item for item in recorded if min(item.curve.values) > limit]
        if len(others) >= FEWEST_OTHERS:
            problems.append((Nearest(others), winner))
    return problems


def lowest(curves: Forest, outcome: Mapping[Job, Trace]) -> float:
    """The lowest expected loss among random configurations and all that the searches found."""
    overrides = {**OVERRIDES}
    pool = sample_configs(search_spaces.load("googlenet_full"), overrides, {}, POOL)
    found = [value for job, trace in outcome.items() if not job.survival for _, value in trace.found]
    return min(*found, *(min(curves.curve(config).expected) for config in pool))


def print_origin(recorded: Sequence[Recorded], path: Path) -> None:
    """What was recorded, and how far the surrogate is off."""
    for name, value in made(path).items():
        print(f"{name}: {value}")
    best = sorted(min(item.curve.values) for item in recorded)
    low, middle, high = (best[int(share * (len(best) - 1))] for share in (0, 0.5, 1))
    print(
        f"recorded: {len(recorded)} configurations; best val_loss {low:.3f}, median {middle:.3f}, worst {high:.3f}"
    )
    measured = ", ".join(f"{name} {value:.3f}" for name, value in check(recorded).items())
    print(f"surrogate, tenfold cross-validated, of log val_loss: {measured}\n")


def print_table(
    title: str, names: Sequence[str], seeds: int, outcome: Mapping[Job, Trace], best: float
) -> None:
    """One Markdown row a search: means over seeds with 95 % intervals."""
    heads = [f"regret at {epochs}" for epochs in CHECKPOINTS]
    print(
        f"| {title} | {' | '.join(heads)} | epochs to {NEAR - 1:.0%} | reached | trials | late winner survives |"
    )
    print(f"|---|{'---|' * (len(heads) + 4)}")
    for name in names:
        traces = [outcome[Job(name, seed)] for seed in range(seeds)]
        regrets = [
            mean([trace.value_at(epochs) - best for trace in traces], "{:.4f}") for epochs in CHECKPOINTS
        ]
        needed = [trace.epochs_to(best * NEAR) for trace in traces]
        reach = [BUDGET if epochs is None else epochs for epochs in needed]
        survived = [bool(outcome[Job(name, seed, True)].forced_finished) for seed in range(seeds)]
        cells = [
            *regrets,
            mean(reach, "{:.0f}"),
            share([epochs is not None for epochs in needed]),
            f"{np.mean([trace.trials for trace in traces]):.0f}",
            share(survived),
        ]
        print(f"| {name} | {' | '.join(cells)} |")
    print()


def mean(values: Sequence[float], form: str) -> str:
    """Mean and 95 % t interval."""
    low, high = stats.t.interval(0.95, len(values) - 1, np.mean(values), max(stats.sem(values), 1e-12))
    return f"{form.format(np.mean(values))} [{form.format(low)}, {form.format(high)}]"


def share(hits: Sequence[bool]) -> str:
    """Share and 95 % Wilson interval."""
    interval = stats.binomtest(sum(hits), len(hits)).proportion_ci(method="wilson")
    return f"{np.mean(hits):.0%} [{interval.low:.0%}, {interval.high:.0%}]"


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--designs", action="store_true", help="also compare the choices inside tuner")
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--curves", type=Path, default=RECORDED)
    parser.add_argument("--workers", type=int, default=2)
    return parser.parse_args()


if __name__ == "__main__":
    main()
