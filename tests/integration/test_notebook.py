"""The notebook of the examples; the others are in `tests/test_examples.py`."""

import json
from pathlib import Path

import pytest
from fake_run import paint_only
from pictures import write_pictures

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.usefixtures("two_cores")]


def test_the_notebook_s_cells_run_one_after_the_other(tmp_path, monkeypatch):
    """Without Jupyter; `notebook.py` has the same cells, as a test of the documentation sees to."""
    paint_only(monkeypatch)
    write_pictures(tmp_path / "pictures", {"blue": 30, "green": 30, "red": 30})
    settings = {
        "DATA": tmp_path / "pictures",
        "RUNS": tmp_path / "runs",
        "SAMPLES": 2,
        "EPOCHS": 1,
        "SIZE": 32,
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, str(value))
    cells = json.loads((EXAMPLES / "notebook.ipynb").read_text(encoding="utf-8"))["cells"]
    left = {}
    for cell in cells:
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), cell["id"], "exec"), left)
    assert len(left["result"].trials) == 2
    assert sorted(left["curves"]) == sorted(left["result"].trials["trial_id"])
    assert left["comparison"].conclusion
    assert left["best"].trial in set(left["result"].trials["trial_id"])
