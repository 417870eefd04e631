import contextlib
import signal
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import yaml
from click.testing import CliRunner
from fake_run import fake_scorer, images_of_run, make_run

from trainables.errors import Interrupted
from tuner.cli.app import commands
from tuner.console.reporter import Reporter
from tuner.evaluation.comparison.finalists import choose_finalists
from tuner.evaluation.retrained import seed_scores as module
from tuner.evaluation.retrained.session import Retraining, SeedDemands, retrained
from tuner.retraining.seeds import SeedResult
from tuner.runs.directory import Run

TOP = 1


@pytest.fixture
def runs(tmp_path):
    """Two searches of one split whose trials have the same names."""
    return [make_run(tmp_path / name, seed=seed, samples=0) for name, seed in (("a", 0), ("b", 5))]


@pytest.fixture
def looks(monkeypatch):
    """Training replaced: every seed of run a answers all right, of run b all wrong; notes who was recorded then."""
    seen = []

    def images(best, path, reporter):
        return images_of_run(Run(path.parent))

    def job(best, images, parts, epochs, folder, reporter, *, validate, test):
        return SimpleNamespace(best=best, images=images, run=folder.parent)

    def train(jobs, session, reporter):
        return [answer(job, seeds) for job, seeds in jobs]

    def answer(job, seeds):
        file = job.run / "test_scored.yaml"
        scorings = yaml.safe_load(file.read_text())["scorings"] if file.exists() else []
        seen.append(job.best.trial in [trial for one in scorings for trial in one["trials"]])
        test = job.images.split[job.images.split["split"] == "test"]
        labels = np.array([job.images.classes.index(label) for label in test["label"]])
        right = np.eye(len(job.images.classes))[labels]
        answers = right if job.run.name == "a" else -right
        return [SeedResult(seed, test_logits=answers) for seed in seeds]

    for name, stub in (("find_images", images), ("make_job", job), ("train_jobs", train)):
        monkeypatch.setattr(module, name, stub)
    return seen


def test_seeds_are_told_apart_by_run_and_trial(runs, looks):
    finalists, _ = choose_finalists(runs, TOP)
    found = module.seed_scores(finalists, 2, SimpleNamespace())
    keys = [one.key for one in finalists]
    assert found["key"].tolist() == [key for key in keys for _ in range(2)]
    by_run = found.groupby(found["key"].str[0])["accuracy"].unique().to_dict()
    assert (by_run["a"].tolist(), by_run["b"].tolist()) == ([1.0], [0.0])


def test_the_look_at_the_test_images_is_recorded_before_a_seed_is_scored(runs, looks):
    finalists, _ = choose_finalists(runs, TOP)
    module.seed_scores(finalists, 2, SimpleNamespace())
    assert looks == [True] * len(finalists)


def test_compare_with_seeds_of_two_runs_pools_none_and_records_first(runs, looks, monkeypatch, tmp_path):
    monkeypatch.setattr(
        "tuner.cluster.session.ray_session",
        lambda demands, signals: contextlib.nullcontext(SimpleNamespace()),
    )
    monkeypatch.setattr("tuner.evaluation.compare.check_judges", lambda run: None)
    monkeypatch.setattr("tuner.evaluation.compare.score_with_weights", fake_scorer)
    monkeypatch.setattr("tuner.evaluation.report.page.write_report", lambda *_, **__: ())
    paths = [str(run.path) for run in runs]
    CliRunner().invoke(commands, ["compare", *paths, "--seeds", "2"], catch_exceptions=False)
    table = pd.read_parquet(runs[0].path / "report" / "comparison.parquet")
    assert set(table["seeds"]) == {2}
    means = table.groupby("run")["seed_accuracy_mean"].unique().to_dict()
    assert (means["a"].tolist(), means["b"].tolist()) == ([1.0], [0.0])
    assert looks
    assert all(looks)


def test_a_comparison_that_is_stopped_while_it_trains_says_where_it_goes_on(runs, monkeypatch):
    monkeypatch.setattr(
        "tuner.cluster.session.ray_session",
        lambda demands, signals: contextlib.nullcontext(SimpleNamespace()),
    )
    paths = [run.path for run in runs]
    asked, demands = Retraining(seeds=2), SeedDemands()
    with (
        pytest.raises(Interrupted, match=f"kept in {paths[0]} and {paths[1]}, and the same command goes on"),
        retrained(paths, asked, demands, Reporter()),
    ):
        signal.raise_signal(signal.SIGTERM)


def test_what_is_trained_for_a_comparison_is_kept_in_its_run(runs, monkeypatch):
    """`find_images` and training replaced."""
    seen = []

    def images(best, path, reporter):
        return images_of_run(Run(path.parent))

    monkeypatch.setattr(module, "find_images", images)
    monkeypatch.setattr("tuner.retraining.jobs.build_cache", lambda *_, **__: "cache")
    monkeypatch.setattr(module, "train_jobs", lambda jobs, *_: seen.extend(jobs) or [[] for _ in jobs])
    finalists, _ = choose_finalists(runs[:1], TOP)
    module.seed_scores(finalists, 2, SimpleNamespace())
    assert {(job.kept, job.late, job.folder) for job, _ in seen} == {(True, 0, str(runs[0].path / "seeds"))}
