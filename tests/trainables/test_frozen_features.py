import multiprocessing
import os
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from pictures import trial_data, write_pictures

from trainables import augmentations, models, strategies
from trainables.config import CONDITIONS, FITS, TrialConfig
from trainables.data.augment import MAX_OCCURRENCES
from trainables.data.cache import ImageCache, build_cache
from trainables.frozen_features import FeatureCache, FeatureKey
from trainables.inference import build_classifier
from trainables.locks import locked
from trainables.setting import ComputeConfig
from trainables.training import TrainingRun

CPU = torch.device("cpu")

WIDTH = 96
"""Features of timm:test_resnet."""


def key(data, **changes):
    values = {
        "model": "timm:test_resnet",
        "weights": "none",
        "run_seed": 0,
        "images": data.cache.path.name,
        "image_size": 32,
        "precision": "fp32",
        "device": "cpu",
    }
    return FeatureKey(**(values | changes))


def feature_cache_of(data, folder, limit=2**30, **changes):
    return FeatureCache(key(data, **changes), data.cache, CPU, limit, folder)


def train(data, feature_cache, **parameters):
    config = TrialConfig.resolve(
        {"model": "timm:test_resnet", "max_epochs": 3, "batch_size": 8, **parameters}
    )
    run = TrainingRun(config, data, ComputeConfig(32), feature_cache)
    return run, list(run.epochs())


@pytest.mark.parametrize("sampler", ["shuffle", "weighted"])
@pytest.mark.parametrize(
    "strategy",
    ["feature_extractor", "gradual_unfreeze", "staged_unfreeze", "full", "probe_then_full", "linear_probe"],
)
def test_a_trial_measures_the_same_with_and_without_the_feature_cache(tmp_path, strategy, sampler):
    data = trial_data(tmp_path)
    extra = {"unfreeze_at": 1} if "unfreeze" in strategy else {}
    _, plain = train(data, None, strategy=strategy, sampler=sampler, **extra)
    _, cached = train(
        data, feature_cache_of(data, tmp_path / "features"), strategy=strategy, sampler=sampler, **extra
    )
    for before, after in zip(plain, cached, strict=True):
        assert after.train_loss == pytest.approx(before.train_loss, rel=1e-4, abs=1e-5)
        assert after.scores == pytest.approx(before.scores, rel=1e-4, abs=1e-5, nan_ok=True)


def test_linear_probes_share_one_file_of_features_whatever_their_augmentation(tmp_path, monkeypatch):
    data = trial_data(tmp_path)
    _, [first] = train(
        data, feature_cache_of(data, tmp_path / "features"), strategy="linear_probe", augmentation="light"
    )
    feature_cache = feature_cache_of(data, tmp_path / "features")
    assert [file.name for file in feature_cache.folder.glob("*.f32")] == ["validation.f32"]
    monkeypatch.setattr(feature_cache, "_run", lambda *given: pytest.fail("computed again"))
    _, [second] = train(data, feature_cache, strategy="linear_probe", augmentation="strong", seed=5)
    assert second.scores == first.scores


@pytest.fixture
def frozen_aux(monkeypatch):
    """A strategy that trains the auxiliary heads on a frozen backbone; its name."""
    strategies.names()
    unfreezes = strategies._ENTRIES["feature_extractor"].unfreezes
    monkeypatch.setitem(strategies._ENTRIES, "frozen_aux", strategies._Entry(unfreezes, auxiliary=True))
    only = replace(CONDITIONS["auxiliary_weight"], values=("full_aux", "frozen_aux"))
    monkeypatch.setitem(CONDITIONS, "auxiliary_weight", only)
    return "frozen_aux"


