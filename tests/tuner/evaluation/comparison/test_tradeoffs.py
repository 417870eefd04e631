import numpy as np
import pytest
from fake_run import CLASSES, fake_scorer, make_run, paint_only

from trainables.errors import UnknownName
from trainables.temperature import fit_temperature
from tuner.evaluation.compare import compare
from tuner.evaluation.comparison.costs import decide, read_costs
from tuner.evaluation.comparison.finalists import images_of
from tuner.evaluation.comparison.table import main_rows
from tuner.evaluation.comparison.tradeoffs import pareto_front
from tuner.statistics.scores import softmax

NAMES = list(CLASSES)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture
def costs(tmp_path):
    """A miss of the first class costs twenty times another mistake."""
    path = tmp_path / "costs.csv"
    rows = [
        f"{true},{named},{20 if true == NAMES[0] else 1}"
        for true in NAMES
        for named in NAMES
        if true != named
    ]
    path.write_text("true,predicted,cost\n" + "\n".join(rows) + "\n")
    return path


def test_the_front_holds_whom_nobody_beats_in_both():
    losses, times = np.array([1.0, 2.0, 3.0, 1.0, 2.0]), np.array([3.0, 2.0, 2.5, 3.0, 1.0])
    assert pareto_front(losses, times).tolist() == [True, False, False, True, True]


def test_every_finalist_has_its_time_its_size_and_its_place(run, monkeypatch):
    monkeypatch.setattr("tuner.evaluation.report.page.write_report", lambda *_, **__: ())
    found = compare([run.path], scorer=fake_scorer)
    assert (found.table["milliseconds"] > 0).all()
    assert found.table["parameters"].between(5e6, 7e6).all()
    assert found.table["megabytes"].between(20, 30).all()
    assert found.table["pareto"].any()
    best = found.table.loc[found.table["test_value"].idxmin()]
    assert best["pareto"]
    header, rows = main_rows(found.table)
    assert rows[0][header.index("MB")] == f"{found.table['megabytes'].iloc[0]:.0f}"


def test_costs_are_judged_like_the_searched_metric(run, costs, monkeypatch):
    monkeypatch.setattr("tuner.evaluation.report.page.write_report", lambda *_, **__: ())
    found = compare([run.path], scorer=fake_scorer, costs=costs)
    table, matrix = found.table, read_costs(costs, NAMES)
    paths, labels, _ = images_of(run, "test")
    val_paths, val_labels, val_groups = images_of(run, "val")
    rows = {row["trial_id"]: row for row in run.trials().to_dict("records")}
    temperatures = []
    for row in table.to_dict("records"):
        trial = rows[row["trial_id"]]
        temperatures.append(fit_temperature(fake_scorer(run, trial, val_paths), val_labels, val_groups))
        # As the exported model decides: after the temperature that validation gives.
        probabilities = softmax(fake_scorer(run, trial, paths) / temperatures[-1])
        paid = matrix[labels, decide(probabilities, matrix)]
        assert row["test_cost"] == pytest.approx(paid.mean())
        assert row["test_cost_low"] <= row["test_cost"] <= row["test_cost_high"]
    assert max(abs(np.log(temperatures))) > 0.1
    assert table["cost_verdict"].iloc[0] == "best on validation"
    assert "cost" in set(found.pairs["metric"])
    assert "by cost" in main_rows(table)[0]


def test_the_page_shows_costs_and_the_front(run, costs, monkeypatch):
    paint_only(monkeypatch, "tradeoffs")
    found = compare([run.path], scorer=fake_scorer, costs=costs)
    page = found.report.read_text()
    assert "Paired comparisons by cost" in page
    assert "What it costs to run" in page
    assert (found.out / "figures" / "tradeoffs.svg").stat().st_size > 1000


def test_a_class_that_nobody_has_is_named(run, tmp_path):
    path = tmp_path / "costs.csv"
    path.write_text("true,predicted,cost\nhealty,x,1\n")
    with pytest.raises(UnknownName, match="healty"):
        compare([run.path], scorer=fake_scorer, costs=path)
