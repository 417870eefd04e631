import io
import math
import shutil
import weakref
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from pictures import stretch, write_pictures
from PIL import Image
from rich.console import Console
from seed_jobs import InstantRay, job

from trainables.config import TrialConfig
from trainables.data.deep import Levels
from trainables.errors import DataProblem, InvalidValue, RunProblem, WeightsUnavailable, WorkerBroken
from trainables.models import create
from trainables.models.classifier import Classifier
from trainables.training import TrainingRun
from tuner.console.reporter import Reporter
from tuner.dataset.reading.scan import scan
from tuner.dataset.splitting import fingerprint, make_split
from tuner.release.figures import draw
from tuner.release.job import RetrainConfig
from tuner.release.retrain import check_config, epochs_rule, prepare_plan, retrain
from tuner.retraining import seeds
from tuner.retraining.images import find_images
from tuner.retraining.scoring import score_weights
from tuner.retraining.seeds import SeedResult, draw_seeds, train_jobs, train_seed
from tuner.runs.best import Best, Data, Expected, SplitSource
from tuner.runs.best_file import read_best, save_best
from tuner.runs.best_trial import part_counts
from tuner.runs.weights_files import fingerprints

COUNTS = {"blue": 10, "green": 10}


def make_best(folder: Path, **changes: object) -> Best:
    """A best.yaml for the pictures in `folder`/pictures, its split beside it."""
    write_pictures(folder / "pictures", COUNTS)
    found = scan(folder / "pictures")
    split = make_split(found, None, (0.6, 0.2, 0.2), 3)
    config = TrialConfig.resolve({"model": "resnet18", "strategy": "feature_extractor", "batch_size": 4})
    best = Best(
        trial="resnet18-feature_extractor-00000",
        run=str(folder / "run"),
        config=config,
        expected=Expected("val_loss", 0.5, 3, 0.1, "made up", {"val_loss": 0.5}),
        image_size=32,
        weights="none",
        precision="fp32",
        run_seed=3,
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
        classes=found.classes,
        data=Data(str(folder / "pictures"), False, found.fingerprint, COUNTS),
        split=SplitSource(
            fingerprint(split), part_counts(split), "best.split.parquet", (0.6, 0.2, 0.2), 3, None, None
        ),
        versions={},
    )
    best = replace(best, **changes)
    save_best(best, folder / "best.yaml", split)
    return best


@pytest.fixture
def best(tmp_path):
    return make_best(tmp_path)


def test_without_validation_images_a_seed_trains_and_answers_the_test_images(tmp_path):
    work = job(tmp_path, {"train": 6, "test": 3})
    result = train_seed(work, 5)
    assert result.error is None
    assert all(epoch["val_loss"] is None for epoch in result.history)
    assert result.history[-1]["train_loss"] < result.history[0]["train_loss"]
    assert result.test_logits.shape == (6, 2)
    again = score_weights(work, result.weights[-1], "test")
    np.testing.assert_allclose(again, result.test_logits, atol=1e-5)


def test_a_seed_decides_the_result_and_another_gives_another(tmp_path):
    work = job(tmp_path, {"train": 4, "test": 2}, run_seed=None, epochs=1)
    first, second, third = (train_seed(work, seed).test_logits for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, second)
    assert np.abs(first - third).max() > 1e-3


def test_a_plateau_without_validation_is_lowered_where_the_search_lowered_it(tmp_path):
    plateau = {"schedule": "plateau", "plateau_factor": 0.5, "plateau_patience": 0, "learning_rate": 0.008}
    work = job(tmp_path, {"train": 3}, config=plateau, epochs=4, reduced_after=(1, 3))
    rates = [epoch["learning_rate"] for epoch in train_seed(work, 0).history]
    assert rates == pytest.approx([0.008, 0.004, 0.004, 0.002])


def test_with_validation_a_plateau_heeds_the_loss_and_not_the_list(tmp_path):
    plateau = {"schedule": "plateau", "plateau_factor": 0.5, "plateau_patience": 9, "learning_rate": 0.008}
    work = job(tmp_path, {"train": 3, "val": 2}, config=plateau, epochs=2, reduced_after=(1,))
    history = train_seed(work, 0).history
    assert [epoch["learning_rate"] for epoch in history] == [0.008, 0.008]
    assert all(math.isfinite(epoch["val_loss"]) for epoch in history)


