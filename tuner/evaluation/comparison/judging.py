"""Finalists judged by their answers to the same images: scores with intervals, pairs, verdicts."""

import json
import math
from typing import Any

import numpy as np
import pandas as pd

from trainables.metrics import METRICS, Answers, Metric
from tuner.evaluation.comparison.conclusion import BEST, BETTER, CHOSEN, TIED, TOO_FEW, UNTESTED, WORSE
from tuner.evaluation.comparison.costs import decide, incurred
from tuner.evaluation.comparison.evidence import Evidence
from tuner.evaluation.comparison.finalists import Finalist
from tuner.runs.best_trial import by_all_images
from tuner.runs.ensemble import ENSEMBLE
from tuner.statistics.intervals import FloatArray
from tuner.statistics.means import cost_interval
from tuner.statistics.metric_intervals import metric_interval
from tuner.statistics.metric_tests import metric_test
from tuner.statistics.paired import SIGNIFICANCE, fewest_groups, holm
from tuner.statistics.scores import score, score_intervals

__all__ = ["cost_metric", "judge", "judged_metrics"]

MANY = 30
"""Finalists from which only comparisons with the best are made."""

COST = "cost"

PAIR = ["metric", "first", "second", "difference", "low", "high", "p", "groups_needed"]


def judge(evidence: Evidence, seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """One row a finalist, best validation first, and one row for every metric and every two finalists.

    The columns `verdict`, `difference`, `difference_low`, `difference_high`, `p` and `p_holm` compare with the first by
    the metric of the search; the same with the prefix `accuracy_`, `loss_` and, where costs are
    known, `cost_` by these. Differences are in the
    metric's own unit. Where there are too few groups for any difference to be significant no verdict is given, and a
    difference has no interval.
    """
    pairs = _pairs(evidence, seed)
    return _table(evidence, pairs, seed), pairs


def judged_metrics(evidence: Evidence) -> tuple[Metric, ...]:
    """The metric of the search, then log loss, accuracy and costs, by each of which finalists are told apart."""
    given = () if evidence.costs is None else (cost_metric(evidence.costs),)
    return tuple(dict.fromkeys((evidence.metric, METRICS["val_loss"], METRICS["val_accuracy"], *given)))


def cost_metric(costs: FloatArray) -> Metric:
    """The mean cost of an image where the class of least expected cost is named; `costs` [true class, named class]."""

    def values(answers: Answers) -> FloatArray:
        return incurred(answers.labels, decide(answers.probabilities, costs), costs)

    def compute(answers: Answers) -> float:
        return float(values(answers).mean())

    return Metric(
        COST,
        "minimize",
        compute,
        values,
        "The mean cost of an image.",
        order=len(METRICS),
        largest=float(costs.max() - costs.min()),
    )


def _estimate(one: Finalist) -> Any:
    """What new images are expected to lose: by all images that judged it, else by the validation images."""
    name, epoch = str(one.row["trial_id"]), one.row["best_epoch"]
    judged = by_all_images(one.run, *((name, epoch) if one.members is None else (ENSEMBLE, 0)))
    return one.row.get("estimate") if judged is None else judged[0]


def _table(evidence: Evidence, pairs: pd.DataFrame, seed: int) -> pd.DataFrame:
    rows = []
    for rank, one in enumerate(evidence.finalists, start=1):
        answers = evidence.answers(one.key)
        found = score(evidence.labels, answers.logits)
        sure = score_intervals(evidence.labels, answers.logits, evidence.groups, seed=seed)
        row: dict[str, Any] = {
            "rank": rank,
            "run": one.run.path.resolve().name,
            "trial_id": one.row["trial_id"],
        }
        row |= {"key": one.key, "label": one.label, "combination": one.config.combination}
        row |= {"model": one.config.model, "strategy": one.config.strategy, "status": one.row["status"]}
        row |= {"best_epoch": one.row["best_epoch"], "metric": evidence.metric.name, "value": one.value}
        row |= {"estimate": _estimate(one)}
        row |= {"test_value": evidence.metric.compute(answers)}
        row |= _ends(
            "test_value", metric_interval(evidence.metric, answers, evidence.groups, sure, seed=seed)
        )
        row |= {f"test_{metric.stem}": metric.compute(answers) for metric in METRICS.values()}
        row |= _ends("test_accuracy", sure.accuracy) | _ends("image_accuracy", sure.image_accuracy)
        for name in ("balanced_accuracy", "macro_f1"):
            row |= _ends(f"test_{name}", getattr(sure, name))
        row["calibration_error"] = found.calibration_error
        row |= _cost(evidence, one.key)
        for name in ("precision", "recall", "f1", "auc"):
            row |= {f"{name}[{c}]": v for c, v in zip(evidence.classes, getattr(found, name), strict=True)}
        for c, interval in zip(evidence.classes, sure.auc, strict=True):
            low, high = _ends("auc", interval).values()
            row |= {f"auc_low[{c}]": low, f"auc_high[{c}]": high}
        row["confusion"] = json.dumps(found.confusion)
        row["one_answer"] = None if found.one_answer is None else evidence.classes[found.one_answer]
        rows.append(row)
    table = pd.DataFrame(rows).astype({"one_answer": "object"})
    prefixes = {"": evidence.metric, "accuracy_": METRICS["val_accuracy"], "loss_": METRICS["val_loss"]}
    if evidence.costs is not None:
        prefixes["cost_"] = cost_metric(evidence.costs)
    for prefix, metric in prefixes.items():
        against = _against_best(evidence, pairs, metric)
        against.columns = pd.Index([name if name == "key" else f"{prefix}{name}" for name in against.columns])
        table = table.merge(against, on="key", how="left", validate="1:1")
    # With many classes there are many columns, each a block of its own; a copy joins them.
    return table.copy()


def _cost(evidence: Evidence, key: str) -> dict[str, float]:
    """The mean cost of an image and its interval over groups; nothing where no costs were given."""
    if evidence.costs is None:
        return {}
    answers = evidence.answers(key)
    paid = incurred(answers.labels, decide(answers.probabilities, evidence.costs), evidence.costs)
    return {"test_cost": float(paid.mean())} | _ends(
        "test_cost", cost_interval(paid, evidence.costs, evidence.groups)
    )


def _ends(name: str, interval: Any) -> dict[str, float]:
    low, high = (np.nan, np.nan) if interval is None else (interval.low, interval.high)
    return {f"{name}_low": low, f"{name}_high": high}


def _pairs(evidence: Evidence, seed: int) -> pd.DataFrame:
    """Every two finalists, of many only those with the best; `p_holm` corrects for all of a metric's questions."""
    keys, frames = [one.key for one in evidence.finalists], []
    asked = [
        (first, second)
        for i, first in enumerate(keys if len(keys) <= MANY else keys[:1])
        for second in keys[i + 1 :]
    ]
    blind = evidence.judges < fewest_groups()
    answers = {key: evidence.answers(key) for key in keys}
    for metric in judged_metrics(evidence):
        rows = []
        for first, second in asked:
            found = metric_test(
                metric, answers[first], answers[second], evidence.groups, seed=seed, questions=len(asked)
            )
            row = {"metric": metric.name, "first": first, "second": second, "difference": found.difference}
            low, high = (math.nan, math.nan) if blind else (found.interval.low, found.interval.high)
            row |= {"low": low, "high": high, "p": found.p_value}
            rows.append({**row, "groups_needed": found.needed})
        frame = pd.DataFrame(rows, columns=PAIR).astype({"groups_needed": "Int64"})
        frames.append(frame.assign(p_holm=holm([float(p) for p in frame["p"]])))
    return pd.concat(frames, ignore_index=True)


def _verdict(metric: Metric, difference: float, p_value: float, *, enough: bool, tested: bool) -> str:
    """A finalist's verdict by its value minus that of the first, and by the corrected p-value."""
    if not enough:
        return TOO_FEW
    if not tested:
        return UNTESTED
    if not p_value <= SIGNIFICANCE:
        return TIED
    return BETTER if metric.better(difference, 0.0) else WORSE


def _against_best(evidence: Evidence, pairs: pd.DataFrame, metric: Metric) -> pd.DataFrame:
    """Each finalist minus the chosen one in `metric`; `p_holm` corrects for these questions only, the fewest."""
    best = evidence.finalists[0].key
    mine = pairs[(pairs["first"] == best) & (pairs["metric"] == metric.name)]
    enough = evidence.judges >= fewest_groups(len(mine))
    rows: list[dict[str, Any]] = [{"key": best, "verdict": BEST if evidence.chosen_by is None else CHOSEN}]
    for row, adjusted in zip(mine.to_dict("records"), holm([float(p) for p in mine["p"]]), strict=True):
        difference = -row["difference"]
        verdict = _verdict(metric, difference, adjusted, enough=enough, tested=not math.isnan(row["low"]))
        low, high = (-row["high"], -row["low"]) if enough else (math.nan, math.nan)
        entry = {"key": row["second"], "difference": difference, "difference_low": low}
        entry |= {"difference_high": high, "p": row["p"], "p_holm": adjusted, "verdict": verdict}
        rows.append(entry)
    columns = ["key", "difference", "difference_low", "difference_high", "p", "p_holm", "verdict"]
    return pd.DataFrame(rows, columns=columns)
