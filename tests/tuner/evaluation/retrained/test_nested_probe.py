"""A search inside a fold has its backbones from a probe inside that fold."""

import io
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from fake_run import fake_scorer, make_run, paint_only, trained_by
from pictures import write_pictures
from rich.console import Console

from trainables import models
from trainables.data.cache import ImageCache
from trainables.errors import RunProblem, WeightsUnavailable
from trainables.models.selection import DOMINATED, WITHOUT
from tuner.console.reporter import Reporter
from tuner.evaluation.compare import compare
from tuner.evaluation.comparison.folds import OutOfFold
from tuner.evaluation.retrained import nested, nested_probe
from tuner.evaluation.retrained.nested_probe import candidates_of
from tuner.runs.directory import Run
from tuner.tuning.config import search_config
from tuner.tuning.prepare import prepare

CANDIDATES = "resnet18,timm:test_resnet.r160_in1k,timm:test_vit.r160_in1k,vgg16"


@pytest.fixture(scope="module")
def prepared_once(tmp_path_factory):
    """A run of the space auto whose backbones a probe chose among three; vgg16 has no weights."""
    folder = tmp_path_factory.mktemp("nested")
    write_pictures(folder / "pictures", {"blue": 20, "green": 20})
    (folder / "weights").mkdir()
    for name in CANDIDATES.split(",")[:-1]:
        state = models.create(name, 2, seed=1).backbone.state_dict()
        torch.save(state, folder / "weights" / f"{name.removeprefix('timm:')}.pt")
    config = search_config(
        data=folder / "pictures",
        backbones=CANDIDATES,
        weights_dir=folder / "weights",
        image_size=32,
        fit="squash",
        samples=9,
        time_budget_s=1000,
        runs_dir=folder,
        name="run",
    )
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("TUNER_CACHE_DIR", str(folder / "cache"))
        patched.setattr(models, "weights_available", lambda name: False)
        prepare(config)
        yield folder


@pytest.fixture
def run(prepared_once, tmp_path):
    """The same, for one test alone."""
    return Run(shutil.copytree(prepared_once / "run", tmp_path / "run"))


@pytest.fixture
def searched(monkeypatch):
    """The trials of searches inside folds replaced: they end at once; what was prepared for them."""
    seen = []

    def execute(prepared, reporter):
        seen.append(prepared)
        prepared.run.update_record(finished="now")
        return SimpleNamespace(run=prepared.run, interrupted=False)

    monkeypatch.setattr(nested, "execute", execute)
    monkeypatch.setattr(nested, "_winner", lambda inner: inner)
    return seen


def test_each_fold_probes_the_same_candidates_on_the_other_folds_images(run, searched, monkeypatch):
    read, advice = [], [("resnet18",), ("resnet18", "timm:test_vit.r160_in1k")]
    probe_images = nested_probe.probe_images

    def probed(config, images, origins, reporter, *, plan):
        assert config.fit == "squash"
        assert (plan.seconds, plan.images) == (1000, int((images.split["split"] == "train").sum()))
        read.append((images.split, sorted(origins.weights)))
        return replace(probe_images(config, images, origins, reporter), fine_tuned=advice[len(read) - 1])

    monkeypatch.setattr(nested_probe, "probe_images", probed)
    said = io.StringIO()
    inner = nested.nested_searches(run, 2, Reporter(Console(file=said, width=200)))
    for (split, names), own, chosen, prepared in zip(read, inner, advice, searched, strict=True):
        assert names == candidates_of(run.probe()) == sorted(CANDIDATES.split(",")[:-1])
        pd.testing.assert_frame_equal(split, own.split())
        shown = own.probe()
        assert shown["images"] == {part: int((split["split"] == part).sum()) for part in ("train", "val")}
        assert prepared.allowed["model"] == chosen
        assert (prepared.context.fit, own.record["fit"], shown["fit"]) == ("squash",) * 3
        assert (ImageCache.open(Path(prepared.context.cache)).shapes == 32).all()
        assert prepared.time_budget_s == pytest.approx(1000 - shown["seconds"])
        assert set(own.record["weights_files"]) == {*chosen}
        assert f"to fine-tune, by the probe inside this fold: {', '.join(chosen)}" in said.getvalue()
    held = [set(split.loc[split["split"] == "test", "path"]) for split, _ in read]
    assert held[0] | held[1] == set(run.split()["path"])
    assert not held[0] & held[1]


