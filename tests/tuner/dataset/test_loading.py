"""Where the images of a search come from: folders or a table, and what is left out of them."""

import pytest
from click.testing import CliRunner
from pictures import write_pictures
from tiny import write_space

from trainables.errors import DataProblem, InvalidValue
from tuner.cli import commands
from tuner.console.reporter import Reporter
from tuner.dataset.config import DataConfig
from tuner.dataset.loading import scan_and_split
from tuner.tuning.config import SearchConfig
from tuner.tuning.prepare import prepare


@pytest.fixture
def tabled(tmp_path, monkeypatch):
    """Pictures in folders that are no classes, and a table that gives labels and pairs of them a group."""
    monkeypatch.setenv("TUNER_CACHE_DIR", str(tmp_path / "cache"))
    folder = tmp_path / "shots"
    rows = ["path,label,group"]
    for day in ("monday", "tuesday"):
        for path in write_pictures(folder / day, {"blue": 10, "green": 10}, seed=len(day)):
            label, name = path.split("/")
            group = f"{day}-{label}-{int(name[:-4]) // 2}"
            rows.append(f"{day}/{path},{label},{group}")
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    return folder


def config_of(folder, **more):
    named = {"labels": folder.parent / "labels.csv", "weights": "none", **more}
    return DataConfig(folder=folder, **named)


def test_a_table_of_labels_brings_its_groups_along(tabled):
    found = scan_and_split(config_of(tabled), Reporter())
    assert found.scan.classes == ("blue", "green")
    assert len(found.split) == 40
    assert found.split["group"].nunique() == 20
    assert found.groups == tabled.parent / "labels.csv"


def test_groups_from_two_places_are_refused(tabled):
    with pytest.raises(InvalidValue, match="has a column group, but --group-regex 'x' is given, too"):
        scan_and_split(config_of(tabled, group_regex="x"), Reporter())


def test_a_table_without_a_folder_is_refused(tmp_path):
    with pytest.raises(InvalidValue, match=r"--labels .* names images below --data FOLDER; say which"):
        DataConfig(labels=tmp_path / "labels.csv")


def test_the_record_of_a_run_says_where_labels_are_from_and_what_is_left_out(tabled, tmp_path):
    marked = tmp_path / "suspects.csv"
    names = sorted(path.relative_to(tabled).as_posix() for path in tabled.rglob("*.png"))
    marked.write_text(f"path,leave_out\n{names[0]},yes\n{names[1]},\n")
    images = config_of(tabled, without=marked, image_size=32)
    config = SearchConfig(str(write_space(tmp_path)), images, name="r", runs_dir=tmp_path / "runs")
    run = prepare(config).run
    data = run.record["data"]
    assert data["labels"] == str(tmp_path / "labels.csv") == data["groups"]
    assert data["without"] == str(marked)
    assert data["left_out"] == [names[0]]
    assert any("1 image is left out because a person marked" in sentence for sentence in data["findings"])
    assert names[0] not in set(run.split()["path"])
    assert len(run.split()) == 39


def test_an_image_that_is_not_there_can_not_be_left_out(tabled, tmp_path):
    marked = tmp_path / "suspects.csv"
    marked.write_text("path\nmonday/blue/missing.png\n")
    with pytest.raises(DataProblem, match=r"names 1 images that are not in .*'monday/blue/missing.png'"):
        scan_and_split(config_of(tabled, without=marked), Reporter())


def test_inspect_reads_the_same_table(tabled):
    command = ["inspect", str(tabled), "--labels", str(tabled.parent / "labels.csv")]
    shown = CliRunner().invoke(commands, command)
    assert shown.exit_code == 0, shown.output
    assert "blue" in shown.output
    assert "with tuner's split by group: 0" in shown.output
    (tabled.parent / "labels.csv").write_text("path,label\nmonday/blue/0.png,blue\nmonday/blue/0.png,green")
    refused = CliRunner().invoke(commands, command)
    assert "several labels: 'blue' and 'green'" in str(refused.exception or refused.output)
