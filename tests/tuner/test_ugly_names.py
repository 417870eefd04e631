"""Every output holds every name, whatever it means elsewhere: pictures, page, tables, model card, labels, files."""

import re
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import yaml
from fake_run import fake_scorer, make_run

from tuner.evaluation.compare import compare
from tuner.evaluation.comparison.table import markdown
from tuner.html.canvas import Names
from tuner.html.escaping import for_prometheus, visible
from tuner.release.card import card
from tuner.release.figures import draw
from tuner.release.folder import FORMATS
from tuner.statistics.scores import score
from tuner.tracking.grafana import scrape_file
from tuner.tracking.prometheus import Gauges

UGLY = (
    "price_$5_to_$9", "a|b", "<b>c_d", "line\nbreak", '"quoted"', "=cmd()", "  padded ", "abc\u202edef", "😀 ערב",
    "R&amp;D", "*x* `y` [z](w)", "a\\$b\\", "__init__", "-1", "100", "tab\there", "'single'", "label", "path",
)  # fmt: skip
"""Class names that mean something to one of the outputs."""


class Page(HTMLParser):
    """The texts of a page; fails on a tag that is closed out of order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.text, self.tags = [], [], set()
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        if tag not in ("meta", "img", "br", "source"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def cells(line):
    """The cells of a row of a Markdown table, as a reader sees them."""
    found = re.split(r"(?<!\\)(?:\\\\)*\|", line.strip())[1:-1]
    return [re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", cell.strip()) for cell in found]


@pytest.fixture(scope="module")
def formulas():
    """What matplotlib took for mathematics, as long as the module's pictures are drawn."""
    from matplotlib.mathtext import MathTextParser

    taken, parse = [], MathTextParser.parse
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            MathTextParser,
            "parse",
            lambda self, s, *rest, **more: taken.append(s) or parse(self, s, *rest, **more),
        )
        yield taken


@pytest.fixture(scope="module")
def compared(tmp_path_factory, formulas):
    folder = tmp_path_factory.mktemp("runs") / "a|b $5 <i> $6"
    run = make_run(folder, name=folder.name, classes=dict.fromkeys(UGLY, 2), samples=0)
    return compare([run.path], scorer=fake_scorer)


def test_pictures_draw_every_name_and_take_none_for_mathematics(compared, formulas):
    assert not [text for text in formulas if not re.fullmatch(r"\$\\mathdefault\{[-+.^{}\d\\a-z]+\}\$", text)]
    names = Names(UGLY)
    assert len(set(names.drawn)) == len(UGLY)
    assert not any("\n" in name for name in names.drawn)


def test_the_page_shows_every_name_as_text(compared):
    page = Page(compared.report.read_text(encoding="utf-8"))
    for name in UGLY:
        assert visible(name) in page.text
    assert not page.tags & {"b", "i"}


def test_the_markdown_table_keeps_its_columns(compared):
    lines = markdown(compared).splitlines()
    rows = [cells(line) for line in lines if line.startswith("|")]
    assert {len(row) for row in rows} == {len(rows[0])}
    warned = [line for line in lines if line.startswith("Warning: ")]
    assert sum(f"{len(UGLY)} of {len(UGLY)} classes have fewer than 10" in line for line in warned) == 1
    assert not any(re.search(r"(?<!\\)<b>", line) for line in lines)


def test_the_files_hold_the_names_as_they_are(compared):
    wanted = {f"precision[{name}]" for name in UGLY}
    assert wanted <= set(pd.read_csv(compared.out / "comparison.csv").columns)
    assert wanted <= set(pd.read_parquet(compared.out / "comparison.parquet").columns)
    columns = {f"class {name}" if name in ("label", "path") else name for name in UGLY}
    probabilities = pd.read_parquet(compared.out / "probabilities.parquet")
    assert columns <= set(probabilities.columns)
    assert set(probabilities["label"]) == set(UGLY)


def metrics_of(answers):
    """What metrics.json says of a model with these answers to two images of every class."""
    labels = np.repeat(np.arange(len(UGLY)), 2)
    found = score(labels, 9.0 * np.eye(len(UGLY))[answers])
    by_class = {
        name: {key: getattr(found, key)[code] for key in ("precision", "recall", "f1")}
        for code, name in enumerate(UGLY)
    }
    exported = {
        "accuracy": found.accuracy,
        "accuracy_95": [0.1, 0.9],
        "macro_f1": found.macro_f1,
        "macro_f1_95": [0.1, 0.9],
        "loss": found.loss,
    }
    exported |= {"by_class": by_class, "confusion": found.confusion}
    over = {"accuracy": {"mean": found.accuracy, "standard_deviation": None, "n": 1}}
    test = {"images": len(labels), "groups": len(labels), "exported": exported, "over_seeds": over}
    expected = {"metric": "val_loss", "value": 0.5, "standard_error": None, "spread": "made up"}
    words = {
        "exported": "the first",
        "epochs_rule": "one epoch",
        "trained_on": ["train"],
        "trained_images": 4,
    }
    cost = {"milliseconds": 1.5, "megabytes": 9.0, "parameters": 2e6, "gpu_images_per_second": None}
    words |= {"calibration": None, "sets": None, "costs": None, "classes": list(UGLY)}
    strange = {"measure": "nearest", "left_out_auroc": {"nearest": dict.fromkeys(UGLY, 0.9)}, "at_95": 0.9}
    strange |= {"validation_images": 200, "thresholds_from": "validation images", "false_alarms": None}
    words |= {"strangers": strange}
    words |= {"answered": [{"min_confidence": 0.5, "answered": 1.0, "accuracy": found.accuracy}]}
    words |= {"running_cost": {**cost, "processor": "a processor"}}
    return {**words, "seeds": [1], "grouped": False, "expected": expected, "test": test}


