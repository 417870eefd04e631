import json
import threading
import time
import urllib.error
import urllib.request

import pytest
from tiny import epoch, store, write_space

from trainables.errors import InvalidValue, RunProblem
from tuner.runs.directory import Run
from tuner.tracking import board

pytest.importorskip("optuna_dashboard")


@pytest.fixture
def book(tmp_path):
    made = store(tmp_path, write_space(tmp_path), samples=8)
    trial_id = made.next()["trial_id"]
    made.report(trial_id, epoch(1, 0.5))
    made.finish(trial_id, "completed", "completed")
    return made


@pytest.fixture
def open_board():
    """A function that serves the board of a run and returns one that asks it."""
    servers = []

    def start(run, **options):
        server = board.server(run.path, 0, **options)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        servers.append(server)

        def ask(path, method="GET", body=None):
            data = None if body is None else json.dumps(body).encode()
            headers = {"Content-Type": "application/json"}
            url = f"http://127.0.0.1:{server.server_port}{path}"
            request = urllib.request.Request(url, data=data, method=method, headers=headers)
            with urllib.request.urlopen(request) as answer:
                return answer.read().decode()

        return ask

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def values(ask):
    trials = json.loads(ask("/api/studies/0?after=0"))["trials"]
    return [[step["value"] for step in trial["intermediate_values"]] for trial in trials]


@pytest.mark.slow
def test_the_board_is_live_while_the_search_writes(book, open_board):
    ask = open_board(book.run)
    assert "Optuna Dashboard" in ask("/dashboard")
    assert values(ask) == [[0.5]]
    trial_id = book.next()["trial_id"]
    book.report(trial_id, epoch(1, 0.25))
    deadline = time.monotonic() + 30
    while len(values(ask)) < 2 and time.monotonic() < deadline:
        time.sleep(1)  # optuna-dashboard asks its storage every ten seconds at most
    assert values(ask) == [[0.5], [0.25]]
    assert trial_id in ask("/api/studies/0?after=0")


def test_the_objective_is_called_by_the_name_of_the_metric_and_the_journal_stays_as_it_is(book, open_board):
    before = book.run.journal.read_bytes()
    ask = open_board(book.run)
    assert json.loads(ask("/api/studies/0?after=0"))["objective_names"] == ["val_loss"]
    assert "val_loss" in ask("/csv/0").splitlines()[0]
    assert book.run.journal.read_bytes() == before


def test_the_help_of_the_board_promises_no_new_trials():
    from tuner.cli.operate import board as command

    words = " ".join([command.help, *(param.help for param in command.params[1:])])
    assert "new trial" not in words
    assert "can't start trials" in words


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("DELETE", "/api/studies/0", None),
        ("POST", "/api/studies", {"study_name": "mine", "directions": ["minimize"]}),
        ("PUT", "/api/studies/0/note", {"body": "mine", "version": 1}),
        ("POST", "/api/trials/0/tell", {"state": "Fail"}),
    ],
)
def test_a_read_only_board_changes_nothing(book, open_board, method, path, body):
    before = book.run.journal.read_bytes()
    with pytest.raises(urllib.error.HTTPError) as caught:
        open_board(book.run)(path, method, body)
    assert caught.value.code == 403
    assert "--writable" in caught.value.read().decode()
    caught.value.close()
    assert book.run.journal.read_bytes() == before


def test_a_writable_board_takes_a_note(book, open_board):
    ask = open_board(book.run, writable=True)
    ask("/api/studies/0/note", "PUT", {"body": "look at the leaves", "version": 1})
    assert b"look at the leaves" in book.run.journal.read_bytes()


def test_a_board_listens_on_this_machine_only(book):
    server = board.server(book.run.path, 0)
    assert server.server_address[0] == "127.0.0.1"
    server.server_close()


def test_a_taken_port_is_one_line(book):
    server = board.server(book.run.path, 0)
    with pytest.raises(InvalidValue, match="--port 0"):
        board.server(book.run.path, server.server_port)
    server.server_close()


def test_a_run_without_a_study_is_one_line(tmp_path):
    run = Run.create(tmp_path / "empty", {"metric": "val_loss"})
    with pytest.raises(RunProblem, match="no study yet"):
        board.server(run.path, 0)
