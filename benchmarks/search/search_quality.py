"""Does it find better trials? Searches replayed over recorded learning curves, tuner's against its peers.

    python -m benchmarks.search.search_quality [--curves FILE ...] [--designs] [--seeds 40]

Equal for all: the space `recorded_space.py`, the curves, two workers on one virtual clock, ten epochs a trial at most,
and as many seconds as 120 epochs of the whole network take. Peers as their documentation shows them:
ASHAScheduler(max_t=10, grace_period=1, reduction_factor=2) as in Ray's PyTorch example, with OptunaSearch() or random
proposals; Optuna's TPESampler() with SuccessiveHalvingPruner() or HyperbandPruner(). Ray's HyperBandForBOHB is not
among them: its TuneBOHB draws from a fixed ConfigSpace and can't follow a define-by-run space. With --designs also the
choices inside tuner. The floor of a set is looked for before any search is run on it.
"""

import argparse
import functools
import multiprocessing
import pickle
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy import stats
from threadpoolctl import threadpool_limits

import search_spaces
from benchmarks.search.recorded_curves import Recorded, made, read
from benchmarks.search.recorded_space import restricted_to
from benchmarks.search.replay_clock import OVERRIDES, Problem, Trace, replay
from benchmarks.search.replay_curves import Curve, Nearest, Surrogate, as_recorded, check, seconds_of
from benchmarks.search.replay_designs import (
    DESIGNS,
    LEVEL,
    OLDER,
    OPTUNA_ASHA,
    RANDOM_ASHA,
    SHIPPED,
    TUNER,
    Make,
)
from benchmarks.search.replay_floor import goals
from benchmarks.search.replay_searchers import quiet

HERE = Path(__file__).parent
SETS = (HERE / "curves.parquet", *sorted((HERE / "curves").glob("*.parquet")))

HELD_OUT = ("leaves-lite1",)
"""Sets on which nothing was chosen: no design, no prior, no first trial."""

EQUIVALENTS = 120
"""Epochs of the whole network whose seconds a search may spend, on all its workers together."""

WORKERS = 2
QUARTERS = (0.25, 0.5, 0.75, 1.0)
NEAR = 1.05
FEWEST_OTHERS = 20
"""Recorded configurations that a problem of a late winner has at least."""

RESAMPLES = 2000
SPACE = str(HERE / "recorded_space.py")
ALL: Mapping[str, Make] = {**SHIPPED, **LEVEL, **DESIGNS, **OLDER}


@dataclass(frozen=True)
class Job:
    """One replay: which searcher, which seed, and whether it is about a late bloomer's survival."""

    name: str
    seed: int
    survival: bool = False


@dataclass(frozen=True)
class Case:
    """A file of curves made ready: what is replayed, the lowest loss, and the seconds of a search."""

    problem: Problem
    recorded: list[Recorded]
    curves: Surrogate
    lowest: float
    few: float
    budget: float


def main() -> None:
    """Each set: check the surrogate, look for the floor, replay, print the tables."""
    options = arguments()
    torch.set_num_threads(1)
    quiet()
    for path in options.curves or SETS:
        print(f"## {path.stem}\n")
        case = ready(path)
        describe(case, path)
        chosen = {
            **SHIPPED,
            **LEVEL,
            **(DESIGNS if options.designs else {}),
            **(OLDER if options.older else {}),
        }
        outcome = replay_all(case, list(chosen), options)
        report("as they come", list(SHIPPED), options.seeds, outcome, case)
        report("from the same random trials", list(LEVEL), options.seeds, outcome, case)
        inside = [f"{TUNER}, level", f"{RANDOM_ASHA}, level", f"{OPTUNA_ASHA}, level"]
        if options.designs or options.older:
            names = [name for name in {**DESIGNS, **OLDER} if name in chosen]
            report("designs of tuner", [*inside, *names], options.seeds, outcome, case)


def ready(path: Path) -> Case:
    """All that searches on the file `path` need, made without any of them."""
    recorded = read(path)
    problem = Problem(search_spaces.load(SPACE), restricted_to(recorded[0].config.model))
    curves = Surrogate(recorded)
    lowest, few = goals(curves, problem.space, OVERRIDES, problem.allowed)
    return Case(problem, recorded, curves, lowest, few, EQUIVALENTS * curves.seconds.full / WORKERS)


