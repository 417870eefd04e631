"""A Grafana dashboard of tuner's metrics, and the file by which Prometheus finds a running Ray."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trainables.metrics import METRICS
from tuner.runs.directory import write_atomically
from tuner.runs.hardware import usual_ray_folder
from tuner.runs.paths import try_folder
from tuner.tracking.prometheus import NAMES

__all__ = ["PANELS", "dashboard", "scrape_file", "write"]

PREFIX = "ray_"

PANELS: Sequence[tuple[str, str, tuple[tuple[str, str], ...]]] = (
    ("Best value", "stat", (("tuner_best_value", "{{run}}"),)),
    ("Trials", "stat", (("tuner_trials", "{{state}}"), ("tuner_trials_planned", "planned"))),
    *(
        (f"Validation: {metric.title}", "timeseries", ((f"tuner_trial_{metric.name}", "{{trial}}"),))
        for metric in METRICS.values()
    ),
    ("Training loss", "timeseries", (("tuner_trial_train_loss", "{{trial}}"),)),
    ("Epoch", "timeseries", (("tuner_trial_epoch", "{{trial}}"),)),
    ("Learning rate", "timeseries", (("tuner_trial_learning_rate", "{{trial}}"),)),
    ("Images per second by trial", "timeseries", (("tuner_images_per_second", "{{trial}}"),)),
    ("Epochs per minute", "timeseries", (("tuner_epochs_total", "{{run}}"),)),
    ("Images per second", "timeseries", (("tuner_images_total", "{{run}}"),)),
)
"""Title, kind, and the metrics of each panel with the words of its legend."""

RATES = {"tuner_epochs_total": 60, "tuner_images_total": 1}
"""Counters are shown as rates per so many seconds."""

WIDTH, HEIGHT, COLUMNS = 8, 8, 3


def write(folder: Path, datasource: str = "Prometheus") -> list[Path]:
    """Write both files into `folder`; their paths."""
    try_folder(folder, "--out")
    folder.mkdir(parents=True, exist_ok=True)
    text = {
        "tuner-dashboard.json": json.dumps(dashboard(datasource), indent=1) + "\n",
        "prometheus.yml": scrape_file(),
    }
    for name, content in text.items():
        write_atomically(folder / name, lambda file, content=content: file.write_text(content, "utf-8"))  # type: ignore[misc]
    return [folder / name for name in text]


def dashboard(datasource: str = "Prometheus") -> dict[str, Any]:
    """The dashboard, to be imported into Grafana; its variable `run` chooses the searches that are shown."""
    source = {"type": "prometheus", "uid": "${datasource}"}
    variables = [
        {
            "name": "datasource",
            "type": "datasource",
            "query": "prometheus",
            "current": {"text": datasource, "value": datasource},
        },
        {
            "name": "run",
            "type": "query",
            "datasource": source,
            "query": {"query": f"label_values({PREFIX}tuner_trials, run)", "refId": "run"},
            "refresh": 2,
            "multi": True,
            "includeAll": True,
        },
    ]
    return {
        "uid": "tuner",
        "title": "tuner",
        "tags": ["tuner"],
        "schemaVersion": 39,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": variables},
        "panels": [_panel(number, *panel, source) for number, panel in enumerate(PANELS)],
    }


def scrape_file() -> str:
    """Prometheus' configuration: Ray keeps the list of its nodes in a file of its temporary folder."""
    targets = usual_ray_folder() / "prom_metrics_service_discovery.json"
    # In single quotes YAML takes every sign as it is, but for the quote itself.
    quoted = str(targets).replace("'", "''")
    return (
        "# prometheus --config.file=prometheus.yml\n"
        "global:\n  scrape_interval: 10s\n"
        "scrape_configs:\n  - job_name: ray\n    file_sd_configs:\n"
        f"      - files: ['{quoted}']\n        refresh_interval: 10s\n"
    )


def _panel(
    number: int,
    title: str,
    kind: str,
    metrics: Sequence[tuple[str, str]],
    source: dict[str, str],
) -> dict[str, Any]:
    row, column = divmod(number, COLUMNS)
    targets = [
        {"refId": chr(ord("A") + index), "datasource": source, "expr": _query(name), "legendFormat": legend}
        for index, (name, legend) in enumerate(metrics)
    ]
    return {
        "id": number + 1,
        "title": title,
        "description": "; ".join(NAMES[name] for name, _ in metrics),
        "type": kind,
        "datasource": source,
        "gridPos": {"x": column * WIDTH, "y": row * HEIGHT, "w": WIDTH, "h": HEIGHT},
        "targets": targets,
    }


def _query(name: str) -> str:
    chosen = f'{PREFIX}{name}{{run=~"$run"}}'
    return f"{RATES[name]} * rate({chosen}[1m])" if name in RATES else chosen
