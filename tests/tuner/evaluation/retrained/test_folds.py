import io
import re
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from fake_run import fake_scorer, images_of_run, make_run, paint_only, trained_by
from rich.console import Console

from trainables.errors import InvalidValue, RunProblem
from tuner.console.reporter import Reporter
from tuner.evaluation.compare import compare
from tuner.evaluation.comparison.finalists import choose_finalists
from tuner.evaluation.retrained import folds as module
from tuner.evaluation.retrained import nested
from tuner.evaluation.retrained.folds import assign_folds, check_folds, fold_answers
from tuner.evaluation.retrained.nested import _inner_split
from tuner.evaluation.retrained.session import Retraining, SeedDemands, retrained
from tuner.retraining.seeds import SeedResult
from tuner.runs.best_trial import best_of
from tuner.runs.directory import Run


@pytest.fixture
def run(tmp_path):
    return make_run(tmp_path / "run", samples=0)


@pytest.fixture
def trained(monkeypatch, run):
    """Training replaced: every image is answered rightly, the first of a fold is not; the jobs that were asked for."""
    jobs = []
    classes = tuple(run.record["data"]["classes"])
    known = run.split().set_index("path")["label"]

    def train(asked, session, reporter, on_result, title=""):
        for place, (job, seeds) in enumerate(asked):
            jobs.append((job, list(seeds)))
            logits = 3.0 * np.eye(len(classes))[[classes.index(known[path]) for path in job.test_paths]]
            logits[0] = -logits[0]
            on_result(place, SeedResult(seeds[0], ({"train_loss": 0.1},), (), logits))

    images = images_of_run(run)
    monkeypatch.setattr(module, "find_images", lambda *_: images)
    monkeypatch.setattr(module, "build_cache", lambda *_, **__: "cache")
    monkeypatch.setattr(module, "train_jobs", train)
    return jobs


def test_folds_hold_whole_groups_and_every_class(run):
    split = run.split()
    fold = assign_folds(split, 5, 0)
    assert sorted(set(fold)) == [0, 1, 2, 3, 4]
    assert split.assign(fold=fold).groupby("group")["fold"].nunique().max() == 1
    shares = pd.crosstab(split["label"], fold, normalize="index")
    assert (shares - 0.2).abs().to_numpy().max() < 0.06
    assert (assign_folds(split, 5, 0) == fold).all()
    assert not (assign_folds(split, 5, 1) == fold).all()


def test_every_image_is_answered_once_by_a_model_that_has_not_seen_its_group(run, trained):
    finalists, _ = choose_finalists([run], 1)
    found = fold_answers(finalists[:2], 3, session=None)
    assert len(trained) == 6
    split = run.split()
    group = split.set_index("path")["group"]
    for job, seeds in trained:
        own = {path for path, _, _ in job.rows}
        assert not {group[path] for path in own} & {group[path] for path in job.test_paths}
        assert len(own) + len(job.test_paths) == len(split)
        assert seeds == [job.config.seed]
        assert {part for _, _, part in job.rows} == {"train"}
    assert [job.title for job, _ in trained[:2]] == [f"{finalists[0].key}, fold {fold}" for fold in (1, 2)]
    assert list(found.paths) == split["path"].tolist()
    for logits in found.logits.values():
        assert np.isfinite(logits).all()
        assert (logits.argmax(axis=1) == found.labels).sum() == len(split) - 3


def test_what_a_fold_answered_is_kept_and_not_trained_again(run, trained):
    finalists, _ = choose_finalists([run], 1)
    first = fold_answers(finalists[:1], 3, session=None)
    [kept] = (run.path / "folds").glob(f"{finalists[0].key}.2of3.*.npy")
    kept.unlink()
    again = fold_answers(finalists[:1], 3, session=None)
    assert len(trained) == 4
    np.testing.assert_array_equal(first.logits[finalists[0].key], again.logits[finalists[0].key])


def test_answers_of_models_that_began_with_other_weights_are_not_taken_for_these(run, trained, tmp_path):
    weights = tmp_path / "weights.pt"
    for content, jobs in ((b"one", 3), (b"two", 6), (b"one", 6)):
        weights.write_bytes(content)
        run.update_record(weights=str(weights))
        finalists, _ = choose_finalists([run], 1)
        fold_answers(finalists[:1], 3, session=None)
        assert len(trained) == jobs


