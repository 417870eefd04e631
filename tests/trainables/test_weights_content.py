"""Which file a model starts from, and that features follow its content and not the word for it."""

import pytest
import torch
from library_weights import SMALL, put_weights, use_own_libraries
from pictures import trial_data
from safetensors.torch import save_file

from trainables import frozen_features, models
from trainables.errors import WeightsUnavailable
from trainables.file_digest import file_digest
from trainables.frozen_features import FeatureCache, FeatureKey
from trainables.inference import compute_logits
from trainables.weights_content import WeightsContent, weights_content, weights_path

CPU = torch.device("cpu")
NAMES = ("resnet18", SMALL)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """The folder of the libraries' own weights."""
    use_own_libraries(tmp_path / "libraries", monkeypatch)
    return tmp_path / "libraries"


def features_of(data, folder, name):
    """Features of the validation images from the pretrained `name`: by the cache, and by the network alone."""
    classifier = models.create(name, 3, weights="imagenet", dropout=0.0).eval()
    key = FeatureKey(name, "imagenet", 0, data.cache.path.name, 32, "fp32", "cpu")
    cached = FeatureCache(key, data.cache, CPU, 2**30, folder).validation(classifier, data.val_rows)
    classifier.head = torch.nn.Identity()
    return cached, compute_logits(classifier, data.cache, data.val_rows, 32, "fp32", CPU)


@pytest.mark.parametrize("name", NAMES)
def test_other_weights_under_the_same_name_give_their_own_features(tmp_path, home, name, monkeypatch):
    data = trial_data(tmp_path)
    found = []
    for seed in (0, 1):
        put_weights(home, name, seed)
        cached, own = features_of(data, tmp_path / "features", name)
        torch.testing.assert_close(cached, own)
        found.append(cached)
    assert not torch.allclose(*found)
    put_weights(home, name, 0)
    monkeypatch.setattr(FeatureCache, "_run", lambda *given: pytest.fail("computed again"))
    assert torch.equal(features_of(data, tmp_path / "features", name)[0], found[0])


@pytest.mark.parametrize("name", NAMES)
def test_the_file_that_is_hashed_is_the_file_that_is_loaded(home, name):
    assert weights_path(name, "imagenet") is None
    file = put_weights(home, name, 3)
    assert weights_path(name, "imagenet") == file
    assert weights_content(name, "imagenet") == WeightsContent(file, file_digest(file))
    torch.manual_seed(3)
    expected, found = models.source(name).build().state_dict(), models.fetch(name)
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[key], found[key]) for key in expected)


def test_timm_loads_the_revision_that_is_here_without_asking_for_a_newer_one(home, monkeypatch):
    put_weights(home, SMALL, 0)
    monkeypatch.setattr(
        "huggingface_hub.file_download.get_hf_file_metadata", lambda *_, **__: pytest.fail("asked")
    )
    monkeypatch.setattr("timm.models._hub.hf_hub_download", lambda *_, **__: pytest.fail("asked"))
    assert models.fetch(SMALL)


def test_a_folder_s_file_comes_first_and_the_library_s_is_that_of_the_others(tmp_path, home):
    (tmp_path / "own").mkdir()
    file = tmp_path / "own" / "resnet18.safetensors"
    save_file({"a": torch.zeros(1)}, file)
    library = put_weights(home, SMALL, 0)
    assert weights_path("resnet18", str(tmp_path / "own")) == file
    assert weights_path(SMALL, str(tmp_path / "own")) == library
    assert weights_content("resnet18", "none") is None


@pytest.mark.usefixtures("home")
def test_weights_that_can_not_be_had_have_no_content(monkeypatch):
    monkeypatch.setattr("trainables.models.weights.reachable", lambda url: False)
    monkeypatch.setattr(
        "torch.hub.download_url_to_file", lambda *_, **__: (_ for _ in ()).throw(OSError("no network"))
    )
    for name in NAMES:
        with pytest.raises(WeightsUnavailable):
            weights_content(name, "imagenet")


def test_a_library_without_files_is_known_by_its_state(monkeypatch):
    from dataclasses import replace

    source = replace(
        models.source(SMALL), cached=None, pretrained=lambda: {"a": torch.ones(2), "n": torch.tensor(3)}
    )
    monkeypatch.setattr(models, "source", lambda name: source)
    found = weights_content(SMALL, "imagenet")
    assert found is not None
    assert (found.path, len(found.sha256)) == (None, 64)


def test_another_version_of_a_library_has_features_of_its_own(monkeypatch):
    key = FeatureKey("resnet18", "none", 0, "images", 32, "fp32", "cpu")
    before = key.digest
    assert key.digest == before
    monkeypatch.setattr(frozen_features, "library_versions", lambda: ("torch 1", "torchvision 1", "timm 1"))
    assert key.digest != before
