import numpy as np
import pytest
from fake_run import make_run
from PIL import Image

from trainables.errors import DataProblem, RunProblem
from tuner.dataset.reading.scan import scan
from tuner.evaluation.comparison.finalists import Finalist
from tuner.evaluation.retrained import by_image
from tuner.evaluation.retrained.by_image import by_image_scores, check_groups
from tuner.retraining.seeds import SeedResult
from tuner.runs.trial_table import trial_config

CLASSES = {"healthy": 6, "spotted": 6}


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("TUNER_CACHE_DIR", str(tmp_path / "cache"))
    run = make_run(tmp_path / "run", classes=CLASSES, samples=0)
    rng = np.random.default_rng(0)
    for path in run.split()["path"]:
        target = tmp_path / "images" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(target.with_suffix(".png"))
        target.with_suffix(".png").rename(target)
    run.update_record(
        data={**run.record["data"], "fingerprint": scan(tmp_path / "images").fingerprint}, image_size=32
    )
    return run


def finalist(run, row):
    return Finalist(run, str(row["trial_id"]), "", row, trial_config(row), float(row["value"]))


@pytest.fixture
def jobs(monkeypatch):
    """The jobs that would be trained; all but the first test image are answered rightly."""
    seen = []

    def train(jobs, session, reporter, title=""):
        return [answer(job, seeds) for job, seeds in jobs]

    def answer(job, seeds):
        seen.append((job, list(seeds)))
        logits = np.eye(2)[[job.classes.index(path.split("/")[0]) for path in job.test_paths]]
        logits[0] = logits[0][::-1]
        return [SeedResult(seed, ({"train_loss": 0.1},), (), logits) for seed in seeds]

    monkeypatch.setattr(by_image, "train_jobs", train)
    return seen


def test_a_trial_is_trained_again_as_it_was_on_a_split_that_parts_groups(run, jobs):
    row = run.trials().to_dict("records")[0]
    found = by_image_scores([finalist(run, row)], session=None)
    ((job, seeds),) = jobs
    assert (seeds, job.run_seed, job.epochs) == ([row["seed"]], 0, row["best_epoch"])
    trained = {path for path, _, part in job.rows if part == "train"}
    assert not trained & set(job.test_paths)
    assert len(trained) + sum(part == "val" for _, _, part in job.rows) + len(job.test_paths) == len(
        run.split()
    )
    group = run.split().set_index("path")["group"]
    shared = {group[path] for path in trained} & {group[path] for path in job.test_paths}
    leaked = np.mean([group[path] in shared for path in job.test_paths])
    assert found.leaked == pytest.approx(leaked)
    assert found.leaked > 0.5
    assert found.test_images == len(job.test_paths)
    assert found.scores.to_dict("records") == [
        {"run": "run", "trial_id": row["trial_id"], "accuracy": 1 - 1 / len(job.test_paths)}
    ]


def test_several_trials_share_one_split(run, jobs):
    rows = run.trials().to_dict("records")[:3]
    found = by_image_scores([finalist(run, row) for row in rows], session=None)
    assert len(found.scores) == 3
    assert len({tuple(job.test_paths) for job, _ in jobs}) == 1


def test_a_run_without_groups_is_refused_before_anything_is_trained(tmp_path, jobs):
    run = make_run(tmp_path / "loose", classes=CLASSES, grouped=False, samples=0)
    with pytest.raises(RunProblem, match="its split is by image already"):
        check_groups([run])
    assert jobs == []


def test_images_that_have_changed_are_refused(run, jobs, tmp_path):
    path = run.split()["path"].iloc[0]
    (tmp_path / "images" / path).unlink()
    with pytest.raises(DataProblem, match="has changed since the search"):
        by_image_scores([finalist(run, run.trials().to_dict("records")[0])], session=None)