def card_of(metrics):
    config = SimpleNamespace(model="timm:a|b", strategy="full")
    best = SimpleNamespace(config=config, trial="t|0", weights="a`b.pt", image_size=32, fit="crop")
    data = SimpleNamespace(images=dict.fromkeys(UGLY, 4), fingerprint="f", sample=False, scale={})
    source = SimpleNamespace(images={"train": 4, "val": 1, "test": 2})
    images = SimpleNamespace(
        classes=UGLY,
        data=data,
        source=source,
        grouped=False,
        words="of <i>images</i>|",
        same_split=True,
        scan=None,
        folder=Path("gone"),
        split=pd.DataFrame({"path": ["a"], "label": ["b"], "group": ["c"]}),
    )
    members = (SimpleNamespace(job=SimpleNamespace(config=config)),)
    plan = SimpleNamespace(best=best, images=images, members=members, kept=False, formats=FORMATS)
    return card(plan, {**metrics, "answered": None})


def test_the_model_card_has_a_row_for_every_class():
    text = card_of(metrics_of(np.repeat(np.arange(len(UGLY)), 2)))
    rows = [cells(line) for line in text.splitlines() if line.startswith("|")]
    counts = [row for row in rows if len(row) == 2]
    scores = [row for row in rows if len(row) == 4]
    assert len(counts) + len(scores) == len(rows)
    for table in (counts, scores):
        assert [row[0] for row in table[2:]] == [visible(name) for name in UGLY]
    assert not re.search(r"(?<!\\)<i>", text)
    assert "same class" not in text


def test_the_model_card_says_so_if_the_model_gives_one_answer():
    text = card_of(metrics_of(np.full(2 * len(UGLY), 1)))
    assert r"answers the same class, 'a\|b', for every test image: it tells no classes apart" in text


def test_the_pictures_of_a_model_folder_draw_every_name(tmp_path, formulas):
    before = len(formulas)
    epoch = {"epoch": 1, "train_loss": 0.5, "val_loss": 0.5, "train_accuracy": 0.5, "val_accuracy": 0.5}
    draw(
        tmp_path / "figures",
        [SimpleNamespace(history=[epoch])],
        metrics_of(np.repeat(np.arange(len(UGLY)), 2)),
        UGLY,
    )
    assert (tmp_path / "figures" / "confusion_matrix.png").stat().st_size > 10_000
    assert len(formulas) == before


@pytest.mark.parametrize("name", [*UGLY, "감자", "x" * 300])
def test_a_label_goes_through_ray_and_the_exposition(name, monkeypatch):
    from prometheus_client import CollectorRegistry, Gauge, generate_latest
    from prometheus_client.parser import text_string_to_metric_families

    tags = []
    kind = lambda *_, **__: SimpleNamespace(set=lambda value, tags: tags_of(tags), inc=lambda *a, **k: None)  # noqa: E731

    def tags_of(given):
        tags.extend(given.values())

    monkeypatch.setattr("ray.util.metrics.Gauge", kind)
    monkeypatch.setattr("ray.util.metrics.Counter", kind)
    run = SimpleNamespace(path=Path("/runs") / name)
    standings = SimpleNamespace(rows={}, best=lambda: None)
    Gauges(SimpleNamespace(run=run, num_samples=1, live={}, standings=standings), 1)
    assert for_prometheus(name) in tags
    for value in tags:
        assert len(value.encode("ascii")) < 255
        assert value.isprintable()
    registry = CollectorRegistry()
    Gauge("x", "words", ["run"], registry=registry).labels(run=for_prometheus(name)).set(1)
    [family] = text_string_to_metric_families(generate_latest(registry).decode())
    assert family.samples[0].labels["run"] == for_prometheus(name)


def test_prometheus_settings_name_a_folder_with_a_quote(monkeypatch):
    monkeypatch.setenv("RAY_TMPDIR", "/tmp/it's: {here}")
    [job] = yaml.safe_load(scrape_file())["scrape_configs"]
    assert job["file_sd_configs"][0]["files"][0].startswith("/tmp/it's: {here}/ray/")
