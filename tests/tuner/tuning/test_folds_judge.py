"""The best trials judged by all images: who goes on, who is chosen, what is expected, what is kept."""

from dataclasses import replace

import numpy as np
import pytest
from fake_run import make_run

from trainables.data.split import Split
from trainables.errors import RunProblem
from tuner.console.reporter import Reporter
from tuner.retraining import seeds
from tuner.retraining.seed_job import SeedResult
from tuner.runs.best_file import read_best
from tuner.runs.best_trial import best_of, write_best
from tuner.runs.directory import rows_of
from tuner.runs.ensemble import ENSEMBLE
from tuner.runs.trial_table import trial_config
from tuner.tuning import fold_answers, fold_seconds, folds
from tuner.tuning.candidates import Candidate
from tuner.tuning.closing import judged_members
from tuner.tuning.fold_answers import fold_numbers
from tuner.tuning.folds import Stage, judge_on_folds
from tuner.tuning.judgement import behind, judge
from tuner.tuning.mixtures import MEMBERS


def pool_of(groups_a, groups_b, validation):
    groups = [*groups_a, *groups_b]
    numbers = np.array([0] * len(groups_a) + [1] * len(groups_b))
    parts = tuple("val" if one in validation else "train" for one in groups)
    return Split(tuple(map(str, range(len(groups)))), numbers, tuple(groups), parts, ("a", "b"))


def test_validation_is_the_first_fold_and_whole_groups_are_dealt_to_the_others():
    pool = pool_of([f"a{i // 2}" for i in range(24)], [f"b{i // 2}" for i in range(24)], {"a0", "b0"})
    found = fold_numbers(pool, 0)
    assert set(found.tolist()) == {0, 1, 2, 3, 4}
    assert {pool.groups[place] for place in np.flatnonzero(found == 0)} == {"a0", "b0"}
    for group in set(pool.groups):
        assert len({found[place] for place, own in enumerate(pool.groups) if own == group}) == 1
    for number in range(1, 5):
        assert set(pool.numbers[found == number].tolist()) == {0, 1}
    assert (fold_numbers(pool, 0) == found).all()


def test_the_only_group_of_a_class_is_answered_by_nobody():
    pool = pool_of(["a0", "a0", "a1"], [f"b{i}" for i in range(12)], {"a1", "b0"})
    found = fold_numbers(pool, 0)
    assert found[:2].tolist() == [-1, -1]
    assert found[2] == 0