def test_cosine_keeps_the_length_that_it_was_found_with(tmp_path):
    cosine = {"schedule": "cosine", "warmup_epochs": 0, "max_epochs": 10, "learning_rate": 0.01}
    work = job(tmp_path, {"train": 3}, config=cosine, epochs=3)
    rates = [epoch["learning_rate"] for epoch in train_seed(work, 0).history]
    assert rates[-1] > 0.0088


def test_patience_does_not_end_a_retraining(tmp_path):
    work = job(tmp_path, {"train": 2}, config={"patience": 1, "min_delta": 100.0}, epochs=4, late=3)
    result = train_seed(work, 0)
    assert [epoch["epoch"] for epoch in result.history] == [1, 2, 3, 4]
    assert [Path(name).stem for name in result.weights] == ["0-00002", "0-00003", "0-00004"]


def test_a_diverged_seed_is_a_result_with_an_error(tmp_path):
    broken = create("resnet18", 2)
    # Finite, as a file of weights has to be; answers overflow.
    torch.nn.init.constant_(broken.head[1].weight, 3e38)
    torch.save(broken.state_dict(), tmp_path / "broken.pt")
    result = train_seed(job(tmp_path, {"train": 3}, weights=str(tmp_path / "broken.pt")), 0)
    assert "train_loss nan" in result.error
    assert (result.history, result.weights, result.test_logits) == ((), (), None)


def test_fresh_seeds_are_drawn_and_the_searched_one_is_not_among_them():
    assert draw_seeds(7, 3) == draw_seeds(7, 5)[:3]
    assert 7 not in draw_seeds(7, 100)
    assert len(set(draw_seeds(7, 100))) == 100
    assert not set(draw_seeds(7, 20)) & set(draw_seeds(8, 20))


def test_the_split_of_the_search_is_read_from_beside_the_file(best, tmp_path):
    images = find_images(best, tmp_path / "best.yaml", Reporter())
    assert images.same_split
    assert fingerprint(images.split) == best.split.fingerprint
    assert images.words == "the split of the search"


def test_a_moved_best_yaml_takes_its_split_along(best, tmp_path):
    (tmp_path / "far").mkdir()
    for name in ("best.yaml", "best.split.parquet"):
        shutil.move(tmp_path / name, tmp_path / "far" / name)
    odd = replace(best, split=replace(best.split, seed=99))
    assert find_images(odd, tmp_path / "far" / "best.yaml", Reporter()).same_split


def test_a_split_whose_file_is_gone_is_made_again(best, tmp_path):
    (tmp_path / "best.split.parquet").unlink()
    images = find_images(best, tmp_path / "best.yaml", Reporter())
    assert images.same_split


def test_a_split_that_can_not_be_had_is_said_with_the_ways_out(best, tmp_path):
    (tmp_path / "best.split.parquet").unlink()
    lost = replace(best, split=replace(best.split, fingerprint="0" * 16))
    with pytest.raises(RunProblem, match=r"put best\.split\.parquet beside best\.yaml, or .* --data"):
        find_images(lost, tmp_path / "best.yaml", Reporter())
    without = replace(best, split=replace(best.split, groups=str(tmp_path / "gone.csv")))
    with pytest.raises(RunProblem, match=r"can't be had.*gone\.csv"):
        find_images(without, tmp_path / "best.yaml", Reporter())


def test_an_altered_split_file_is_not_believed(best, tmp_path):
    split = pd.read_parquet(tmp_path / "best.split.parquet")
    split.loc[0, "split"] = "test" if split.loc[0, "split"] != "test" else "train"
    split.to_parquet(tmp_path / "best.split.parquet")
    images = find_images(best, tmp_path / "best.yaml", Reporter())
    assert fingerprint(images.split) == best.split.fingerprint


def test_changed_images_are_refused_and_another_folder_gets_a_new_split(best, tmp_path):
    write_pictures(tmp_path / "pictures", {"blue": 1}, seed=9)
    with pytest.raises(DataProblem, match=r"has changed since the search.*--data"):
        find_images(best, tmp_path / "best.yaml", Reporter())
    images = find_images(best, tmp_path / "best.yaml", Reporter(), data=tmp_path / "pictures")
    assert not images.same_split
    assert "new split" in images.words
    assert images.source.fingerprint == fingerprint(images.split)