def replay_all(case: Case, names: Sequence[str], options: argparse.Namespace) -> Mapping[Job, Trace]:
    """Every search on every seed, and on the problems with a late winner if there are any."""
    jobs = [Job(name, seed) for seed in range(options.seeds) for name in names]
    if late_problems(case):
        jobs += [Job(name, seed, True) for seed in range(options.survivals) for name in names]
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder) / "case.pickle"
        kept.write_bytes(pickle.dumps(case))
        replayed = functools.partial(run, kept=kept)
        if options.workers == 1:
            traces = list(map(replayed, jobs))
        else:
            with multiprocessing.get_context("spawn").Pool(options.workers) as pool:
                traces = pool.map(replayed, jobs, chunksize=4)
    print(f"{len(jobs)} searches in {time.perf_counter() - started:.0f} s\n", flush=True)
    return dict(zip(jobs, traces, strict=True))


def run(job: Job, kept: Path) -> Trace:
    """Replay one search over the case that is pickled in `kept`, on one core."""
    # The surrogate's linear algebra would take every core, and each replay has one.
    with threadpool_limits(1):
        return _replayed(job, kept)


def _replayed(job: Job, kept: Path) -> Trace:
    quiet()
    torch.set_num_threads(1)
    case, problems = _opened(kept)
    searcher = ALL[job.name](case.problem, job.seed)
    if not job.survival:
        return replay(searcher, case.curves.curve, case.budget, WORKERS, job.seed)
    others, winner = problems[job.seed % len(problems)]
    number = int(np.random.default_rng(job.seed).integers(3, 20))
    return replay(searcher, others.curve, 4 * case.budget, WORKERS, job.seed, {number: winner})


@functools.cache
def _opened(kept: Path) -> tuple[Case, list[tuple[Nearest, Curve]]]:
    case: Case = pickle.loads(kept.read_bytes())
    return case, late_problems(case)


def late_problems(case: Case) -> list[tuple[Nearest, Curve]]:
    """Problems made of recorded curves in which a gradual-unfreeze trial is truly the best, and that trial.

    There is one for every such trial that was recorded: what beats it, or comes near it, is left out of the others.
    """
    problems = []
    for winner in (item for item in case.recorded if item.config.strategy == "gradual_unfreeze"):
        limit = winner.level * NEAR
        others = [item for item in case.recorded if item.level > limit]
        if len(others) >= FEWEST_OTHERS:
            problems.append((Nearest(others), as_recorded(winner, seconds_of(case.recorded))))
    return problems


def describe(case: Case, path: Path) -> None:
    """What was recorded, its noise and costs, how far the surrogate is off, and the floor."""
    for name, value in made(path).items():
        print(f"{name}: {value}")
    levels = sorted(item.level for item in case.recorded)
    low, middle, high = (levels[int(share * (len(levels) - 1))] for share in (0, 0.5, 1))
    curves = sum(len(item.values) for item in case.recorded)
    print(
        f"recorded: {len(case.recorded)} configurations, {curves} curves; best val_loss {low:.3f}, median"
        f" {middle:.3f}, worst {high:.3f}"
    )
    noise, seconds = case.curves.noise, case.curves.seconds
    parts = {
        "epoch to epoch": noise.epoch,
        "seed to seed": noise.trial,
        "validation against truth": noise.split,
    }
    told = ", ".join(f"{name} {'not known' if sd is None else f'{sd:.3f}'}" for name, sd in parts.items())
    print(f"noise, standard deviations of log val_loss: {told}")
    print(f"an epoch: {seconds.full:.2f} s for the whole network, {seconds.cached:.2f} s on kept features")
    measured = ", ".join(f"{name} {value:.3f}" for name, value in check(case.recorded).items())
    print(f"surrogate, tenfold cross-validated, of log val_loss: {measured}")
    print(
        f"lowest expected loss of the space {case.lowest:.4f}, found before any search; the best 1 % of random"
        f" configurations reach {case.few:.4f}\nclock: {case.budget:.0f} s with {WORKERS} workers\n",
        flush=True,
    )