def test_answers_to_pictures_that_became_squares_otherwise_are_not_taken_for_these(run, trained, monkeypatch):
    built = []
    monkeypatch.setattr(module, "build_cache", lambda *_, fit, **__: built.append(fit) or f"cache of {fit}")
    for change, jobs in (({}, 3), ({"fit": "crop"}, 3), ({"fit": "pad"}, 6), ({"fit": "crop"}, 6)):
        run.update_record(**change)
        finalists, _ = choose_finalists([run], 1)
        fold_answers(finalists[:1], 3, session=None)
        assert len(trained) == jobs
    assert built == ["crop", "pad"]
    assert [job.cache for job, _ in trained] == ["cache of crop"] * 3 + ["cache of pad"] * 3


def test_answers_to_other_folds_or_other_pictures_are_not_taken_for_these(run, trained):
    """Two runs that share a given split may have different seeds, and so fold the same images differently."""
    finalists, _ = choose_finalists([run], 1)
    first = fold_answers(finalists[:1], 3, session=None)
    run.update_record(seed=7)
    again = fold_answers(finalists[:1], 3, session=None)
    assert len(trained) == 6
    key = finalists[0].key
    assert not (first.logits[key] == again.logits[key]).all()
    assert (again.logits[key].argmax(axis=1) == again.labels).sum() == len(again.labels) - 3
    module.find_images().hashes[again.paths[0]] = "another picture"
    fold_answers(finalists[:1], 3, session=None)
    assert len(trained) == 9


def test_a_finalist_that_diverges_in_a_fold_is_left_out(run, trained, monkeypatch):
    finalists, _ = choose_finalists([run], 1)
    train = module.train_jobs

    def diverge(asked, session, reporter, on_result, title=""):
        train(asked[1:], session, reporter, lambda place, result: on_result(place + 1, result))
        on_result(0, SeedResult(0, error="epoch 1: NaN"))

    monkeypatch.setattr(module, "train_jobs", diverge)
    found = fold_answers(finalists[:2], 3, session=None)
    assert list(found.logits) == [finalists[1].key]


def test_without_the_best_finalist_the_folds_say_of_which_they_are(run, trained, monkeypatch):
    paint_only(monkeypatch)

    def folds(finalists):
        found = fold_answers(finalists, 3, None)
        return replace(found, logits={key: found.logits[key] for key in list(found.logits)[1:]})

    trained_by(monkeypatch, folds=folds)
    found = compare([run.path], scorer=fake_scorer, top=1)
    assert found.folds.table["key"].tolist() == found.table["key"].tolist()[1:]
    assert found.folds.sentences[0].startswith("Of the finalists that trained in every fold, ")
    assert found.folds.remarks[0] == f"Left out, since a fold of it diverged: {found.table['label'].iloc[0]}."


def test_an_ensemble_is_judged_in_the_folds_though_its_members_are_no_finalists(
    tmp_path, trained, monkeypatch
):
    many = make_run(tmp_path / "many")
    monkeypatch.setattr("tuner.evaluation.report.page.write_report", lambda *_, **__: ())

    def noisy(run, row, paths):
        random = np.random.default_rng([int(row["number"]), len(paths)])
        return fake_scorer(run, row, paths) + 2.0 * random.normal(size=(len(paths), 3))

    trained_by(monkeypatch, folds=lambda these: fold_answers(these, 3, None))
    found = compare([many.path], scorer=noisy, top=1, ensemble=5)
    members = found.folds.evidence.finalists[-1].members
    assert not set(members) <= set(found.table["key"])
    assert found.folds.table["key"].tolist() == found.table["key"].tolist()


def test_a_winner_of_a_search_that_diverges_is_not_passed_over(run, trained, monkeypatch):
    monkeypatch.setattr("tuner.evaluation.report.page.write_report", lambda *_, **__: ())
    trained_by(monkeypatch, folds=lambda these: replace(fold_answers(these, 3, None), nested_lost=True))
    found = compare([run.path], scorer=fake_scorer, top=1)
    said = " ".join(found.folds.remarks)
    assert "a search inside a fold diverged" in said
    assert "--nested measures" not in said