def test_the_same_images_elsewhere_keep_the_split_of_the_search(best, tmp_path):
    shutil.copytree(tmp_path / "pictures", tmp_path / "elsewhere")
    shutil.rmtree(tmp_path / "pictures")
    with pytest.raises(DataProblem, match="is gone; say where they are: --data"):
        find_images(best, tmp_path / "best.yaml", Reporter())
    assert find_images(best, tmp_path / "best.yaml", Reporter(), data=tmp_path / "elsewhere").same_split


def test_a_search_with_labels_from_a_table_is_retrained_with_the_same(best, tmp_path):
    folder, rows = tmp_path / "pictures", ["path,label"]
    rows += [f"{image.relative_to(folder).as_posix()},{image.parent.name}" for image in folder.rglob("*.png")]
    table = tmp_path / "labels.csv"
    table.write_text("\n".join(rows))
    tabled = replace(best, data=replace(best.data, labels=str(table)))
    images = find_images(tabled, tmp_path / "best.yaml", Reporter())
    assert images.same_split
    assert images.data.labels == str(table)
    table.rename(tmp_path / "moved.csv")
    with pytest.raises(DataProblem, match="is gone; say where they are: --labels"):
        find_images(tabled, tmp_path / "best.yaml", Reporter())
    moved = find_images(tabled, tmp_path / "best.yaml", Reporter(), labels=tmp_path / "moved.csv")
    assert moved.same_split
    (tmp_path / "moved.csv").rename(table)
    shutil.copytree(folder, tmp_path / "elsewhere")
    assert find_images(tabled, tmp_path / "best.yaml", Reporter(), data=tmp_path / "elsewhere").same_split
    table.rename(tmp_path / "moved.csv")
    swapped = (tmp_path / "moved.csv").read_text().replace(",blue", ",x").replace(",green", ",blue")
    table.write_text(swapped)
    with pytest.raises(DataProblem, match="has changed since the search"):
        find_images(tabled, tmp_path / "best.yaml", Reporter())


def tabled_search(best, folder, change=lambda path: path):
    """The same search with its labels from a table, written as `change` has it, and the table."""
    pictures = folder / "pictures"
    names = sorted(image.relative_to(pictures).as_posix() for image in pictures.rglob("*.png"))
    table = folder / "labels.csv"
    table.write_text("\n".join(["path,label", *(f"{change(name)},{name.split('/')[0]}" for name in names)]))
    return replace(best, data=replace(best.data, labels=str(table))), table


def renamed(folder, place):
    """The pictures of `folder` in `place`, beside folders of no class; one is gone."""
    for number, label in enumerate(("blue", "green"), start=1):
        shutil.copytree(folder / "pictures" / label, place / label)
        (place / f"batch{number}").mkdir()
    (place / "blue" / "000.png").unlink()
    return place


def test_a_table_with_backslashes_labels_the_images_of_another_folder_too(best, tmp_path):
    tabled, table = tabled_search(best, tmp_path, lambda name: name.replace("/", "\\"))
    data = renamed(tmp_path, tmp_path / "elsewhere")
    shutil.copy(data / "blue" / "001.png", data / "batch1" / "new.png")
    images = find_images(tabled, tmp_path / "best.yaml", Reporter(), data=data)
    assert images.data.labels == str(table)
    assert images.classes == ("blue", "green")
    assert "batch1/new.png" not in set(images.split["path"])


@pytest.mark.parametrize("gone", [True, False])
def test_folder_names_do_not_stand_in_for_a_table_that_does_not_fit(best, tmp_path, gone):
    tabled, table = tabled_search(best, tmp_path)
    write_pictures(tmp_path / "others", {"batch1": 12, "batch2": 12}, seed=5)
    if gone:
        table.unlink()
    why = "is gone" if gone else "names no image in .*others"
    with pytest.raises(
        DataProblem, match=f"labels.csv, the labels of the search, {why}, and its class folders .*--labels"
    ):
        find_images(tabled, tmp_path / "best.yaml", Reporter(), data=tmp_path / "others")


