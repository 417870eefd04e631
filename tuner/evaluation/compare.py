"""The final comparison: finalists chosen on validation, scored on the test images, told apart honestly."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from trainables.errors import InvalidValue, RunProblem
from trainables.metrics import METRICS
from trainables.ranges import check
from trainables.temperature import fit_temperature
from tuner.console.reporter import Reporter
from tuner.evaluation.comparison.by_image import leak_sentence, with_by_image
from tuner.evaluation.comparison.collapse import collapse_sentence
from tuner.evaluation.comparison.conclusion import conclude
from tuner.evaluation.comparison.costs import read_costs
from tuner.evaluation.comparison.doubts import doubts
from tuner.evaluation.comparison.ensemble import (
    Ensemble,
    choose_ensemble,
    ensemble_logits,
    record,
    voted_for_none,
)
from tuner.evaluation.comparison.evidence import Comparison, Evidence, Validation
from tuner.evaluation.comparison.files import write_markdown, write_tables
from tuner.evaluation.comparison.finalists import (
    Finalist,
    Scorer,
    check_judges,
    check_same_split,
    choose_finalists,
    images_of,
    judging_images,
    note_scoring,
    score_with_weights,
)
from tuner.evaluation.comparison.folds import OutOfFold, judge_folds
from tuner.evaluation.comparison.judging import judge
from tuner.evaluation.comparison.plain import in_plain_words
from tuner.evaluation.comparison.tradeoffs import with_running_costs
from tuner.evaluation.report.published import finding, with_published
from tuner.evaluation.retrained.session import Retraining, SeedDemands, Trained, retrained
from tuner.runs.directory import Run
from tuner.runs.paths import try_folder
from tuner.statistics.intervals import FloatArray

__all__ = ["Inputs", "check_inputs", "compare"]


def compare(
    runs: Sequence[Path],
    *,
    out: Path | None = None,
    top: int = 5,
    ensemble: int = 0,
    costs: Path | None = None,
    seed: int = 0,
    scorer: Scorer | None = None,
    seed_scores: pd.DataFrame | None = None,
    retraining: Retraining | None = None,
    demands: SeedDemands | None = None,
    reporter: Reporter | None = None,
    fresh_check: bool = True,
) -> Comparison:
    """Score the finalists of `runs` on their common test images and write tables, figures and a page.

    They go to `out`, by default `report/` in the first run. An ensemble of at most `ensemble` kept trials, chosen
    on validation, is one more finalist, the last in the table whatever its validation score, and is noted in the
    run's best.yaml; 0 looks for none. With `costs`, a file of what answers cost, finalists are also judged by the
    mean cost of an image, the class of least expected cost being named. `retraining` says what the finalists are
    trained anew for, `demands` what that asks of Ray; it begins once the look at the test images is recorded. Seeds
    that were trained before may be given as `seed_scores` (key, seed, accuracy). Without `fresh_check` an earlier look
    at the test set is recorded but not warned of. Raises RunProblem for runs that can't be compared, Interrupted at
    Ctrl-C or SIGTERM while finalists train.
    """
    top, seed, ensemble = check("top", top), check("seed", seed), check("members", ensemble)
    if seed_scores is not None:
        _check_seeds(seed_scores)
    # Before hours of training, all that could refuse the comparison after them.
    asked = (retraining or Retraining(), demands or SeedDemands(), reporter or Reporter())
    with asked[2].starting():
        given = check_inputs(runs, out, costs, images=scorer is None)
    if not asked[0].num_folds and (given.folder / "folds.parquet").exists():
        asked[2].warn(
            "an earlier comparison had folds, and this one leaves them out; what they trained is kept, so that --folds"
            " with the same number shows them again at once"
        )
    with retrained([run.path for run in given.runs], *asked) as trained:
        return _compare(given, trained, asked[2], top, ensemble, seed, scorer, seed_scores, warn=fresh_check)


def _compare(
    given: "Inputs",
    trained: Trained,
    reporter: Reporter,
    top: int,
    ensemble: int,
    seed: int,
    scorer: Scorer | None,
    seed_scores: pd.DataFrame | None,
    *,
    warn: bool,
) -> Comparison:
    from tuner.evaluation.report.page import write_report

    finalists, missing = choose_finalists(given.runs, top)
    with reporter.waiting(f"{len(finalists)} finalists answer the test images"):
        score = scorer or score_with_weights
        evidence, members, said = _look(given.runs, finalists, ensemble, score, warn=warn)
    evidence = replace(evidence, costs=given.costs)
    seeds = trained.seed_scores(finalists) if seed_scores is None else seed_scores
    leak = trained.by_image(finalists)
    with reporter.waiting("the answers are compared"):
        table, pairs = judge(evidence, seed)
    table = with_running_costs(_with_seeds(with_published(table, evidence), seeds), evidence)
    table = with_by_image(table, leak)
    answers = _answers_out_of_fold(trained, finalists, members)
    judged = None if answers is None else judge_folds(answers, table, evidence, seed)
    collapsed = collapse_sentence(evidence.finalists)
    findings = tuple(filter(None, (finding(table, evidence), collapsed, leak_sentence(table, leak))))
    found = Comparison(
        table,
        pairs,
        (*conclude(table, pairs, evidence), *_no_ensemble(ensemble, evidence)),
        (*given.notes, *missing, *said, *doubts(evidence)),
        given.folder / "index.html",
        given.folder,
        findings,
        judged,
        in_plain_words(table, pairs, evidence)
        if judged is None
        else in_plain_words(judged.table, judged.pairs, judged.evidence, folds=True),
    )
    write_tables(found, evidence)
    edges = write_report(found, evidence, seed=seed, reporter=reporter)
    found = replace(found, warnings=found.warnings + edges)
    write_markdown(found)
    return found


@dataclass(frozen=True)
class Inputs:
    """The opened runs, the folder for what is found, the costs of the file, and remarks on the runs' common split."""

    runs: tuple[Run, ...]
    folder: Path
    costs: FloatArray | None
    notes: tuple[str, ...]