def report(title: str, names: Sequence[str], seeds: int, outcome: Mapping[Job, Trace], case: Case) -> None:
    """One Markdown row a search: means over seeds, ratios of mean regrets to the two of Ray's, 95 % intervals."""
    level = ", level" if any(name.endswith("level") for name in names) else ""
    peers = [f"{RANDOM_ASHA}{level}", f"{OPTUNA_ASHA}{level}"]
    heads = [f"regret at {share:.0%}" for share in QUARTERS]
    heads += [f"regret, {peer} = 1" for peer in (RANDOM_ASHA, OPTUNA_ASHA)]
    heads += [f"time to the last regret of {RANDOM_ASHA}", "trials", "epochs", "late winner survives"]
    print(f"| {title} | {' | '.join(heads)} |\n|---|{'---|' * len(heads)}")
    traces = {name: [outcome[Job(name, seed)] for seed in range(seeds)] for name in [*names, *peers]}
    regrets = {name: _regrets(found, case) for name, found in traces.items()}
    for name in names:
        cells = [mean(list(regrets[name][:, place]), "{:.3f}") for place in range(len(QUARTERS))]
        cells += [ratio(regrets[name][:, -1], regrets[peer][:, -1]) for peer in peers]
        cells.append(time_to_equal(traces[name], regrets[peers[0]][:, -1], case))
        cells.append(f"{np.mean([trace.trials for trace in traces[name]]):.0f}")
        cells.append(f"{np.mean([trace.epochs for trace in traces[name]]):.0f}")
        survivals = [trace for job, trace in outcome.items() if job.name == name and job.survival]
        cells.append(share([bool(trace.forced_finished) for trace in survivals]) if survivals else "")
        print(f"| {name} | {' | '.join(cells)} |")
    print(flush=True)


def _regrets(traces: Sequence[Trace], case: Case) -> np.ndarray:
    """Expected losses above the floor, [seeds, quarters]."""
    return np.array(
        [[trace.value_at(share * case.budget) - case.lowest for share in QUARTERS] for trace in traces]
    )


def mean(values: Sequence[float], form: str) -> str:
    """Mean and 95 % t interval."""
    low, high = stats.t.interval(0.95, len(values) - 1, np.mean(values), max(stats.sem(values), 1e-12))
    return f"{form.format(np.mean(values))} [{form.format(low)}, {form.format(high)}]"


def ratio(values: np.ndarray, peers: np.ndarray) -> str:
    """Of the means, with a 95 % interval over the seeds, drawn in pairs."""
    return _resampled(len(values), lambda seeds: float(values[seeds].mean() / peers[seeds].mean()))


def time_to_equal(traces: Sequence[Trace], peers: np.ndarray, case: Case) -> str:
    """The share of the clock after which the mean regret is no more than the last one of `peers`."""
    grid = np.linspace(0.01, 1, 100)
    regrets = np.array([[trace.value_at(at * case.budget) - case.lowest for at in grid] for trace in traces])

    def reached(seeds: np.ndarray) -> float:
        good = regrets[seeds].mean(0) <= peers[seeds].mean()
        return float(grid[good.argmax()]) if good.any() else 1.0

    return _resampled(len(traces), reached)


def _resampled(count: int, measure: Callable[[np.ndarray], float]) -> str:
    random = np.random.default_rng(0)
    found = [measure(random.integers(count, size=count)) for _ in range(RESAMPLES)]
    low, high = np.quantile(found, (0.025, 0.975))
    return f"{measure(np.arange(count)):.2f} [{low:.2f}, {high:.2f}]"


def share(hits: Sequence[bool]) -> str:
    """Share and 95 % Wilson interval."""
    interval = stats.binomtest(sum(hits), len(hits)).proportion_ci(method="wilson")
    return f"{np.mean(hits):.0%} [{interval.low:.0%}, {interval.high:.0%}]"


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--designs", action="store_true", help="also compare the choices inside tuner")
    parser.add_argument("--older", action="store_true", help="also those made before rungs counted cost")
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument(
        "--survivals", type=int, default=120, help="replays with a late winner of each search"
    )
    parser.add_argument(
        "--curves", type=Path, nargs="+", help="files to replay; by default those in benchmarks/"
    )
    parser.add_argument("--workers", type=int, default=2)
    return parser.parse_args()


if __name__ == "__main__":
    main()