def test_folders_named_as_the_classes_say_the_labels_where_the_table_does_not_fit(best, tmp_path):
    tabled, table = tabled_search(best, tmp_path)
    table.unlink()
    place = tmp_path / "new"
    write_pictures(place, {"blue": 12, "green": 12}, seed=5)
    console = Console(file=io.StringIO(), record=True, width=400)
    images = find_images(tabled, tmp_path / "best.yaml", Reporter(console), data=place)
    assert images.data.labels is None
    assert images.classes == ("blue", "green")
    assert "is gone: the folders, which are named as its classes, say the labels" in console.export_text()


def deepen(folder, bright=1.0):
    """Turn the pictures in `folder` into grey ones of 12 bits in 16, every second a tenth as bright."""
    for number, path in enumerate(sorted(folder.rglob("*.png"))):
        with Image.open(path) as image:
            grey = np.asarray(image.convert("L")) / 255
        grey[0, :4] = 1.0
        dim = bright * (1.0 if number % 2 else 0.1)
        Image.fromarray((grey * dim * 4095).astype("uint16")).save(path)


def deep_best(folder):
    """A best.yaml of a search on such pictures."""
    best = make_best(folder)
    deepen(folder / "pictures")
    found = scan(folder / "pictures")
    best = replace(best, data=replace(best.data, fingerprint=found.fingerprint, scale=found.scale))
    save_best(best, folder / "best.yaml")
    return best


def long_best(folder, fit):
    """The same of long ones, which become squares by `fit`."""
    best = deep_best(folder)
    stretch(folder / "pictures")
    found = scan(folder / "pictures")
    assert found.scale == best.data.scale
    best = replace(best, fit=fit, data=replace(best.data, fingerprint=found.fingerprint))
    save_best(best, folder / "best.yaml")
    return best


def test_the_scale_of_a_search_is_in_best_yaml_and_kept_by_a_retraining(tmp_path):
    best = deep_best(tmp_path)
    assert best.data.scale == {"int16": Levels(0.0, 4095.0)}
    assert read_best(tmp_path / "best.yaml") == best
    assert find_images(best, tmp_path / "best.yaml", Reporter()).same_split
    write_pictures(tmp_path / "new", COUNTS, seed=5)
    deepen(tmp_path / "new", bright=0.2)
    console = Console(file=io.StringIO(), record=True, width=400)
    images = find_images(best, tmp_path / "best.yaml", Reporter(console), data=tmp_path / "new")
    assert images.data.scale == best.data.scale
    assert all(pixels.endswith("@int16:0.0:4095.0") for pixels in images.hashes.values())
    assert "tuner keeps the scale of the search (16-bit pictures: 0 is black, 4095 is white)" in (
        console.export_text()
    )


def test_a_scale_in_best_yaml_that_is_none_is_refused(tmp_path):
    deep_best(tmp_path)
    path = tmp_path / "best.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("4095.0", "-1.0"), encoding="utf-8")
    with pytest.raises(InvalidValue, match=r"data\.scale.*black and white by kind of samples"):
        read_best(path)


def test_what_the_search_left_out_is_left_out_again_but_not_of_other_images(best, tmp_path):
    write_pictures(tmp_path / "pictures", {"blue": 12, "green": 12})
    extra = ("blue/010.png", "green/011.png")
    found = scan(tmp_path / "pictures", without=extra)
    split = make_split(found, None, (0.6, 0.2, 0.2), 3)
    source = replace(best.split, fingerprint=fingerprint(split), images=part_counts(split))
    data = replace(best.data, fingerprint=found.fingerprint, images={"blue": 11, "green": 11}, left_out=extra)
    left = replace(best, split=source, data=data)
    again = find_images(left, tmp_path / "best.yaml", Reporter())
    assert again.same_split
    assert not set(extra) & set(again.split["path"])
    assert again.data.left_out == extra
    write_pictures(tmp_path / "others", {"blue": 12, "green": 12}, seed=5)
    others = find_images(left, tmp_path / "best.yaml", Reporter(), data=tmp_path / "others")
    assert set(extra) <= set(others.split["path"])
    assert others.data.left_out == ()


