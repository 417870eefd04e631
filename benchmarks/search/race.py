"""A race of searches, real trials in real seconds: tuner, Ray's ASHA with OptunaSearch, random without stopping.

    python -m benchmarks.search.race

All fine-tune EfficientNet-Lite0 from its ImageNet weights over `recorded_space.py`, from the same random first trials,
with two trials at once, for the same seconds on the clock, which starts before Ray does. Ray's are used as its
documentation shows them, ASHAScheduler(max_t=10, grace_period=1, reduction_factor=2) with OptunaSearch(), in a function
trainable that reports every epoch and keeps the weights of its best; it trains by tuner's own loop on tuner's cached
images, so that what differs is the search and how trials are run. A repeat has a seed of its own, for the split, the
first trials and the searches. Shown is the validation loss of the best trial so far at each quarter of the time, and
the test loss of what each would ship in the end.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.common import SPLIT, Images, chosen_images, parse, print_held_equal, say, source
from benchmarks.search.recorded_space import STRATEGIES, restricted_to
from benchmarks.speed.children import children, measure_at_once

SPACE = Path(__file__).with_name("recorded_space.py")
MODEL = "timm:tf_efficientnet_lite0"
MAX_EPOCHS, WORKERS = 10, 2
SECONDS, NUM_IMAGES, SIZE = 300, 500, 96
QUARTERS = (0.25, 0.5, 0.75, 1.0)
MANY = 10_000
"""Samples of a search that only its time ends."""

OURS = "tuner"
THEIRS = "Ray ASHA + OptunaSearch"
CHANCE = "random, nobody stopped"


@dataclass(frozen=True)
class Race:
    """What all contenders have in common; `first` are the parameters of the first trials."""

    images: Images
    weights: str
    size: int
    seconds: int
    seed: int
    first: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class Result:
    """(seconds, val_loss) whenever a better epoch was known, the test loss of the best, and how many trials began."""

    found: list[tuple[float, float]]
    test_loss: float
    trials: int

    def at(self, seconds: float) -> float:
        """The best val_loss after so many seconds."""
        return min((loss for known, loss in self.found if known <= seconds), default=float("inf"))


class Watch:
    """Notes when a better epoch is known; an observer of a search."""

    def __init__(self) -> None:
        self.began = time.perf_counter()
        self.found: list[tuple[float, float]] = []
        self.trials: set[str] = set()

    def started(self, trial: Any) -> None:
        """Nothing to note; called by the store."""

    def epoch(self, trial: Any, event: Any) -> None:
        """Note the loss if it is the lowest; called by the store."""
        self.note(event.trial_id, event.values["val_loss"])

    def ended(self, trial: Any, event: Any) -> None:
        """Nothing to note; called by the store."""

    def note(self, trial: str, loss: float) -> None:
        """The loss of an epoch of a trial."""
        self.trials.add(trial)
        if not self.found or loss < self.found[-1][1]:
            self.found.append((time.perf_counter() - self.began, loss))


def first_trials(seed: int) -> tuple[Mapping[str, Any], ...]:
    """The random configurations that all searches of a seed begin with."""
    import search_spaces
    from benchmarks.search.replay_clock import Problem
    from benchmarks.search.replay_designs import random_trials

    return tuple(random_trials(Problem(search_spaces.load(str(SPACE)), restricted_to(MODEL)), seed))


def by_tuner(race: Race) -> Callable[[], Result]:
    """`tuner run` on the space with these first trials in place of its own."""

    def measure() -> Result:
        with tempfile.TemporaryDirectory() as folder:
            os.environ["TUNER_CACHE_DIR"] = f"{folder}/cache"
            watch = Watch()
            from tuner.evaluation.comparison.finalists import score_with_weights
            from tuner.tuning.config import search_config
            from tuner.tuning.loop import search

            space = Path(folder) / "space.py"
            own = SPACE.read_text(encoding="utf-8")
            space.write_text(
                f"{own}\n\nfirst_trials = {[dict(one) for one in race.first]!r}\n", encoding="utf-8"
            )
            config = search_config(
                space=str(space),
                data=race.images.folder,
                groups=race.images.groups,
                split=SPLIT,
                models=(MODEL,),
                strategies=STRATEGIES,
                samples=MANY,
                max_epochs=MAX_EPOCHS,
                image_size=race.size,
                weights=race.weights,
                seed=race.seed,
                concurrent=WORKERS,
                time_budget_s=race.seconds,
                runs_dir=Path(folder),
                name="run",
                dashboard=False,
            )
            result = search(config, observers=(watch,))
            rows = result.run.trials().sort_values("val_loss").to_dict("records")
            best = next(row for row in rows if result.run.weights(str(row["trial_id"])).exists())
            logits = score_with_weights(result.run, best, _test_paths(race))
        return Result(watch.found, _loss(race, logits), len(watch.trials))

    return measure


def by_ray(race: Race, *, stopping: bool = True) -> Callable[[], Result]:
    """A script around Ray Tune; without `stopping` random proposals run to their end."""

    def measure() -> Result:
        with tempfile.TemporaryDirectory() as folder:
            watch = Watch()
            import optuna
            import torch
            from ray import tune
            from ray.tune.schedulers import ASHAScheduler, FIFOScheduler
            from ray.tune.search.optuna import OptunaSearch

            import search_spaces
            from benchmarks.speed.plain_ray import Told, define, train_cached
            from benchmarks.speed.trials import started_ray

            space, overrides = search_spaces.load(str(SPACE)), {"max_epochs": MAX_EPOCHS}

            sample = partial(define, space=space, overrides=overrides, allowed=restricted_to(MODEL))
            goal = {"metric": "val_loss", "mode": "min"}
            how: dict[str, Any] = {**goal, "seed": race.seed}
            if not stopping:
                how = {**goal, "sampler": optuna.samplers.RandomSampler(seed=race.seed)}
            asha = ASHAScheduler(
                **goal, time_attr="training_iteration", max_t=MAX_EPOCHS, grace_period=1, reduction_factor=2
            )
            trainable = tune.with_parameters(
                train_cached, images=race.images, size=race.size, weights=race.weights, seed=race.seed
            )
            tuner = tune.Tuner(
                tune.with_resources(trainable, {"cpu": 1}),
                tune_config=tune.TuneConfig(
                    search_alg=OptunaSearch(
                        sample, points_to_evaluate=[dict(one) for one in race.first], **how
                    ),
                    scheduler=asha if stopping else FIFOScheduler(),
                    num_samples=MANY,
                    max_concurrent_trials=WORKERS,
                    time_budget_s=race.seconds,
                ),
                run_config=tune.RunConfig(storage_path=folder, verbose=0, callbacks=[Told(watch.note)]),
            )
            with started_ray():
                results = tuner.fit()
            if results.errors:
                raise RuntimeError(f"a trial of Ray's: {results.errors[0]}")
            ended = [one for one in results if one.best_checkpoints]
            best = min(ended, key=lambda one: min(one.metrics_dataframe["val_loss"]))
            kept, _ = min(best.best_checkpoints, key=lambda pair: pair[1]["val_loss"])
            state = torch.load(Path(kept.path) / "weights.pt", weights_only=True)
            logits = _scored(race, best.config, state)
        return Result(watch.found, _loss(race, logits), len(watch.trials))

    return measure


def _test_paths(race: Race) -> list[str]:
    return [path for path, _, part in race.images.rows if part == "test"]


def _scored(race: Race, config: Mapping[str, Any], state: Mapping[str, Any]) -> Any:
    from benchmarks.speed.plain_ray import cached_run
    from trainables.data.cache import ImageCache, build_cache
    from trainables.inference import compute_logits

    run = cached_run(config, race.images, race.size, race.weights, race.seed)
    run.classifier.load_state_dict(state)
    paths = _test_paths(race)
    cache = ImageCache.open(
        build_cache(
            race.images.folder, paths, paths, race.size, cache_dir=race.images.folder.parent / "cache"
        )
    )
    compute = run.compute
    return compute_logits(
        run.classifier, cache, cache.rows(paths), race.size, compute.precision, compute.device
    ).numpy()


def _loss(race: Race, logits: Any) -> float:
    """Mean cross-entropy (nats) of the test images."""
    import torch

    truth = {path: label for path, label, part in race.images.rows if part == "test"}
    labels = torch.tensor([race.images.classes.index(truth[path]) for path in _test_paths(race)])
    return float(torch.nn.functional.cross_entropy(torch.as_tensor(logits).double(), labels))


CONTENDERS: Mapping[str, Callable[[Race], Callable[[], Result]]] = {
    OURS: by_tuner,
    THEIRS: by_ray,
    CHANCE: partial(by_ray, stopping=False),
}


def main() -> None:
    """Race, print every run and the medians."""
    options = parse(__doc__, seconds=SECONDS, images=NUM_IMAGES, size=SIZE)
    seconds, size = (60, 32) if options.quick else (options.seconds, options.size)
    num_images = 60 if options.quick else options.images
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))
    from pretrained import write_lite_weights

    runs: dict[str, list[Result]] = {name: [] for name in CONTENDERS}
    with tempfile.TemporaryDirectory() as folder:
        weights = str(write_lite_weights(Path(folder) / "weights.pt", MODEL))
        for seed in range(options.repeats):
            with chosen_images(num_images, seed=seed) as images:
                race = Race(images, weights, size, seconds, seed, first_trials(seed))
                names = list(CONTENDERS)
                for name in names[seed % len(names) :] + names[: seed % len(names)]:
                    with children(CONTENDERS[name], [race]) as group:
                        runs[name].append(measure_at_once(group)[0])
                    say(
                        f"  seed {seed}, {name}: {[round(runs[name][-1].at(q * seconds), 4) for q in QUARTERS]}"
                    )
                words = f"{images.count('train')}, {images.count('val')}, {images.count('test')}"
    title = f"best val_loss by {seconds} s, {size} px, {words} images for training, validation and test"
    show(title, runs, seconds)
    print_held_equal(
        f"{source()[2]}, of a repeat the same for all",
        f"{MODEL} from ImageNet weights",
        "space and first trials",
        "the training loop and the cached images",
        f"{WORKERS} trials at once on one core each, {MAX_EPOCHS} epochs at most",
    )


def show(title: str, runs: Mapping[str, list[Result]], seconds: int) -> None:
    """A row for every run, a row of medians for every contender, and whether tuner's median is ahead throughout."""
    heads = [f"at {share:.0%}" for share in QUARTERS]
    print(f"\n{title}\n\n| search | seed | {' | '.join(heads)} | test loss | trials |\n|---|---|{'---|' * 6}")
    medians = {}
    for name, found in runs.items():
        for seed, one in enumerate(found):
            cells = [f"{one.at(share * seconds):.4f}" for share in QUARTERS]
            print(f"| {name} | {seed} | {' | '.join(cells)} | {one.test_loss:.4f} | {one.trials} |")
    for name, found in runs.items():
        medians[name] = [statistics.median(one.at(share * seconds) for one in found) for share in QUARTERS]
        cells = [f"{value:.4f}" for value in medians[name]]
        test = statistics.median(one.test_loss for one in found)
        trials = statistics.median(one.trials for one in found)
        print(f"| {name} | median | {' | '.join(cells)} | {test:.4f} | {trials:.0f} |")
    ahead = [
        all(medians[OURS][place] < medians[name][place] for name in runs if name != OURS)
        for place in range(len(QUARTERS))
    ]
    told = ", ".join(
        f"{share:.0%} {'yes' if yes else 'no'}" for share, yes in zip(QUARTERS, ahead, strict=True)
    )
    print(f"\ntuner's median is the lowest at {told}")


if __name__ == "__main__":
    main()
