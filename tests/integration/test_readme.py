import re
from pathlib import Path

import pandas as pd
import pytest
from fake_run import paint_only
from pictures import write_pictures

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("two_cores")]


def block(page, start):
    """The Python block of a page that starts so."""
    text = (ROOT / page).read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return next(text for text in blocks if text.startswith(start))


def test_the_readme_s_python_example_runs_with_the_documented_space(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    paint_only(monkeypatch)
    paths = write_pictures(tmp_path / "potato", {"early": 16, "healthy": 16, "late": 16})
    groups = [path[:-6] + str(int(path[-7:-4]) // 2) for path in paths]
    pd.DataFrame({"path": paths, "group": groups}).to_csv("potato-groups.csv", index=False)
    (tmp_path / "my_space.py").write_text(block("docs/how-to/own-space.md", '"""ResNets'), encoding="utf-8")
    exec(compile(block("README.md", "from tuner import"), "README.md", "exec"), {})
    said = capsys.readouterr().out
    assert "resnet" in said
    assert "has the best val_loss on validation" in said