def test_the_number_of_epochs_is_that_of_the_search_and_the_steps_grow(best, tmp_path):
    images = find_images(best, tmp_path / "best.yaml", Reporter())
    assert part_counts(images.split) == {"train": 12, "val": 4, "test": 4}
    epochs, rule = epochs_rule(best, images, ("train", "val"), None)
    assert epochs == 3
    assert "4 an epoch instead of 3" in rule
    epochs, rule = epochs_rule(best, images, ("train",), 7)
    assert epochs == 7
    assert "as asked (the search's best was 3)" in rule


def test_a_linear_probe_is_retrained_for_one_epoch_however_many_are_asked(tmp_path):
    config = TrialConfig.resolve({"model": "resnet18", "strategy": "linear_probe"})
    best = make_best(tmp_path, config=config)
    images = find_images(best, tmp_path / "best.yaml", Reporter())
    for asked in (None, 7):
        epochs, rule = epochs_rule(best, images, ("train", "val"), asked)
        assert (epochs, rule) == (1, "1 epoch, in which strategy linear_probe solves the head")


def test_the_rule_names_the_epochs_after_which_a_plateau_was_lowered(tmp_path):
    config = TrialConfig.resolve({"model": "resnet18", "strategy": "full", "schedule": "plateau"})
    best = make_best(tmp_path, config=config, plateau_reduced_after=(1, 2))
    images = find_images(best, tmp_path / "best.yaml", Reporter())
    assert epochs_rule(best, images, ("train", "val"), None)[1].endswith("in the search: 1, 2")
    assert "lowered" not in epochs_rule(best, images, ("train",), None)[1]


def test_weights_that_are_gone_are_said_before_anything_is_trained_and_others_are_noted(tmp_path):
    folder = tmp_path / "weights"
    folder.mkdir()
    file = folder / "resnet18.pt"
    file.write_bytes(b"weights")
    known = fingerprints(str(folder), ["resnet18"])
    best = make_best(tmp_path, weights=str(folder), weights_files=known)
    assert read_best(tmp_path / "best.yaml").weights_files == known
    config = RetrainConfig(best=tmp_path / "best.yaml", out=tmp_path / "model")
    file.write_bytes(b"others")
    said = io.StringIO()
    (tmp_path / "work").mkdir()
    prepare_plan(config, best, tmp_path / "work", Reporter(Console(file=said, width=300)))
    assert f"note: {file} has other content than when the run began" in said.getvalue()
    file.unlink()
    with pytest.raises(WeightsUnavailable, match=r"weights is gone, but resnet18 starts from it"):
        retrain(config)
    assert not config.folder.exists()


def test_a_size_that_the_model_can_not_take_is_said_before_an_image_is_read(tmp_path):
    config = TrialConfig.resolve({"model": "timm:mixer_s32_224", "strategy": "full", "batch_size": 4})
    one_size = make_best(tmp_path, config=config)
    shutil.rmtree(tmp_path / "pictures")
    asked = RetrainConfig(tmp_path / "best.yaml")
    with pytest.raises(
        InvalidValue, match=r"timm:mixer_s32_224: it fails at 32 px .* --image-size 224 would do"
    ):
        prepare_plan(asked, one_size, tmp_path, Reporter())


def test_contradictions_are_refused_before_anything_is_read(tmp_path):
    config = RetrainConfig(tmp_path / "best.yaml")
    check_config(config)
    with pytest.raises(InvalidValue, match="--seeds 0"):
        check_config(replace(config, seeds=0))
    with pytest.raises(InvalidValue, match="--epochs 0"):
        check_config(replace(config, epochs=0))
    with pytest.raises(InvalidValue, match=r"--final .* --average"):
        check_config(replace(config, final=True, average=True))
    with pytest.raises(InvalidValue, match=r"--ensemble .* --average"):
        check_config(replace(config, ensemble=True, average=True))
    with pytest.raises(RunProblem, match="exists already"):
        check_config(replace(config, out=tmp_path))