def test_a_run_whose_models_were_named_is_searched_with_these_in_every_fold(run, searched, monkeypatch):
    (run.path / "probe.json").unlink()
    monkeypatch.setattr(nested_probe, "probe_images", lambda *_: pytest.fail("probed"))
    nested.nested_searches(run, 2, Reporter())
    wanted = tuple(run.record["settings"]["allowed"]["model"])
    assert [prepared.allowed["model"] for prepared in searched] == [wanted, wanted]


def test_a_probe_that_was_killed_leaves_nothing_that_could_not_be_gone_on_with(run, searched, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(Run, "write_images", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            nested.nested_searches(run, 2, Reporter())
    assert not list((run.path / "folds").glob("search-*"))
    said = io.StringIO()
    found = nested.nested_searches(run, 2, Reporter(Console(file=said, width=200)))
    first, _ = said.getvalue().split("search inside fold 2")
    assert first.count("kept from an earlier probe") == 3
    assert [one.path.name for one in found] == ["search-1of2", "search-2of2"]
    nested.nested_searches(run, 2, Reporter())
    assert len(searched) == 2


def test_a_search_inside_a_fold_whose_backbones_the_run_s_own_probe_chose_is_refused(run, searched):
    """What an earlier version left has to be made anew."""
    [first, _] = nested.nested_searches(run, 2, Reporter())
    (first.path / "probe.json").unlink()
    with pytest.raises(
        RunProblem, match=r"search-1of2 is a search with another probe of backbones .* remove"
    ):
        nested.nested_searches(run, 2, Reporter())


def test_weights_that_are_gone_since_the_probe_are_named(run, searched):
    weights = shutil.copytree(run.record["weights"], run.path.parent / "weights")
    (weights / "resnet18.pt").unlink()
    run.update_record(weights=str(weights))
    with pytest.raises(WeightsUnavailable, match=r"weights are not here any more: resnet18; put them back"):
        nested.nested_searches(run, 2, Reporter())


@pytest.mark.parametrize("probed", [True, False])
def test_the_report_says_that_the_probe_was_repeated_too(tmp_path, monkeypatch, probed):
    paint_only(monkeypatch)
    found = make_run(tmp_path / "run", samples=0)
    if probed:
        found.write_probe({"backbones": [], "passed_over": [], "advised": []})
    monkeypatch.setattr("tuner.evaluation.report.page.write_report", lambda *_, **__: ())

    def folds(finalists):
        split = found.split()
        paths, classes = list(split["path"]), list(found.record["data"]["classes"])
        logits = {one.key: fake_scorer(found, one.row, paths) for one in finalists}
        labels = split["label"].map(classes.index).to_numpy()
        return OutOfFold(3, tuple(paths), tuple(split["group"]), labels, logits, next(iter(logits.values())))

    trained_by(monkeypatch, folds=folds)
    said = " ".join(compare([found.path], scorer=fake_scorer, top=1).folds.remarks)
    included = "the probe of backbones included, " if probed else ""
    assert f"Repeated inside every fold, {included}the search itself reaches" in said
    assert "no image was used to choose the model that answered it" in said


def test_a_candidate_that_published_results_ruled_out_is_not_fetched_for_a_fold():
    reasons = {"kept": "it fails", "gone": WITHOUT, "worse": f"{DOMINATED}kept has 40% fewer errors"}
    probe = {
        "backbones": [{"model": "best"}],
        "passed_over": [{"model": model, "reason": reason} for model, reason in reasons.items()],
    }
    assert candidates_of(probe) == ["best", "kept"]
