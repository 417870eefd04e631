"""What a plan warns of, and what the search would leave on the disk."""

from collections import Counter
from collections.abc import Mapping, Sequence

from trainables import models, strategies
from trainables.config import CROP, FIELDS, TrialConfig
from trainables.data.preprocessing import cache_side
from trainables.wording import some
from tuner.console.reporter import clock
from tuner.dataset.config import DataConfig
from tuner.dataset.inspection.advice import FINALISTS
from tuner.dataset.judges import count_judges, in_option
from tuner.dataset.loading import Examined
from tuner.planning.timing import Cost
from tuner.statistics.paired import why_no_difference

TRIALS_PER_DIMENSION = 10
"""Below that many trials a parameter, a sampler knows little more than chance: Optuna's own advice is 10 to 100."""

FEWEST_OF_A_CHOICE = 3
"""Trials that have a value, of which something may be learnt about it."""

NAMED = 8
"""Hyperparameters and choices that a warning names at most."""

ADAM_STATES = 2


def unexplored(pool: Sequence[TrialConfig], samples: int) -> tuple[str, ...]:
    """What `samples` trials out of configurations like `pool` can't explore, in at most two sentences."""
    varied = _varied(pool)
    active = {name: sum(value is not None for value in values) / len(pool) for name, values in varied.items()}
    found, rare = [], []
    dimensions = round(sum(active.values()))
    if samples < TRIALS_PER_DIMENSION * dimensions:
        found.append(
            f"{samples} trials for {dimensions} hyperparameters a trial: fewer than {TRIALS_PER_DIMENSION} for each,"
            f" so the best is likely to be one of the first or a lucky one; {TRIALS_PER_DIMENSION * dimensions}"
            " trials, or a smaller space, would explore it. For a first try nothing needs to change"
        )
    for name, values in varied.items():
        if isinstance(next(value for value in values if value is not None), str):
            rare += _rare_choices(name, values, samples)
        elif active[name] * samples < FEWEST_OF_A_CHOICE and active[name] < 1:
            rare.append(f"{name} ({active[name] * samples:.1f})")
    if rare:
        found.append(
            f"fewer than {FEWEST_OF_A_CHOICE} trials, on average, will have {some(rare, most=NAMED)}: the search will"
            " say little about these"
        )
    return tuple(found)


def out_of_time(trials: float, samples: int, epochs: float, budget_s: float | None) -> tuple[str, ...]:
    """Whether the time budget ends the search before `samples` trials have begun."""
    if budget_s is None or trials > samples - 0.5:
        return ()
    return (
        f"the time budget of {clock(budget_s)} lets about {trials:.0f} of {samples} trials begin"
        f" ({epochs:.0f} epochs)",
    )


def few_judges(found: Examined, data: DataConfig, finalists: int) -> tuple[str, ...]:
    """Whether the test part has too few groups to tell so many finalists apart, and what would help."""
    from tuner.dataset.splitting import make_split, read_groups

    if found.sample:
        return ()
    given = read_groups(found.scan, found.groups, data.group_regex)
    judges = count_judges(
        found.split, finalists - 1, lambda shares: make_split(found.scan, given, shares, data.seed)
    )
    if judges.enough:
        return ()
    unit = "group" if found.split["group"].duplicated().any() else "image"
    share = ""
    if judges.advised is not None:
        shares, count = judges.advised
        share = f", --split {in_option(shares)} gives {count:,}"
    return (
        f"{why_no_difference(judges.groups, finalists, unit)} More photographs help{share}, and with tuner compare RUN"
        f" --folds 5 all {judges.every:,} {unit}s judge",
    )


def finalists_of(pool: Sequence[TrialConfig], samples: int) -> int:
    """How many finalists a search of `samples` trials of `pool` brings, about: the best of every combination.

    At least two, without which there is nothing to compare.
    """
    combinations = len({config.combination for config in pool[:samples]})
    return max(2, min(samples, max(FINALISTS, combinations)))


def disk_bytes(
    costs: Mapping[tuple[str, str], Cost],
    pool: Sequence[TrialConfig],
    *,
    samples: int,
    keep: int,
    concurrent: int,
    images: int,
    image_size: int,
    train_images: int,
    feature_cache_limit: int,
    fit: str = CROP,
) -> dict[str, int]:
    """Bytes by what they are: kept weights, state for resume, image cache, feature cache.

    Photographs are taken as 4 : 3 where their shape is not known; of squash and pad it is a square.
    """
    largest = max(cost.weights_bytes for cost in costs.values())
    alive = max(cost.weights_bytes + (1 + ADAM_STATES) * cost.trained_bytes for cost in costs.values())
    combinations = len({config.combination for config in pool[:samples]})
    depth = _frozen_depth(pool)
    width = {cost.model: cost.feature_width for cost in costs.values()}
    aspect = 4 / 3 if fit == CROP else 1.0
    feature_cache = sum(epochs * train_images * width[model] * 4 for (model, _), epochs in depth.items())
    return {
        "kept weights": min(combinations + keep, samples) * largest,
        "state for resume": concurrent * alive,
        "image cache": round(images * cache_side(image_size, fit) ** 2 * 3 * aspect),
        "frozen features": min(feature_cache, feature_cache_limit),
    }


def _frozen_depth(pool: Sequence[TrialConfig]) -> dict[tuple[str, str], int]:
    """For how many epochs some trial of `pool` keeps the whole backbone frozen, by model and augmentation.

    Each augmentation has features of its own, and so have the pictures without one that linear probes read.
    """
    depth: dict[tuple[str, str], int] = {}
    for config in pool:
        plain = strategies.is_linear_probe(config.strategy)
        key = (config.model, "" if plain else config.augmentation)
        frozen = strategies.frozen_epochs(config, models.num_stages(config.model))
        depth[key] = max(depth.get(key, 0), frozen)
    return depth


def _varied(pool: Sequence[TrialConfig]) -> dict[str, list[object]]:
    """The values of every parameter that differs among trials; a condition alone is no difference."""
    columns = {name: [getattr(config, name) for config in pool] for name in FIELDS if name != "seed"}
    return {
        name: values
        for name, values in columns.items()
        if len({value for value in values if value is not None}) > 1
    }


def _rare_choices(name: str, values: Sequence[object], samples: int) -> list[str]:
    counts = Counter(value for value in values if value is not None)
    rare = {choice: count / len(values) * samples for choice, count in counts.items()}
    return [
        f"{name} {choice} ({expected:.1f})"
        for choice, expected in rare.items()
        if expected < FEWEST_OF_A_CHOICE
    ]
