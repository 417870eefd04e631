"""What a person sees in a browser while a search runs and after it."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request

import pytest

pytest.importorskip("aiohttp")
pytest.importorskip("optuna_dashboard")

from browser import CHROMIUM, Browser
from fake_run import fake_scorer, make_run, study_parameters
from interrupting import family, left
from pictures import write_pictures

from tuner.evaluation.compare import compare
from tuner.runs.directory import Run
from tuner.runs.heartbeat import driver_of
from tuner.tracking import board
from tuner.tracking.prometheus import NAMES
from tuner.tracking.status import read_status

pytestmark = [pytest.mark.ray, pytest.mark.slow]

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")

SPACE = '''"""Long enough to be looked at."""


def space(trial):
    trial.suggest_float("learning_rate", 1e-4, 1e-2, log=True)
    return {"model": "resnet18", "strategy": "full", "batch_size": 4, "patience": 0}
'''


@pytest.fixture(scope="module")
def search(tmp_path_factory):
    """The process of a search with its dashboard, in the middle, and its run; its one trial outlasts the tests."""
    folder = tmp_path_factory.mktemp("watched")
    write_pictures(folder / "pictures", {"blue": 20, "green": 20, "red": 20})
    (folder / "watched.py").write_text(SPACE, encoding="utf-8")
    command = [
        "run",
        "--space",
        str(folder / "watched.py"),
        "--data",
        str(folder / "pictures"),
        "--name",
        "leaves",
    ]
    command += ["--runs-dir", str(folder / "runs"), "--weights", "none", "--image-size", "64"]
    command += ["--samples", "1", "--max-epochs", "2000", "--grace-period", "1"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "RAY_AUTH_MODE": "disabled"}
    run = Run(folder / "runs" / "leaves")
    with (folder / "out.txt").open("w") as log:
        search = subprocess.Popen(
            [sys.executable, "-m", "tuner", *command], stdout=log, stderr=log, env=environment
        )
        try:
            deadline = time.monotonic() + 120
            while not run.path.exists() or len(run.epochs()) < 2:
                assert search.poll() is None, (folder / "out.txt").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.2)
            yield search, run
        finally:
            search.send_signal(signal.SIGINT)
            search.wait(120)


@pytest.fixture(scope="module")
def running(search):
    return search[1]


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with Browser(tmp_path_factory.mktemp("browser")) as opened:
        yield opened


@pytest.fixture(scope="module")
def shots(tmp_path_factory):
    """Where pictures of the pages go; TUNER_SHOTS keeps them."""
    from pathlib import Path

    return Path(os.environ.get("TUNER_SHOTS") or tmp_path_factory.mktemp("shots"))


def ask(url):
    with urllib.request.urlopen(url) as answer:
        return answer.read().decode()


def trial_of(run):
    return next(iter(read_status(run.path).live))


def test_the_prometheus_endpoint_tells_every_metric_of_a_running_search(running):
    address = driver_of(running).pages["metrics"]
    # Without a trial that has ended there is no best value, without a positive class nothing is measured of one.
    unknown = {"ray_tuner_best_value", "ray_tuner_trial_val_sensitivity_at_95"}
    wanted = {f"ray_{name}" for name in NAMES} - unknown
    deadline, found, text = time.monotonic() + 60, set(), ""
    while not wanted <= found and time.monotonic() < deadline:
        time.sleep(1)
        text = ask(address)
        found = set(re.findall(r"^(ray_tuner_\w+)\{", text, re.MULTILINE))
    assert wanted <= found
    [line] = [line for line in text.splitlines() if line.startswith("ray_tuner_trial_val_loss{")]
    for tag in (f'trial="{trial_of(running)}"', 'model="resnet18"', 'strategy="full"', 'run="leaves"'):
        assert tag in line


def test_ray_knows_the_job_by_the_runs_name(running):
    [job] = json.loads(ask(driver_of(running).pages["dashboard"] + "/api/jobs/"))
    assert job["metadata"] == {"job_name": "leaves"}
    assert "--name leaves" in job["entrypoint"]


def test_the_dashboard_listens_on_this_machine_only(running):
    assert driver_of(running).pages["dashboard"].startswith("http://127.0.0.1:")


@needs_chromium
def test_rays_dashboard_shows_the_trial_by_its_name(running, browser, shots):
    address, name = driver_of(running).pages["dashboard"], trial_of(running)
    text = browser.text(f"{address}/#/cluster", [name], shot=shots / "ray-workers.png")
    assert f"ray::{name}" in text
    text = browser.text(f"{address}/#/actors", ["leaves"], shot=shots / "ray-actors.png")
    assert "leaves" in text


@needs_chromium
def test_the_board_shows_the_curves_over_the_rungs_and_the_trials_name(running, browser, shots):
    server = board.server(running.path, 0)
    threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/dashboard/studies/0"
    try:
        curves = browser.text(address, ["Intermediate values"], shot=shots / "board.png")
        assert "Intermediate values" in curves
        name = trial_of(running)
        listed = browser.text(f"{address}/trials?numbers=0", [name], shot=shots / "board-trial.png")
        assert name in listed
    finally:
        server.shutdown()
        server.server_close()


def test_a_second_signal_ends_the_search_before_the_first_is_obeyed(search):
    process, _ = search
    children = family(process)
    process.send_signal(signal.SIGINT)
    time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 130
    assert left(children, 2) == []


@needs_chromium
def test_the_report_names_the_finalists(tmp_path, browser, shots):
    run = make_run(tmp_path / "potato", images=True, parameters=study_parameters()[:3])
    found = compare([run.path], scorer=fake_scorer)
    labels = found.table["label"].tolist()
    text = browser.text(found.report.as_uri(), labels[:1], shot=shots / "report.png")
    assert all(label in text for label in labels)
