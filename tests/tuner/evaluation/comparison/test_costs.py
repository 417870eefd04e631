import numpy as np
import pytest

from trainables.errors import InvalidValue, UnknownName
from tuner.evaluation.comparison.costs import decide, expected_cost, incurred, read_costs

CLASSES = ("early", "late", "건강")


def write(folder, rows, head="true,predicted,cost"):
    path = folder / "costs.csv"
    path.write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
    return path


ROWS = ["early,late,1", "early,건강,5", "late,early,1", "late,건강,20", "건강,early,0.5", "건강,late,2"]


def test_a_table_of_costs_is_read_by_true_and_named_class(tmp_path):
    found = read_costs(write(tmp_path, ROWS), CLASSES)
    assert found.tolist() == [[0, 1, 5], [1, 0, 20], [0.5, 2, 0]]
    assert read_costs(write(tmp_path, [*ROWS, "late,late,3"]), CLASSES)[1, 1] == 3


def test_a_spreadsheet_s_semicolons_byte_order_mark_and_order_of_columns_are_read(tmp_path):
    rows = [";".join([cost.replace(".", ","), a, b]) for a, b, cost in (row.split(",") for row in ROWS)]
    path = write(tmp_path, rows, "\ufeffcost;True;Predicted")
    assert read_costs(path, CLASSES).tolist() == [[0, 1, 5], [1, 0, 20], [0.5, 2, 0]]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (ROWS[:-1], "lacks the cost of naming 'late' where it is '건강'; every wrong pair"),
        (ROWS[:-2], "and 1 more"),
        ([*ROWS, "early,late,2"], "line 8: the cost of naming 'late' where it is 'early' stands twice"),
        (["early,late,-1", *ROWS[1:]], "line 2: cost '-1' is wrong; it must be a number from 0 to 1e+12"),
        (["early,late,nan", *ROWS[1:]], "cost 'nan' is wrong"),
        (["early,late,1e308", *ROWS[1:]], "cost '1e308' is wrong"),
        ([f"early,late,{'1' * 200_000}", *ROWS[1:]], "is no CSV file"),
        (["early,late,much", *ROWS[1:]], "cost 'much' is wrong"),
        (["early,late", *ROWS[1:]], "cost '' is wrong"),
        ([f"{row.rpartition(',')[0]},0" for row in ROWS], "every cost is 0"),
    ],
)
def test_a_table_that_is_wrong_is_refused_in_words(tmp_path, rows, said):
    with pytest.raises(InvalidValue) as refused:
        read_costs(write(tmp_path, rows), CLASSES)
    assert said in str(refused.value)
    assert "costs.csv" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_an_unknown_class_a_missing_column_and_a_missing_file_are_named(tmp_path):
    with pytest.raises(UnknownName, match=r"line 2: unknown class 'erly'; did you mean 'early'\?"):
        read_costs(write(tmp_path, ["erly,late,1"]), CLASSES)
    with pytest.raises(
        InvalidValue, match="has no column 'cost'; it needs the columns true, predicted, cost"
    ):
        read_costs(write(tmp_path, ROWS, "true,predicted,price"), CLASSES)
    with pytest.raises(InvalidValue, match=r"--costs .*gone\.csv can't be read: no such file"):
        read_costs(tmp_path / "gone.csv", CLASSES)
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidValue, match="no UTF-8 text"):
        read_costs(tmp_path / "bytes.csv", CLASSES)


def test_a_dear_mistake_is_avoided_though_its_class_is_likelier():
    matrix = [[0, 1, 5], [1, 0, 20], [0.5, 2, 0]]
    probabilities = np.array([[0.1, 0.2, 0.7], [0.0, 0.01, 0.99]])
    np.testing.assert_allclose(expected_cost(probabilities, matrix)[0], [0.55, 1.5, 4.5])
    assert decide(probabilities, matrix).tolist() == [0, 2]


def test_with_equal_costs_the_likeliest_is_named():
    probabilities = np.random.default_rng(0).dirichlet(np.ones(4), 200)
    same = 1.0 - np.eye(4)
    np.testing.assert_array_equal(decide(probabilities, same), probabilities.argmax(axis=1))
    np.testing.assert_array_equal(decide(probabilities, 3e6 * same), probabilities.argmax(axis=1))


def test_what_answers_cost_is_looked_up_by_truth_and_answer():
    assert incurred([0, 1, 1], [0, 0, 2], [[0, 1, 5], [1, 0, 20], [0.5, 2, 0]]).tolist() == [0, 1, 20]
