"""Probing backbones: what a probe measures, keeps, and advises."""

import io
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from library_weights import SMALL as SMALL_LIBRARY
from library_weights import put_weights, use_own_libraries
from pictures import stretch, write_pictures
from rich.console import Console
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch.nn import functional as F

import tuner
from trainables import inference, models
from trainables.config import FITS
from trainables.data.cache import ImageCache
from trainables.errors import InvalidValue, UnknownName, WeightsUnavailable
from trainables.linear_probe import PENALTIES, choose_l2, solve
from trainables.models.candidates import CANDIDATES
from trainables.models.selection import backbones_of
from tuner.cli.probe import render
from tuner.console.reporter import Reporter
from tuner.dataset.config import DataConfig
from tuner.probing.ranking import Probe, Probed, probe, tied
from tuner.statistics.groups import grouped_folds

SMALL = "timm:test_resnet,resnet18"


@pytest.fixture
def images(tmp_path, monkeypatch):
    monkeypatch.setenv("TUNER_CACHE_DIR", str(tmp_path / "cache"))
    write_pictures(tmp_path / "pictures", {"blue": 20, "green": 20, "red": 12})
    return tmp_path / "pictures"


def config_of(folder, **more):
    return DataConfig(folder=folder, image_size=32, weights="none", **more)


def row(model, losses, milliseconds):
    losses = tuple(losses)
    return Probed(
        *(
            model,
            None,
            None,
            10,
            0.1,
            4,
            milliseconds,
            None,
            0.1,
            float(np.mean(losses)),
            0.0,
            1.0,
            0.5,
            0.5,
            1.0,
            losses,
        )
    )


def probe_of(*rows):
    groups = tuple(map(str, range(len(rows[0].losses))))
    ordered = tuple(sorted(rows, key=lambda one: one.log_loss))
    return Probe(ordered, {}, groups, {"train": 10, "val": len(groups)}, 32, "fp32", 1.0, 0)


def test_backbones_are_measured_best_first_and_the_second_probe_computes_nothing(images, monkeypatch):
    first = probe(config_of(images), SMALL)
    assert [one.log_loss for one in first.rows] == sorted(one.log_loss for one in first.rows)
    assert first.rows[0].log_loss < np.log(3)
    assert first.again == 0
    for one in first.rows:
        assert one.low < one.log_loss < one.high
        assert one.log_loss == pytest.approx(np.mean(one.losses), rel=1e-6)
        assert one.milliseconds > 0
        built = models.create(one.model, 3)
        assert one.parameters == sum(p.numel() for p in built.backbone.parameters())
        assert one.features == built.width
    monkeypatch.setattr(models, "create", lambda *_, **__: pytest.fail("built a network again"))
    again = probe(config_of(images), SMALL)
    assert (again.rows, again.again) == (first.rows, 2)


def test_where_there_is_a_gpu_another_process_probes_and_this_one_leaves_it_alone(images, monkeypatch):
    expected = probe(config_of(images, seed=3), SMALL)
    monkeypatch.setattr(inference, "best_device", lambda: torch.device("cuda"))
    monkeypatch.setattr(models, "create", lambda *_, **__: pytest.fail("built a network in the driver"))
    monkeypatch.setattr(inference, "choose_precision", lambda *_: pytest.fail("asked the GPU"))
    for file in (images.parent / "cache" / "probes").iterdir():
        file.unlink()
    found = probe(config_of(images, seed=3), SMALL)
    assert found.again == 0
    assert [one.model for one in found.rows] == [one.model for one in expected.rows]
    for one, other in zip(found.rows, expected.rows, strict=True):
        assert one.log_loss == pytest.approx(other.log_loss, rel=1e-4)
    assert found.precision == expected.precision


def test_another_split_is_another_probe_and_a_broken_file_is_measured_anew(images, tmp_path):
    probe(config_of(images), "timm:test_resnet")
    assert probe(config_of(images, seed=1), "timm:test_resnet").again == 0
    for file in (tmp_path / "cache" / "probes").iterdir():
        file.write_text(json.dumps({"model": "half"}), encoding="utf-8")
    assert probe(config_of(images), "timm:test_resnet").again == 0


