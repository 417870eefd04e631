import json
import re

import yaml

from tuner.tracking.grafana import PANELS, dashboard, write
from tuner.tracking.prometheus import NAMES


def test_the_dashboard_asks_for_metrics_that_exist_and_for_all_of_them():
    text = json.dumps(dashboard())
    asked = set(re.findall(r"ray_(tuner_\w+)", text))
    assert asked <= set(NAMES)
    assert {name for _, _, metrics in PANELS for name, _ in metrics} <= asked


def test_every_panel_has_a_query_a_place_and_words():
    panels = dashboard()["panels"]
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels]
    assert len(set(places)) == len(panels)
    assert all(panel["targets"] and panel["title"] and panel["description"] for panel in panels)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in panels)


def test_both_files_are_written_and_can_be_read(tmp_path):
    board, scrape = write(tmp_path / "grafana")
    assert json.loads(board.read_text())["uid"] == "tuner"
    [job] = yaml.safe_load(scrape.read_text())["scrape_configs"]
    assert job["file_sd_configs"][0]["files"][0].endswith("prom_metrics_service_discovery.json")