def test_the_folds_stand_in_tables_words_and_page(run, trained, monkeypatch):
    paint_only(monkeypatch)
    answers = {}

    def folds(finalists):
        winners = [best_of(run, finalists[-1].row)] * 3
        answers["found"] = fold_answers(finalists, 3, None, nested=winners)
        return answers["found"]

    trained_by(monkeypatch, folds=folds)
    found = compare([run.path], scorer=fake_scorer, top=1)
    assert found.folds.count == 3
    assert found.folds.table["key"].tolist() == found.table["key"].tolist()
    assert len(found.folds.evidence.labels) == len(run.split())
    widths = found.folds.table["test_accuracy_high"] - found.folds.table["test_accuracy_low"]
    assert (widths < (found.table["test_accuracy_high"] - found.table["test_accuracy_low"])).all()
    assert " out of fold and gets " in found.folds.conclusion
    assert f" of {len(run.split())} images of " in found.folds.conclusion
    said = " ".join(found.folds.remarks)
    assert "With every image as a judge" in said
    nested = r"the search itself reaches a log loss of [\d.]+ \(95 % interval [\d.]+ to [\d.]+\)"
    assert re.search(f"Repeated inside every fold, {nested}", said)
    assert re.search(r"gets [\d.]+ % right \(95 % interval [\d.]+ % to [\d.]+ %\): no image was used", said)
    page = re.sub("</?dfn[^>]*>", "", found.report.read_text())
    assert "Every image as a judge" in page
    assert "out-of-fold log loss" in page
    for name in ("folds", "fold_pairs", "fold_probabilities"):
        assert len(pd.read_parquet(found.out / f"{name}.parquet"))
    # Whoever compares once more without them hears that they are not in the page any more.
    told = Console(file=io.StringIO(), width=1000)
    compare([run.path], scorer=fake_scorer, top=1, reporter=Reporter(told), fresh_check=False)
    assert "an earlier comparison had folds, and this one leaves them out" in told.file.getvalue()


def test_a_class_with_fewer_groups_than_folds_is_refused_with_the_number_that_would_do(run):
    fewest = int(run.split().groupby("label")["group"].nunique().min())
    check_folds(run, fewest)
    with pytest.raises(RunProblem, match=f"at most --folds {fewest}"):
        check_folds(run, fewest + 1)


def rows_of(held):
    """A split of groups that hold so many images of each class."""
    rows = [
        {"path": f"{label}/{group}/{k}", "label": label, "group": f"g{group}", "split": "train"}
        for group, counts in enumerate(held)
        for label, count in counts.items()
        for k in range(count)
    ]
    return pd.DataFrame(rows)


def test_no_class_is_in_one_fold_alone_where_folds_exist_that_spread_it(run):
    # Seen among random designs: scikit-learn put all of class c into one fold.
    held = ("aaabbbb", "c", "bddddd", "bcd", "bbb", "b", "aa", "aa", "abb")
    split = rows_of([Counter(images) for images in held])
    fold = assign_folds(split, 2, 0)
    assert split.assign(fold=fold).groupby("group")["fold"].nunique().max() == 1
    assert (pd.crosstab(split["label"], fold) > 0).all().all()


def test_folds_in_which_a_class_could_not_be_trained_on_are_refused(run):
    run.write_split(rows_of([{"a": 1, "b": 1}, {"b": 1, "c": 1}, {"a": 1, "c": 1}]))
    with pytest.raises(RunProblem, match=r"no 2 folds were found .* class '[abc]' is in one fold alone"):
        check_folds(run, 2)


def test_a_search_inside_a_fold_never_sees_it_and_keeps_the_shares(run):
    split = run.split()
    held = assign_folds(split, 5, 0) == 2
    inner = _inner_split(run, split, held)
    assert (inner.loc[held, "split"] == "test").all()
    assert set(inner.loc[~held, "split"]) == {"train", "val"}
    assert inner.groupby("group")["split"].nunique().max() == 1
    low, middle, _ = run.record["data"]["fractions"]
    share = (inner["split"] == "val").sum() / (~held).sum()
    assert share == pytest.approx(middle / (low + middle), abs=0.05)


