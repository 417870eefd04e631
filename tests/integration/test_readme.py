import re
from pathlib import Path

import pandas as pd
import pytest
from pictures import write_pictures

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("two_cores")]


def block(start):
    """The Python block of the README that starts so."""
    blocks = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    return next(text for text in blocks if text.startswith(start))


def test_the_readme_s_space_and_python_example_run_as_they_stand(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    paths = write_pictures(tmp_path / "potato", {"early": 24, "healthy": 24, "late": 24})
    groups = [path[:-6] + str(int(path[-7:-4]) // 2) for path in paths]
    pd.DataFrame({"path": paths, "group": groups}).to_csv("potato-groups.csv", index=False)
    (tmp_path / "my_space.py").write_text(block('"""ResNets'), encoding="utf-8")
    exec(compile(block("from tuner import"), "README.md", "exec"), {})
    said = capsys.readouterr().out
    assert "resnet" in said
    assert "has the best val_loss on validation" in said