def test_auxiliary_heads_on_a_frozen_backbone_train_alike_with_and_without_the_feature_cache(
    tmp_path, frozen_aux
):
    data = trial_data(tmp_path)
    options = {"model": "googlenet", "strategy": frozen_aux, "dropout": 0.0, "max_epochs": 2}
    plain_run, plain = train(data, None, **options)
    feature_cache = feature_cache_of(data, tmp_path / "features", model="googlenet")
    cached_run, cached = train(data, feature_cache, **options)
    assert (feature_cache.folder / f"train-{feature_cache.key.policy}-00001-0-aux_inputs.f32").exists()
    for before, after in zip(plain, cached, strict=True):
        assert after.train_loss == pytest.approx(before.train_loss, rel=1e-4)
        assert after.val_loss == pytest.approx(before.val_loss, rel=1e-4)
    started = build_classifier(plain_run.config, len(data.classes), "none", 0).auxiliary.state_dict()
    for name, tensor in cached_run.classifier.auxiliary.state_dict().items():
        torch.testing.assert_close(tensor, plain_run.classifier.auxiliary.state_dict()[name])
        assert not name.endswith("weight") or not torch.equal(tensor, started[name])


def test_a_feature_cache_too_small_for_one_epoch_is_left_alone(tmp_path):
    data = trial_data(tmp_path)
    feature_cache = feature_cache_of(data, tmp_path / "features", limit=len(data.train_rows) * WIDTH * 4 - 1)
    train(data, feature_cache, strategy="feature_extractor", max_epochs=1)
    assert not feature_cache.folder.exists()


def test_the_second_trial_computes_no_features(tmp_path, monkeypatch):
    data = trial_data(tmp_path)
    train(data, feature_cache_of(data, tmp_path / "features"), strategy="feature_extractor")
    feature_cache = feature_cache_of(data, tmp_path / "features")
    monkeypatch.setattr(feature_cache, "_run", lambda *given: pytest.fail("computed again"))
    _, epochs = train(data, feature_cache, strategy="feature_extractor", learning_rate=1e-2)
    assert len(epochs) == 3


def test_each_augmentation_has_features_of_its_own_and_all_share_validations(tmp_path):
    data = trial_data(tmp_path)
    options = {"strategy": "feature_extractor", "max_epochs": 1}
    losses = {}
    for name in augmentations.names():
        feature_cache = feature_cache_of(data, tmp_path / "features", augmentation=name)
        _, plain = train(data, None, augmentation=name, **options)
        _, cached = train(data, feature_cache, augmentation=name, **options)
        assert cached[0].train_loss == pytest.approx(plain[0].train_loss, rel=1e-4)
        losses[name] = cached[0].train_loss
    files = sorted(file.name for file in (tmp_path / "features").glob("*/*.f32"))
    policies = [f"{name}-{augmentations.get(name).digest}" for name in augmentations.names()]
    assert files == [*(f"train-{policy}-00001-0.f32" for policy in policies), "validation.f32"]
    assert len(set(losses.values())) == len(losses)


def test_other_weights_or_sizes_or_seeds_have_other_features(tmp_path):
    data = trial_data(tmp_path)
    base = key(data)
    others = [
        key(data, model="resnet50"),
        key(data, run_seed=1),
        key(data, image_size=64),
        key(data, precision="bf16"),
        key(data, images="others"),
    ]
    assert len({one.digest for one in [base, *others]}) == 6


def test_pictures_that_become_squares_otherwise_have_other_features_and_crops_stay_where_they_are(tmp_path):
    paths, found = write_pictures(tmp_path, {"blue": 2}), []
    for fit in FITS:
        cache = ImageCache.open(build_cache(tmp_path, paths, paths, 32, fit=fit, cache_dir=tmp_path))
        found.append(FeatureCache.shared("resnet18", cache, ComputeConfig(32), 2**20).key.digest)
    assert len(set(found)) == len(FITS)
    before = ImageCache.open(build_cache(tmp_path, paths, paths, 32, cache_dir=tmp_path))
    assert FeatureCache.shared("resnet18", before, ComputeConfig(32), 2**20).key.digest == found[0]


