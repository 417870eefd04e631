"""Does it find better trials? Searches replayed over recorded learning curves, tuner's against its peers.

    python benchmarks/search_quality.py [--designs] [--seeds 40]

Equal for all: the space `recorded_space.py`, the curves, two workers in virtual time, ten epochs a trial at most, a
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
from replay_curves import RECORDED, Curve, Nearest, Recorded, Surrogate, check, made, read
from replay_designs import DESIGNS, LEVEL, SHIPPED
from replay_searchers import OVERRIDES, Trace, quiet, replay
from scipy import stats

import search_spaces
from search_spaces.sampling import sample_configs

BUDGET = 240
"""Epochs that a search may spend: those of the space's 24 trials if nobody is stopped."""

SURVIVALS = 120
NEAR, FEW = 1.05, 0.01
FEWEST_OTHERS = 20
"""Recorded configurations that a problem has at least."""

POOL = 3000
"""Random configurations among which, with the searches' own finds, the best is looked for."""


SPACE = str(Path(__file__).with_name("recorded_space.py"))


@dataclass(frozen=True)
class Job:
    """One replay: which searcher, which seed, and whether it is about a late bloomer's survival."""

    name: str
    seed: int
    survival: bool = False
    epochs: int = BUDGET


@dataclass(frozen=True)
class Goals:
    """Expected losses: the lowest that anything reaches, 5 % above it, and what the best 1 % of random trials reach."""

    lowest: float
    near: float
    few: float


def main() -> None:
    """Check the surrogate, replay, print the tables."""
    options = arguments()
    print_origin(read(options.curves), options.curves)
    chosen = {**SHIPPED, **LEVEL, **(DESIGNS if options.designs else {})}
    jobs = [Job(name, seed, False, options.epochs) for seed in range(options.seeds) for name in chosen]
    jobs += [Job(name, seed, True) for seed in range(SURVIVALS) for name in chosen]
    started = time.perf_counter()
    with multiprocessing.get_context("spawn").Pool(options.workers) as pool:
        traces = pool.map(functools.partial(run, path=options.curves), jobs, chunksize=4)
    outcome = dict(zip(jobs, traces, strict=True))
    goals = goals_of(Surrogate(read(options.curves)), outcome)
    print(
        f"{len(jobs)} searches in {time.perf_counter() - started:.0f} s; lowest loss that a trial can reach"
        f" {goals.lowest:.4f}, 5 % above {goals.near:.4f}; the best 1 % of random ones reach {goals.few:.4f}\n"
    )
    print_table("as they come", list(SHIPPED), options.seeds, outcome, goals)
    print_table("from the same random trials", list(LEVEL), options.seeds, outcome, goals)
    if options.designs:
        print_table("designs of tuner", [next(iter(LEVEL)), *DESIGNS], options.seeds, outcome, goals)


def run(job: Job, path: Path = RECORDED) -> Trace:
    """Replay one search."""
    quiet()
    searcher = {**SHIPPED, **LEVEL, **DESIGNS}[job.name](search_spaces.load(SPACE), job.seed)
    if not job.survival:
        return replay(searcher, surrogate(path).curve, job.epochs, seed=job.seed)
    problems = late_problems(path)
    others, winner = problems[job.seed % len(problems)]
    number = int(np.random.default_rng(job.seed).integers(3, 20))
    return replay(searcher, others.curve, BUDGET, seed=job.seed, forced={number: winner})


@functools.cache
def surrogate(path: Path) -> Surrogate:
    """The surrogate of the recorded curves, once a process."""
    return Surrogate(read(path))


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


def goals_of(curves: Surrogate, outcome: Mapping[Job, Trace]) -> Goals:
    """What can be reached, from random configurations and all that the searches found."""
    pool = sample_configs(search_spaces.load(SPACE), OVERRIDES, {}, POOL)
    random = [min(curves.curve(config).expected) for config in pool]
    found = [value for job, trace in outcome.items() if not job.survival for _, value in trace.found]
    lowest = min(*found, *random)
    return Goals(lowest, lowest * NEAR, float(np.quantile(random, FEW)))


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
    title: str, names: Sequence[str], seeds: int, outcome: Mapping[Job, Trace], goals: Goals
) -> None:
    """One Markdown row a search: means over seeds with 95 % intervals; the first row is what others are behind of."""
    budget = max(job.epochs for job in outcome if not job.survival)
    checkpoints = (budget // 4, budget // 2, budget)
    heads = [f"regret at {epochs}" for epochs in checkpoints]
    heads += ["behind the first row", "epochs to best 1 %", "reached", "epochs to 5 %", "reached", "trials"]
    heads += ["late winner survives"]
    print(f"| {title} | {' | '.join(heads)} |\n|---|{'---|' * len(heads)}")
    ahead = [outcome[Job(names[0], seed, False, budget)].value_at(budget) for seed in range(seeds)]
    for name in names:
        traces = [outcome[Job(name, seed, False, budget)] for seed in range(seeds)]
        cells = [
            mean([trace.value_at(at) - goals.lowest for trace in traces], "{:.3f}") for at in checkpoints
        ]
        behind = [trace.value_at(budget) - value for trace, value in zip(traces, ahead, strict=True)]
        cells.append("" if name == names[0] else mean(behind, "{:+.3f}"))
        for goal in (goals.few, goals.near):
            needed = [trace.epochs_to(goal) for trace in traces]
            cells.append(mean([budget if epochs is None else epochs for epochs in needed], "{:.0f}"))
            cells.append(share([epochs is not None for epochs in needed]))
        cells.append(f"{np.mean([trace.trials for trace in traces]):.0f}")
        survived = [bool(outcome[Job(name, seed, True)].forced_finished) for seed in range(SURVIVALS)]
        print(f"| {name} | {' | '.join([*cells, share(survived)])} |")
    print()


def mean(values: Sequence[float], form: str) -> str:
    """Mean and 95 % t interval; a search that never got there counts with its whole budget."""
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
    parser.add_argument("--epochs", type=int, default=BUDGET, help="that a search may spend")
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--curves", type=Path, default=RECORDED)
    parser.add_argument("--workers", type=int, default=2)
    return parser.parse_args()


if __name__ == "__main__":
    main()
