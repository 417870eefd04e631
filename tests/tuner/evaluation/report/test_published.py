import re

import pandas as pd
import pytest
from fake_run import fake_scorer, make_run, nine_parameters, paint_only, trained_by

from search_spaces import study
from tuner.evaluation.compare import compare
from tuner.evaluation.comparison.by_image import ByImage
from tuner.evaluation.comparison.table import main_rows, markdown, published_span


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    run = make_run(folder / "nine", space="googlenet_grid", parameters=nine_parameters())
    for trial in run.trials()["trial_id"]:
        run.weights(trial).write_bytes(b"weights")
    return run


@pytest.fixture(scope="module")
def seeds(run):
    trials = run.trials()["trial_id"]
    rows = [
        {"key": t, "seed": s, "accuracy": 0.9 + s * 0.02 + n * 0.001}
        for n, t in enumerate(trials)
        for s in (0, 1, 2)
    ]
    return pd.DataFrame(rows)


@pytest.fixture(scope="module", autouse=True)
def unpainted():
    """What is published stands in tables and sentences."""
    with pytest.MonkeyPatch.context() as patch:
        paint_only(patch)
        yield


@pytest.fixture(scope="module")
def found(run, seeds):
    scores = [{"run": "nine", "trial_id": trial, "accuracy": 0.99} for trial in run.trials()["trial_id"]]
    by_image = ByImage(pd.DataFrame(scores), 0.97, 216)
    with pytest.MonkeyPatch.context() as patch:
        trained_by(patch, by_image=lambda finalists: by_image)
        return compare([run.path], scorer=fake_scorer, top=10, seed_scores=seeds)


@pytest.fixture(scope="module")
def bare(run, tmp_path_factory):
    """The same comparison without seeds and without the other split."""
    return compare([run.path], scorer=fake_scorer, top=10, out=tmp_path_factory.mktemp("bare"))


def test_every_run_of_the_study_stands_beside_its_name_and_its_figures(found):
    table = found.table.set_index("published_label")
    assert set(table.index) == {run.name for run in (*study.GOOGLENET_RUNS, study.FEATURE_EXTRACTOR)}
    base = table.loc["googlenet"]
    ends = [base[f"published_{name}"] for name in ("low", "accuracy", "high")]
    assert ends == pytest.approx([0.8211, 0.9436, 0.9436])
    assert published_span(base) == "82.11 to 94.36 (94.36)"
    assert published_span(table.loc["googlenet_smooth"]) == "97.06"
    header, rows = main_rows(found.table)
    assert {"published as", "published %", "split by image %", "leak, points"} <= set(header)
    assert {row[header.index("published as")] for row in rows} == set(table.index)


def test_the_finding_on_the_pairs_is_told_once_with_numbers_and_with_our_own_spread(found):
    (finding, _) = found.findings
    assert "Three pairs" in finding
    for words in ("11.76", "9.81", "8.82", "Even the nearest are 8.8 points apart", "from 3 seeds each"):
        assert words in finding
    assert "standard deviation of 2.0 to 2.0 points" in finding
    assert "2.3 points apart on average" in finding
    accuracy = found.table.set_index("published_label")["test_accuracy"]
    first = 100 * abs(accuracy["googlenet"] - accuracy["googlenet_finetuned"])
    assert f"the same pairs are {first:.1f}, " in finding
    text = found.report.read_text(encoding="utf-8")
    assert len(re.findall("Three pairs", text)) == 1
    assert markdown(found).count("Three pairs") == 1


def test_without_seeds_the_finding_says_how_to_measure_them(bare):
    (finding,) = bare.findings
    assert finding.endswith("is what --seeds measures.")


def test_the_page_lists_what_is_done_otherwise_and_what_is_not_known(found):
    # Without the marks of explained terms, which stand within sentences.
    text = re.sub("</?dfn[^>]*>", "", found.report.read_text(encoding="utf-8"))
    for sentence in (*study.DEVIATIONS, *study.UNKNOWN):
        assert sentence.replace("'", "&#x27;") in text


def test_the_leak_is_the_difference_of_the_two_splits(found):
    table = found.table
    assert (table["leak"] == table["by_image_accuracy"] - table["test_accuracy"]).all()
    sentence = found.findings[1]
    assert f"the leak makes {100 * table['leak'].mean():+.1f} points" in sentence
    assert "97.0 % of those test images have another image of their group in training" in sentence
    assert "Split by image</h2>" in found.report.read_text(encoding="utf-8")


def test_nobody_asked_so_nothing_is_said_of_the_leak(bare):
    assert "Split by image</h2>" not in bare.report.read_text(encoding="utf-8")
    assert bare.table["leak"].isna().all()
    assert "leak, points" not in main_rows(bare.table)[0]


def test_a_space_that_repeats_nothing_has_no_section(tmp_path):
    run = make_run(tmp_path / "run", samples=0, space="all_models")
    found = compare([run.path], scorer=fake_scorer)
    assert found.findings == ()
    assert "The published runs</h2>" not in found.report.read_text(encoding="utf-8")