def test_each_fit_is_another_probe_and_the_document_says_which(images):
    stretch(images)
    found = [probe(config_of(images, fit=fit), "timm:test_resnet") for fit in (*FITS, "pad")]
    assert [one.again for one in found] == [0, 0, 0, 1]
    assert [one.document()["fit"] for one in found] == [*FITS, "pad"]
    assert len({one.rows[0].losses for one in found}) == len(FITS)
    assert "images of training and validation, fit pad, each answered" in str(render(found[-1])[1])
    asked = {"weights": "none", "image_size": 32, "fit": "pad"}
    assert tuner.probe(images, backbones="timm:test_resnet", **asked).again == 1


def test_a_kept_probe_is_that_of_the_weights_that_it_saw(images, tmp_path, monkeypatch):
    use_own_libraries(tmp_path / "libraries", monkeypatch)
    config, found = replace(config_of(images), weights="imagenet"), []
    for seed in (0, 1, 0):
        put_weights(tmp_path / "libraries", SMALL_LIBRARY, seed)
        found.append(probe(config, SMALL_LIBRARY))
    assert [one.again for one in found] == [0, 0, 1]
    losses = [one.rows[0].losses for one in found]
    assert losses[0] == losses[2]
    assert losses[0] != losses[1]


def test_the_test_images_are_not_read(images, monkeypatch):
    read = []
    rows = ImageCache.rows

    def noted(self, paths):
        read.extend(paths)
        return rows(self, paths)

    monkeypatch.setattr(ImageCache, "rows", noted)
    found = probe(config_of(images), "timm:test_resnet")
    assert len(set(read)) == found.images["train"] + found.images["val"] < 52


def test_the_score_is_that_of_a_logistic_regression_on_the_networks_features(images):
    found = probe(config_of(images), "timm:test_resnet").rows[0]
    from trainables.data.cache import build_cache
    from trainables.data.preprocessing import centre_crop
    from tuner.dataset.reading.scan import scan
    from tuner.dataset.splitting import make_split, parse_fractions

    scanned = scan(images)
    split = make_split(scanned, None, parse_fractions("0.8,0.1,0.1"), 0)
    paths = split.loc[split["split"] != "test", "path"].tolist()
    hashes = {image.path: image.pixels for image in scanned.images}
    cache = ImageCache.open(build_cache(images, paths, [hashes[path] for path in paths], 32))
    classifier = models.create("timm:test_resnet", 3, seed=0).eval()
    mean, std = (torch.tensor(value).reshape(1, 3, 1, 1) for value in (classifier.mean, classifier.std))
    features, labels = {}, {}
    for part in ("train", "val"):
        own = split[split["split"] == part]
        pixels = torch.from_numpy(centre_crop([cache[r] for r in cache.rows(own["path"].tolist())], 32))
        with torch.no_grad():
            features[part] = classifier.features((pixels.permute(0, 3, 1, 2) / 255 - mean) / std)[0].numpy()
        labels[part] = own["label"].map({"blue": 0, "green": 1, "red": 2}).to_numpy()
    scaler = StandardScaler().fit(features["train"])
    peer = LogisticRegression(C=1 / (found.l2 * len(labels["train"])), tol=1e-9, max_iter=5000)
    peer.fit(scaler.transform(features["train"]), labels["train"])
    answers = peer.predict_proba(scaler.transform(features["val"]))
    losses = -np.log(answers[np.arange(len(answers)), labels["val"]])
    # Features of a machine with native bf16 are computed in it.
    assert found.log_loss == pytest.approx(losses.mean(), rel=0.1, abs=0.02)


