import os
import platform
import subprocess
import sys
import time
from dataclasses import asdict, replace

import pytest
from rich.console import Console
from tiny import epoch, store, write_space

from trainables.errors import RunProblem, UnknownName
from trainables.process_mark import own_mark
from tuner.runs.directory import Run
from tuner.runs.heartbeat import STOP_RUN, Driver, Watch, driver_of
from tuner.runs.trial_table import STOPPED_BY_HAND
from tuner.tracking.status import BESIDE_TRIALS, read_status, render, stop_run, stop_trial
from tuner.tuning.scheduler import FairASHA


@pytest.fixture
def book(tmp_path):
    made = store(tmp_path, write_space(tmp_path), samples=8)
    made.run.update_record(settings={"samples": 8, "log": []}, finished=None)
    return made


def text_of(run):
    console = Console(width=200)
    with console.capture() as captured:
        console.print(render(run.path))
    return captured.get()


def test_a_running_search_tells_its_trials_its_process_and_its_pages(book):
    first, second = (book.next()["trial_id"] for _ in range(2))
    book.report(first, epoch(1, 0.5))
    book.finish(first, "completed", "completed")
    book.report(second, epoch(1, 0.75))
    with Watch(book.run, lambda: None, {"dashboard": "http://127.0.0.1:1"}):
        found = read_status(book.run.path)
        assert (found.state, len(found.rows), list(found.live)) == ("running", 1, [second])
        shown = text_of(book.run)
    for part in (first, second, "1/4", "0.7500", f"process {os.getpid()}", "dashboard http://127.0.0.1:1"):
        assert part in shown
    assert read_status(book.run.path).state == "interrupted"
    # Whoever holds the lock is at work, though no trial runs: before the first one, for folds, for the model.
    with book.run.owned():
        assert read_status(book.run.path).state == "running"
        assert BESIDE_TRIALS in text_of(book.run)
    assert driver_of(book.run) is None


def test_a_driver_that_died_is_told_from_one_that_ended(book):
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    driver = {
        "host": platform.node(),
        "pid": child.pid,
        "since": time.time(),
        "seen": time.time(),
        "pages": {},
    }
    book.run.write_yaml("driver.yaml", driver)
    assert read_status(book.run.path).state == "dead"
    assert f"tuner resume {book.run.path}" in text_of(book.run)


def test_a_driver_on_another_machine_lives_while_it_gives_signs():
    now = time.time()
    assert Driver("elsewhere", 1, now, now - 10, {}).alive
    assert not Driver("elsewhere", 1, now, now - 300, {}).alive


def driver_file(run, **values):
    now = time.time()
    content = {"host": platform.node(), "pid": os.getpid(), "since": now, "seen": now, "pages": {}}
    run.write_yaml("driver.yaml", content | values)


def test_a_process_that_has_got_the_number_of_a_dead_driver_is_not_taken_for_it(book):
    driver_file(book.run, mark=asdict(replace(own_mark(), born=own_mark().born - 100)))
    assert read_status(book.run.path).state == "dead"
    with pytest.raises(RunProblem, match="not running"):
        stop_run(book.run.path)


def test_of_an_earlier_version_a_process_that_began_after_its_search_is_another_one(book):
    driver_file(book.run, since=time.time() - 9000, seen=time.time() - 7200)
    assert read_status(book.run.path).state == "dead"
    driver_file(book.run, since=time.time())
    assert read_status(book.run.path).state == "running"


def test_in_another_container_the_lock_decides(book):
    """After a restart of its container a search has the number it had, in another space of numbers."""
    driver_file(book.run, host="container", mark=asdict(replace(own_mark(), namespace="pid:[1]")))
    assert read_status(book.run.path).state == "dead"
    with book.run.owned():
        assert read_status(book.run.path).state == "running"


def test_a_lock_that_is_held_says_that_a_silent_driver_on_another_machine_lives(book):
    driver_file(book.run, host="elsewhere", seen=time.time() - 300)
    assert read_status(book.run.path).state == "dead"
    with book.run.owned():
        assert read_status(book.run.path).state == "running"


def test_a_stop_request_reaches_the_driver_once(book):
    asked = []
    with Watch(book.run, lambda: asked.append(1)):
        stop_run(book.run.path)
        assert read_status(book.run.path).state == "stopping"
        deadline = time.monotonic() + 10
        while not asked and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(1.2)
    assert asked == [1]
    assert not (book.run.path / "stop" / STOP_RUN).exists()


def test_a_request_to_an_earlier_process_does_not_stop_the_next(book):
    (book.run.path / "stop").mkdir()
    (book.run.path / "stop" / STOP_RUN).touch()
    asked = []
    with Watch(book.run, lambda: asked.append(1)):
        time.sleep(1.2)
    assert asked == []


def test_one_trial_is_stopped_by_hand_and_the_others_go_on(book):
    first, second = (book.next()["trial_id"] for _ in range(2))
    with Watch(book.run, lambda: None):
        stop_trial(book.run.path, first)
    scheduler = FairASHA("val_loss", None, stop_folder=book.run.path / "stop")
    assert scheduler.verdict(first, epoch(1, 0.5)) == STOPPED_BY_HAND
    assert scheduler.verdict(second, epoch(1, 0.5)) is None


def test_a_search_that_its_time_budget_ended_is_finished_and_names_what_can_go_on(book):
    first, second = (book.next()["trial_id"] for _ in range(2))
    for trial_id, loss in ((first, 0.5), (second, 0.25)):
        book.report(trial_id, epoch(1, loss))
    book.finish(first, "completed", "completed")
    book.cut_off(second)
    book.write_table()
    book.run.update_record(finished="2026-01-01T11:00:00")
    found = read_status(book.run.path)
    assert (found.state, list(found.live)) == ("finished", [second])
    assert [row["trial_id"] for row in found.ended] == [first]
    assert [row["trial_id"] for row in found.rows] == [first, second]
    shown = text_of(book.run)
    assert "1 completed, 0 stopped, 0 failed, 1 unfinished" in shown
    assert "1 trial was cut by the time budget and can go on" in shown
    assert f"tuner resume {book.run.path} --time-budget" in shown


def test_nothing_can_be_stopped_where_nothing_runs(book):
    with pytest.raises(RunProblem, match="not running"):
        stop_run(book.run.path)
    with Watch(book.run, lambda: None), pytest.raises(UnknownName, match="resnet-99"):
        stop_trial(book.run.path, "resnet-99")


def test_unsent_entries_are_told_with_their_remedy(book):
    (book.run.path / "unsent-mongodb.jsonl").write_text("{}\n{}\n")
    assert f"mongodb: 2 entries unsent; send them with: tuner sync {book.run.path}" in text_of(book.run)


def test_the_status_of_no_run_is_one_line(tmp_path):
    with pytest.raises(RunProblem, match=r"run\.yaml"):
        read_status(Run(tmp_path).path)


def test_what_is_done_beside_trials_is_told_and_since_when_the_process_lives(book):
    with Watch(book.run, lambda: None) as watch:
        watch.tell("fold 2 of 5")
        assert driver_of(book.run).doing == "fold 2 of 5"
        assert "fold 2 of 5" in text_of(book.run)
        # Another watch of the same process tells the same time: it is the process that lives since then.
        since = driver_of(book.run).since
    assert since <= time.time()
    with Watch(book.run, lambda: None):
        assert driver_of(book.run).since == since
        assert driver_of(book.run).doing == ""