def test_class_names_in_any_script_can_be_drawn(tmp_path):
    epoch = {
        "epoch": 1,
        "train_loss": 1.0,
        "val_loss": math.nan,
        "train_accuracy": 0.5,
        "val_accuracy": math.nan,
    }
    rows = [
        {"min_confidence": 0.5, "answered": 0.9, "accuracy": 0.8},
        {"min_confidence": 0.99, "answered": 0.0, "accuracy": None},
    ]
    metrics = {"test": {"exported": {"confusion": [[3, 1], [0, 4]]}}, "answered": rows}
    draw(tmp_path / "figures", [SeedResult(1, (epoch, {**epoch, "epoch": 2}))], metrics, ["감자", "a" * 60])
    assert {file.name for file in (tmp_path / "figures").iterdir()} == {
        "learning_curves.png",
        "confusion_matrix.png",
        "answered.png",
    }


def test_a_seed_starts_over_in_smaller_parts_when_memory_runs_out(tmp_path, monkeypatch):
    plain = train_seed(job(tmp_path / "plain", {"train": 6, "test": 3}), 5)
    update, started, held = TrainingRun._update, seeds._start, []

    def large(run, inputs, labels, kept):
        if len(labels) / run.accumulation > 2:
            raise RuntimeError("CUDA error: out of memory")
        return update(run, inputs, labels, kept)

    def start(job, seed):
        assert all(one() is None for one in held)
        run = started(job, seed)
        held.append(weakref.ref(run.classifier))
        return run

    monkeypatch.setattr(TrainingRun, "_update", large)
    monkeypatch.setattr(seeds, "_start", start)
    result = train_seed(job(tmp_path / "small", {"train": 6, "test": 3}), 5)
    assert len(held) == 3
    assert result.history[-1]["train_loss"] == pytest.approx(plain.history[-1]["train_loss"], rel=1e-4)
    assert np.allclose(result.test_logits, plain.test_logits, atol=1e-3)


def test_a_seed_whose_device_is_lost_ends_its_process(tmp_path, monkeypatch):
    def lost(*given):
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(TrainingRun, "_update", lost)
    with pytest.raises(WorkerBroken, match="illegal memory access"):
        train_seed(job(tmp_path, {"train": 6}), 5)


def test_seeds_of_several_jobs_share_the_places_of_the_session(tmp_path, monkeypatch):
    instant = InstantRay()
    monkeypatch.setattr(seeds, "ray", instant)
    monkeypatch.setattr(
        seeds,
        "train_seed",
        lambda job, seed: SeedResult(seed, ({"train_loss": job.epochs, "n": job.num_threads},)),
    )
    session = SimpleNamespace(resources={"cpu": 2.0}, slots=lambda: 3)
    one = job(tmp_path, {"train": 6})
    jobs = [(replace(one, epochs=epochs), [epochs * 10, epochs * 10 + 1]) for epochs in (1, 2, 3)]
    results = train_jobs(jobs, session, Reporter())
    assert [[result.seed for result in own] for own in results] == [[10, 11], [20, 21], [30, 31]]
    assert [own[0].history[0] for own in results] == [{"train_loss": n, "n": 2} for n in (1, 2, 3)]
    assert instant.most == 3


def test_images_are_answered_in_smaller_batches_when_memory_runs_out(tmp_path, monkeypatch):
    work = job(tmp_path, {"train": 6, "test": 6})
    weights = train_seed(work, 5).weights[-1]
    whole = score_weights(work, weights, "test")
    forward, sizes = Classifier.forward, []

    def small(self, images):
        sizes.append(len(images))
        if len(images) > 5:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(self, images)

    monkeypatch.setattr(Classifier, "forward", small)
    assert np.allclose(score_weights(work, weights, "test"), whole, atol=1e-4)
    assert sizes[-3:] == [4, 4, 4]


def test_a_folder_that_is_not_there_is_said_before_weights_that_are_missing(tmp_path):
    best = make_best(
        tmp_path, weights="imagenet", weights_files={"resnet18": {"file": "gone", "sha256": "0"}}
    )
    gone = RetrainConfig(best=tmp_path / "best.yaml", data=tmp_path / "nowhere")
    with pytest.raises(DataProblem, match=r"nowhere does not exist; --data .*nowhere must be a folder"):
        prepare_plan(gone, best, tmp_path / "seeds", Reporter())
    shutil.rmtree(tmp_path / "pictures")
    moved = RetrainConfig(best=tmp_path / "best.yaml")
    with pytest.raises(DataProblem, match="the images of the search, is gone"):
        prepare_plan(moved, best, tmp_path / "seeds", Reporter())