@pytest.mark.parametrize("seed", range(3))
def test_a_search_inside_a_fold_validates_on_every_class_however_rare(run, seed):
    rows = [
        {"path": f"{name}/{i}/{k}", "label": name, "group": f"{name}{i}", "split": "train"}
        for name, groups in (("a", 40), ("b", 40), ("rare", 6))
        for i in range(groups)
        for k in range(2)
    ]
    split = pd.DataFrame(rows)
    run.update_record(seed=seed, data={**run.record["data"], "fractions": [0.8, 0.1, 0.1]})
    fold = assign_folds(split, 5, seed)
    for number in range(5):
        inner = _inner_split(run, split, fold == number)
        held = inner[inner["split"] != "test"].groupby("split")["label"].nunique()
        assert held.to_dict() == {"train": 3, "val": 3}


def test_a_class_that_no_search_inside_a_fold_could_validate_on_is_refused_before_any(run):
    few = pd.DataFrame(
        [
            {"path": f"{name}{i}", "label": name, "group": f"{name}{i}", "split": "train"}
            for name, groups in (("a", 9), ("rare", 2))
            for i in range(groups)
        ]
    )
    with pytest.raises(
        RunProblem, match="too few groups to train and to validate a search inside every fold"
    ):
        _inner_split(run, few, assign_folds(few, 2, 0) == 0)


@pytest.fixture
def inner(run, monkeypatch):
    """Searches inside folds replaced: they leave a run directory with the trials that they were asked for."""
    asked = []

    def search(outer, path, split, reporter):
        made = make_run(path, samples=0)
        made.write_split(split)
        record = nested._record(dict(outer.record), split, path.name)
        made.update_record(**{**record, "finished": "now"})
        asked.append(path.name)
        return SimpleNamespace(run=made, interrupted=False)

    def go_on(path, samples, reporter):
        asked.append((path.name, samples))
        return SimpleNamespace(run=Run.open(path), interrupted=False)

    monkeypatch.setattr(nested, "_search", search)
    monkeypatch.setattr(nested, "resume", go_on)
    return asked


def test_searches_inside_folds_are_found_again_and_get_the_trials_that_the_run_got(run, inner):
    nested.nested_searches(run, 2, Reporter())
    nested.nested_searches(run, 2, Reporter())
    assert inner == ["search-1of2", "search-2of2"]
    run.update_record(settings={**run.record["settings"], "samples": 50})
    nested.nested_searches(run, 2, Reporter())
    assert inner[2:] == [("search-1of2", 32), ("search-2of2", 32)]


@pytest.mark.parametrize(("name", "value"), [("image_size", 48), ("fit", "squash")])
def test_a_search_inside_a_fold_with_other_settings_is_refused(run, inner, name, value):
    nested.nested_searches(run, 2, Reporter())
    run.update_record(**{name: value})
    words = name.replace("_", " ")
    with pytest.raises(
        RunProblem, match=rf"search-1of2 is a search with another {words} .* remove that folder"
    ):
        nested.nested_searches(run, 2, Reporter())


def test_a_search_inside_a_fold_from_before_there_was_a_choice_of_fit_is_found_again(run, inner):
    nested.nested_searches(run, 2, Reporter())
    run.update_record(fit="crop")
    nested.nested_searches(run, 2, Reporter())
    assert inner == ["search-1of2", "search-2of2"]


def test_nested_asks_for_one_run_and_for_five_folds_unless_told(run, tmp_path):
    assert Retraining(nested=True).num_folds == 5
    assert Retraining(folds=3, nested=True).num_folds == 3
    assert not Retraining().wanted
    other = make_run(tmp_path / "other", samples=0)
    asked = Retraining(folds=2, nested=True)
    with (
        pytest.raises(InvalidValue, match="name one run"),
        retrained([run.path, other.path], asked, SeedDemands(), Reporter()),
    ):
        pass