def test_behind_is_who_is_worse_beyond_the_interval_of_pairs():
    random = np.random.default_rng(0)
    best, groups = random.exponential(1.0, 60), [str(place // 2) for place in range(60)]
    assert behind(best + 0.1, best, groups)
    assert not behind(best + random.normal(0.01, 0.5, 60), best, groups)
    assert not behind(best + 0.1, best, ["one"] * 60)


@pytest.fixture
def stage(tmp_path, monkeypatch):
    """A run whose trials answer as well as `skill` says, and what was trained for it."""
    run = make_run(tmp_path / "run", samples=6)
    skill, trained = {}, []

    def answers(trial_id, paths, numbers):
        random = np.random.default_rng([len(trial_id), *map(ord, trial_id)])
        noise = random.normal(0, 1.0, (len(paths), 3))
        return noise + skill[trial_id] * np.eye(3)[numbers]

    made = Stage(run, run_context(run), Slots(), Reporter(), lambda: False, None)

    def first_fold(stage, row, config):
        logits = np.full((len(stage.pool), 3), np.nan)
        own = stage.pool.where(stage.folds == 0)
        logits[stage.folds == 0] = answers(str(row["trial_id"]), own.paths, own.numbers)
        fold_answers.keep_answers(stage.run, row, logits)
        return logits

    def train_jobs(jobs, session, reporter, on_result, stop, title):
        number = dict(zip(made.pool.paths, made.pool.numbers.tolist(), strict=True))
        for place, (job, own) in enumerate(jobs):
            trial_id = job.title.partition(",")[0]
            assert not {path for path, _, _ in job.rows} & set(job.test_paths)
            trained.append(job.title)
            numbers = np.array([number[path] for path in job.test_paths])
            on_result(place, SeedResult(own[0], test_logits=answers(trial_id, job.test_paths, numbers)))
            if stop():
                return

    monkeypatch.setattr(folds, "_first_fold", first_fold)
    monkeypatch.setattr(seeds, "train_jobs", train_jobs)
    rows = [row for row in rows_of(run.trials()) if row["status"] == "completed"]
    skill |= {str(row["trial_id"]): 2.0 for row in rows}
    return made, rows, skill, trained


class Slots:
    """A session with two places."""

    def slots(self):
        return 2


def run_context(run):
    from trainables.config import RunContext

    classes = tuple(run.record["data"]["classes"])
    return RunContext(str(run.path), "cache", classes, 32, "none", "fp32", "val_loss", 0)


def test_every_image_judges_the_best_three_and_the_best_of_them_is_chosen(stage):
    made, rows, skill, trained = stage
    best = str(rows[1]["trial_id"])
    skill[best] = 3.0
    judged = judge_on_folds(made, rows)
    answered = int((made.folds >= 0).sum())
    assert judged[0].trial_id == best
    assert judged[0].images == answered > len(made.pool.part("val"))
    assert judged[0].chosen
    assert len([one for one in judged if one.trial_id != ENSEMBLE]) == folds.MOST
    assert len([title for title in trained if title.startswith(best)]) == folds.FOLDS - 1
    table = made.run.judged()
    assert table["chosen"].tolist() == [True] + [False] * (len(table) - 1)
    # The luck of having been chosen is taken off, so the expected loss is no lower than the mean.
    assert judged[0].expected >= judged[0].value - 1e-12


def test_who_is_clearly_behind_is_not_trained_on_the_folds_that_follow(stage):
    made, rows, skill, trained = stage
    worst = str(rows[0]["trial_id"])
    skill[worst] = -3.0
    judged = judge_on_folds(made, rows)
    assert [title for title in trained if title.startswith(worst)] == [f"{worst}, fold 2 of 5"]
    (last,) = (one for one in judged if one.trial_id == worst)
    assert last.images < judged[0].images
    assert last.votes == 0


def test_by_another_metric_no_trial_is_left_out_for_its_log_loss(stage):
    """The worse by log loss, so sure that each of its mistakes costs much, is no worse by the metric of the search."""
    made, rows, _, _ = stage
    pool, random = made.pool, np.random.default_rng(0)
    right = np.where((np.arange(len(pool)) % 10 == 0)[:, None], -1.0, 1.0) * np.eye(3)[pool.numbers]
    noise = random.normal(0, 0.01, right.shape)
    sure = right + noise
    # In half of the images as sure as can be, in the others all but undecided: one temperature suits neither.
    sure[::2] *= 60.0
    first, second = (
        Candidate(row, trial_config(row), logits)
        for row, logits in zip(rows[:2], (4 * right + noise, sure), strict=True)
    )
    assert folds._still_alive([first, second], [0], made) == [first]
    made.context = replace(made.context, metric="val_accuracy")
    assert folds._still_alive([first, second], [0], made) == [first, second]
    wrong = Candidate(second.row, second.config, np.roll(right, 1, axis=1))
    assert folds._still_alive([first, wrong], [0], made) == [first]


def test_a_stage_that_was_interrupted_goes_on_to_the_same_table(stage):
    made, rows, _, trained = stage
    whole = judge_on_folds(made, rows)
    for file in (made.run.path / "out_of_fold").iterdir():
        file.unlink()
    made.run.judged_file.unlink()
    trained.clear()
    made.stopped = lambda: len(trained) >= 4
    assert judge_on_folds(made, rows) == []
    assert made.run.judged() is None
    made.stopped = lambda: False
    assert judge_on_folds(made, rows) == whole
    assert len(trained) == len(set(trained))


def test_without_time_for_three_the_best_alone_goes_on_and_without_any_validation_judges(stage, monkeypatch):
    made, rows, _, trained = stage
    monkeypatch.setattr(folds, "_seconds", lambda candidates, stage: 10.0 * len(candidates))
    monkeypatch.setattr(Stage, "left", lambda self: 15.0)
    judged = judge_on_folds(made, rows)
    best = str(rows[0]["trial_id"])
    assert {title.partition(",")[0] for title in trained} == {best}
    assert judged[0].trial_id == best
    monkeypatch.setattr(Stage, "left", lambda self: 5.0)
    trained.clear()
    for file in (made.run.path / "out_of_fold").iterdir():
        file.unlink()
    assert {one.images for one in judge_on_folds(made, rows)} == {len(made.pool.part("val"))}
    assert trained == []


def test_best_yaml_says_what_all_images_expect(stage):
    made, rows, _, _ = stage
    judged = judge_on_folds(made, rows)
    row = next(row for row in rows if row["trial_id"] == judged[0].trial_id)
    expected = best_of(made.run, row).expected
    assert expected.value == pytest.approx(judged[0].expected)
    assert expected.standard_error == pytest.approx(judged[0].error)
    assert f"{judged[0].images} images" in expected.spread
    other = {**row, "best_epoch": int(row["best_epoch"]) + 1}
    assert fold_answers._file(made.run, other) != fold_answers._file(made.run, row)


def test_models_that_err_elsewhere_are_better_together_and_best_yaml_names_them(stage):
    made, rows, _, _ = stage
    judged = {one.trial_id: one for one in judge_on_folds(made, rows)}
    # Three of equal skill, each with noise of its own.
    together = judged[ENSEMBLE]
    single = next(one for one in judged.values() if one.chosen)
    assert together.value < single.value - single.error / 10
    votes = {name: one.votes for name, one in judged.items() if name != ENSEMBLE and one.votes}
    assert sum(votes.values()) == together.votes
    assert 2 <= len(votes) <= MEMBERS
    members = judged_members(made.run, {str(row["trial_id"]): row for row in rows})
    assert {one.trial: one.count for one in members} == votes
    write_best(made.run, next(row for row in rows if row["trial_id"] == single.trial_id), members)
    assert read_best(made.run.path / "best.yaml").ensemble == members


def test_one_that_is_far_better_is_not_averaged_with_others(stage):
    made, rows, skill, _ = stage
    skill[str(rows[1]["trial_id"])] = 12.0
    assert ENSEMBLE not in {one.trial_id for one in judge_on_folds(made, rows)}


def test_without_a_ray_those_judge_that_have_answered(stage):
    made, rows, _, trained = stage
    made.session = None
    judged = judge_on_folds(made, rows)
    assert {one.images for one in judged} == {len(made.pool.part("val"))}
    assert trained == []


def test_a_training_that_fails_costs_its_trial_the_fold_and_the_run_nothing(stage, monkeypatch):
    made, rows, _, _ = stage
    train_jobs, lost = seeds.train_jobs, str(rows[0]["trial_id"])

    def some(jobs, session, reporter, on_result, stop, title):
        alive = [job for job in jobs if not job[0].title.startswith(lost)]
        places = [jobs.index(job) for job in alive]
        train_jobs(
            alive, session, reporter, lambda place, result: on_result(places[place], result), stop, title
        )
        if len(alive) < len(jobs):
            raise RunProblem(f"{lost}: the process died 3 times")

    monkeypatch.setattr(seeds, "train_jobs", some)
    judged = {one.trial_id: one for one in judge_on_folds(made, rows)}
    assert judged[lost].images == len(made.pool.part("val"))
    assert max(one.images for one in judged.values()) == int((made.folds >= 0).sum())
    assert not judged[lost].chosen


def test_one_that_had_no_time_for_its_folds_is_chosen_only_where_it_is_clearly_better_on_its_images(stage):
    made, rows, _, _ = stage
    pool = made.pool
    everywhere = np.eye(3)[pool.numbers] * 2.0 + np.random.default_rng(0).normal(0, 1.0, (len(pool), 3))

    def chosen(lead):
        few = np.full_like(everywhere, np.nan)
        own = made.folds == 0
        few[own] = everywhere[own] + lead * np.eye(3)[pool.numbers[own]]
        candidates = [
            Candidate(row, trial_config(row), logits)
            for row, logits in zip(rows[:2], (everywhere, few), strict=True)
        ]
        return judge(candidates, made.judges)[0].trial_id

    first, second = (str(row["trial_id"]) for row in rows[:2])
    assert chosen(0.0) == first
    assert chosen(4.0) == second
    assert chosen(-4.0) == first


def test_where_no_trial_goes_on_nothing_is_trained_and_without_a_probe_nothing_is_judged(stage):
    made, rows, _, trained = stage
    made.most = 0
    assert judge_on_folds(made, rows) == []
    assert trained == []
    made.most = 1
    judge_on_folds(made, rows)
    assert {title.partition(",")[0] for title in trained} == {str(rows[0]["trial_id"])}


def test_what_is_shipped_takes_as_long_as_the_dearest_trained_trial_however_many_heads_lead(stage):
    made, rows, _, _ = stage
    heads = [{**row, "source": "probe"} for row in rows[:3]]
    trained = {**rows[3], "source": "first"}
    assert (
        fold_seconds.final_seconds([*heads, trained], made.run)
        == fold_seconds.final_seconds([trained], made.run)
        > 0
    )
    assert fold_seconds.final_seconds(heads, made.run) == 0.0