def test_a_weights_file_that_changes_under_its_name_has_other_features(tmp_path):
    data = trial_data(tmp_path)
    file = tmp_path / "weights.pt"
    file.write_bytes(b"one")
    before = key(data, weights=str(file)).digest
    file.write_bytes(b"two")
    assert key(data, weights=str(file)).digest != before


def test_features_that_are_not_finite_are_not_kept(tmp_path):
    data = trial_data(tmp_path)
    cache = feature_cache_of(data, tmp_path / "features")
    sound, broken = (models.create("timm:test_resnet", 3).eval() for _ in range(2))
    next(broken.backbone.parameters()).data.fill_(float("nan"))
    assert cache.validation(broken, data.val_rows).isnan().all()
    assert cache.validation(sound, data.val_rows).isfinite().all()
    assert cache.validation(broken, data.val_rows).isfinite().all()


def test_the_least_recently_used_features_are_evicted_beyond_the_limit(tmp_path):
    data = trial_data(tmp_path)
    run, _ = train(data, None, strategy="feature_extractor", max_epochs=1)
    one_epoch = len(data.cache) * WIDTH * 4
    feature_cache = feature_cache_of(data, tmp_path / "features", limit=int(2.5 * one_epoch))
    turns = np.zeros(len(data.train_rows), np.int64)
    for epoch in (1, 2, 1, 3):
        feature_cache.train(run.classifier.eval(), data.train_rows, turns, epoch)
        time.sleep(0.01)
    left = sorted(file.name for file in feature_cache.folder.glob("*.f32"))
    assert left == [f"train-{feature_cache.key.policy}-{epoch:05d}-0.f32" for epoch in (1, 3)]


def _hold_and_die(path, ready):
    with locked(path):
        ready.set()
        time.sleep(0.5)
        os._exit(9)


def test_a_lock_whose_holder_dies_is_taken_over(tmp_path):
    data = trial_data(tmp_path)
    run, _ = train(data, None, strategy="feature_extractor", max_epochs=1)
    feature_cache = feature_cache_of(data, tmp_path / "features")
    feature_cache.folder.mkdir(parents=True)
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    holder = context.Process(
        target=_hold_and_die, args=(str(feature_cache.folder / "validation.f32.lock"), ready)
    )
    holder.start()
    assert ready.wait(300)
    features = feature_cache.validation(run.classifier.eval(), data.val_rows)
    holder.join()
    assert features.shape == (len(data.val_rows), WIDTH)
    assert features.abs().sum() > 0


def test_drawings_that_see_the_same_picture_share_a_file(tmp_path):
    data = trial_data(tmp_path)
    run, _ = train(data, None, strategy="feature_extractor", max_epochs=1)
    feature_cache = feature_cache_of(data, tmp_path / "features")
    row, turns = data.train_rows[0], np.arange(70)
    features = feature_cache.train(run.classifier.eval(), np.full(70, row), turns, epoch=1)
    assert len(list(feature_cache.folder.glob("train-*.f32"))) == MAX_OCCURRENCES == 32
    assert torch.equal(features[:32], features[32:64])
    assert torch.equal(features[:6], features[64:])
    assert len(features[:32].unique(dim=0)) == 32


def test_a_head_of_two_views_is_solved_on_mirror_images_as_well_with_and_without_the_feature_cache(tmp_path):
    data = trial_data(tmp_path)
    _, (one,) = train(data, None, strategy="linear_probe")
    _, (plain,) = train(data, None, strategy="linear_probe", probe_views=2)
    _, (kept,) = train(data, feature_cache_of(data, tmp_path / "f"), strategy="linear_probe", probe_views=2)
    assert kept.train_loss == pytest.approx(plain.train_loss, rel=1e-3)
    assert kept.val_loss == pytest.approx(plain.val_loss, rel=1e-3)
    assert plain.train_loss != pytest.approx(one.train_loss, rel=1e-3)