def check_inputs(
    runs: Sequence[Path], out: Path | None = None, costs: Path | None = None, *, images: bool = True
) -> Inputs:
    """What a comparison starts from; who trains for hours before one asks this first.

    Raises RunProblem for runs that can't be compared and, with `images`, for test or validation images that are gone
    or changed; InvalidValue or UnknownName for costs that are none, InvalidValue for a folder that can't be written to.
    """
    opened = tuple(Run.open(Path(path)) for path in runs)
    if not opened:
        raise RunProblem("no run to compare; give the folder of one")
    folder = out or opened[0].path / "report"
    for place, option in ((folder, "--out"), *((run.path, "") for run in opened)):
        try_folder(place, option)
    notes = check_same_split(opened)
    classes = [str(name) for name in opened[0].record["data"]["classes"]]
    matrix = None if costs is None else read_costs(costs, classes)
    for run in opened if images else ():
        check_judges(run)
    return Inputs(opened, folder, matrix, tuple(notes))


def _answers_out_of_fold(
    trained: Trained, finalists: Sequence[Finalist], members: Sequence[Finalist]
) -> OutOfFold | None:
    """The answers to all images of `finalists`, and of the ensemble's `members` that are none of them."""
    known = {one.key for one in finalists}
    return trained.fold_answers([*finalists, *(one for one in members if one.key not in known)])


def _no_ensemble(most: int, evidence: Evidence) -> tuple[str, ...]:
    """What to say where an ensemble of at most `most` trials was looked for and none was found."""
    if most < 2 or any(one.members for one in evidence.finalists):
        return ()
    if voted_for_none(evidence.runs):
        return (
            f"No ensemble is better than the chosen trial by the {evidence.chosen_by:,} images that judged the search.",
        )
    return (
        f"No ensemble of at most {most} kept trials is better on validation than the best of them alone.",
    )


def _look(
    runs: Sequence[Run], finalists: Sequence[Finalist], ensemble: int, scorer: Scorer, *, warn: bool
) -> tuple[Evidence, Sequence[Finalist], list[str]]:
    """The answers to the test images, an ensemble's last, once the look is recorded.

    Beside them the ensemble's members, and what is to be said; of an earlier look only with `warn`.
    """
    scorer = _remembered(scorer)
    chosen = choose_ensemble(runs, ensemble, scorer)
    members = chosen.members if chosen else ()
    looks = [_note(run, [*finalists, *members]) for run in runs]
    evidence = _score_all(runs, finalists, scorer)
    if chosen is not None:
        evidence = _with_ensemble(evidence, chosen, scorer)
    recorded = record(runs[0], chosen) if ensemble else None
    said = [sentence for sentence in (*(looks if warn else ()), recorded) if sentence is not None]
    return _with_validation(evidence, members, scorer), members, said