def test_the_penalty_is_the_one_that_cross_validation_by_groups_prefers():
    random = np.random.default_rng(1)
    labels = np.repeat([0, 1, 2], 40)
    groups = [str(number // 4) for number in range(120)]
    # What a group's images share is no help for other groups.
    shared = random.normal(0, 2, (30, 20))[np.repeat(np.arange(30), 4)]
    features = torch.from_numpy(
        shared + 0.8 * np.eye(3, 20)[labels] + random.normal(0, 0.3, (120, 20))
    ).float()
    folds = grouped_folds(labels, groups, 0)
    truth = torch.from_numpy(labels)
    l2, loss = choose_l2(features, truth, 3, torch.from_numpy(folds))
    sums = {}
    for penalty in PENALTIES:
        held = []
        for fold in range(5):
            out = torch.from_numpy(folds == fold)
            solved = solve(features[~out], truth[~out], 3, l2=penalty)
            held.append(F.cross_entropy(F.linear(features[out], *solved), truth[out], reduction="sum"))
        sums[penalty] = float(sum(held)) / 120
    assert l2 == min(sums, key=sums.__getitem__)
    assert loss == pytest.approx(sums[l2], abs=2e-3)
    by_image, _ = choose_l2(features, truth, 3, torch.from_numpy(random.permutation(120) % 5))
    assert by_image < l2


def test_ties_are_told_by_paired_differences():
    random = np.random.default_rng(0)
    hard = random.exponential(1.0, 60)
    best, near, far, cheap = (
        row("best", hard, 30.0),
        row("near", hard + 0.05, 20.0),
        row("far", hard + random.normal(0.5, 0.1, 60), 1.0),
        row("cheap", hard + 0.06 + np.tile([0.6, -0.6], 30), 5.0),
    )
    found = probe_of(best, near, far, cheap)
    # A small but steady loss is no tie, though its interval overlaps; a wavering one is.
    assert tied(found) == ("best", "cheap")


def test_a_probe_says_what_is_expected_of_each_and_how_long_the_rest_takes(images):
    said = io.StringIO()
    found = probe(config_of(images), SMALL, Reporter(Console(file=said, width=200)))
    assert {one.model for one in found.outlook} == {one.model for one in found.rows} == set(found.fine_tuned)
    document = found.document()
    assert {row["outlook"]["model"] for row in document["backbones"]} == {*found.fine_tuned}
    assert document["advised"] == [*found.fine_tuned]
    told = [line for line in said.getvalue().splitlines() if "probed in" in line]
    assert "; 1 more, about " in told[0]
    assert "more, about" not in told[1]


def test_names_of_backbones():
    small, everything = backbones_of("small", "cuda"), backbones_of("all", "cpu")
    assert backbones_of("auto", "cpu") == small
    assert backbones_of("auto", "cuda") == everything == tuple(one.name for one in CANDIDATES)
    assert set(small) < set(everything)
    assert backbones_of("resnet18, vgg16,resnet18", "cpu") == ("resnet18", "vgg16")
    with pytest.raises(UnknownName, match="did you mean 'resnet18'"):
        backbones_of("resnet8", "cpu")
    with pytest.raises(InvalidValue, match="names no model"):
        backbones_of(" , ", "cpu")


def test_without_weights_a_candidate_is_passed_over_and_without_any_nothing_is_read(
    images, tmp_path, monkeypatch
):
    monkeypatch.setattr(models, "weights_available", lambda name: False)
    folder = tmp_path / "weights"
    folder.mkdir()
    with pytest.raises(WeightsUnavailable, match=r"none of the 2 backbones .* --weights-dir DIR") as caught:
        tuner.probe(images, backbones=SMALL, weights_dir=folder)
    assert "--weights none" in str(caught.value)
    assert "--weights FILE" not in str(caught.value)
    torch.save(models.create("resnet18", 2, seed=1).backbone.state_dict(), folder / "resnet18.pt")
    found = tuner.probe(images, backbones=SMALL.split(","), weights_dir=folder, image_size=32)
    assert [one.model for one in found.rows] == ["resnet18"]
    assert set(found.passed_over) == {"timm:test_resnet"}
    torch.save(models.create("resnet50", 2).backbone.state_dict(), folder / "resnet18.pt")
    with pytest.raises(WeightsUnavailable, match=r"resnet18\.pt' for resnet18 does not fit"):
        tuner.probe(images, backbones=SMALL, weights_dir=folder, image_size=32)