def _remembered(scorer: Scorer) -> Scorer:
    """The same scorer, which computes every answer once."""
    known: dict[tuple[Path, str, tuple[str, ...]], FloatArray] = {}

    def score(run: Run, trial: Mapping[str, Any], paths: Sequence[str]) -> FloatArray:
        key = (run.path, str(trial["trial_id"]), tuple(paths))
        if key not in known:
            known[key] = np.asarray(scorer(run, trial, paths), dtype=np.float64)
        return known[key]

    return score


def _with_validation(evidence: Evidence, members: Sequence[Finalist], scorer: Scorer) -> Evidence:
    """The same with the finalists' answers to the validation images, and the temperatures that follow from these."""
    paths, labels, groups = images_of(evidence.runs[0], "val")
    single = {
        one.key: scorer(one.run, one.row, paths)
        for one in (*evidence.finalists, *members)
        if one.members is None
    }
    logits = {
        one.key: ensemble_logits(one.members, single) if one.members else single[one.key]
        for one in evidence.finalists
    }
    temperatures = {key: fit_temperature(answers, labels, groups) for key, answers in logits.items()}
    validation = Validation(tuple(paths), tuple(groups), labels, logits)
    return replace(evidence, validation=validation, temperatures=temperatures)


def _note(run: Run, finalists: Sequence[Finalist]) -> str | None:
    trials = [str(one.row["trial_id"]) for one in finalists if one.run is run]
    return note_scoring(run, trials, "compare") if trials else None


def _with_ensemble(evidence: Evidence, chosen: Ensemble, scorer: Scorer) -> Evidence:
    """The same with the ensemble as the last finalist; members that are no finalists answer the test images too."""
    known = dict(evidence.logits)
    for one in chosen.members:
        if one.key not in known:
            known[one.key] = scorer(one.run, one.row, list(evidence.paths))
    own = chosen.finalist
    logits = {**evidence.logits, own.key: ensemble_logits(own.members or {}, known)}
    return replace(evidence, finalists=(*evidence.finalists, own), logits=logits)


def _score_all(runs: Sequence[Run], finalists: Sequence[Finalist], scorer: Scorer) -> Evidence:
    classes = tuple(str(name) for name in runs[0].record["data"]["classes"])
    paths, labels, groups = images_of(runs[0], "test")
    logits = {}
    for one in finalists:
        scores = scorer(one.run, one.row, paths)
        if scores.shape != (len(paths), len(classes)) or not np.isfinite(scores).all():
            raise RunProblem(
                f"{one.key} gave no finite scores of {len(paths)} images and {len(classes)} classes"
            )
        logits[one.key] = scores
    metric = METRICS[str(runs[0].record["metric"])]
    positive = runs[0].record.get("positive")
    number = None if positive is None else classes.index(str(positive))
    return Evidence(
        runs=tuple(runs),
        finalists=tuple(finalists),
        classes=classes,
        paths=tuple(paths),
        groups=tuple(groups),
        labels=labels,
        logits=logits,
        metric=metric,
        positive=number,
        chosen_by=judging_images(runs),
    )


def _check_seeds(seed_scores: pd.DataFrame) -> None:
    missing = [name for name in ("key", "seed", "accuracy") if name not in seed_scores]
    if missing:
        raise InvalidValue(
            f"seed_scores has no column {missing[0]!r}; it needs key, seed and accuracy, key being that of the table"
        )


def _with_seeds(table: pd.DataFrame, seed_scores: pd.DataFrame | None) -> pd.DataFrame:
    if seed_scores is None:
        return table.assign(seeds=0, seed_accuracy_mean=np.nan, seed_accuracy_sd=np.nan)
    spread = seed_scores.groupby("key")["accuracy"].agg(["count", "mean", "std"])
    spread.columns = pd.Index(["seeds", "seed_accuracy_mean", "seed_accuracy_sd"])
    joined = table.merge(spread, left_on="key", right_index=True, how="left")
    return joined.assign(seeds=joined["seeds"].fillna(0).astype(int))
