import http.server
import socket
import threading
from types import SimpleNamespace

import pytest
import ray
import torch

from tuner.cluster import session
from tuner.cluster.session import mps_as_gpu, ray_session, require_answer
from tuner.cluster.signals import Signals
from tuner.errors import ClusterProblem, InvalidValue


def demands(address=None):
    return SimpleNamespace(address=address, concurrent=None, cpus_per_trial=None, gpus_per_trial=None)


@pytest.fixture
def failing(monkeypatch):
    """Makes Ray fail to start or to join with an error."""

    def fail(error):
        def init(**_):
            raise error

        monkeypatch.setattr(ray, "init", init)

    return fail


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError("AF_UNIX path length cannot exceed 107 bytes: /x"), "AF_UNIX"),
        (
            ValueError("Attempting to cap object store memory usage at 1 bytes, but\n the minimum is 2."),
            "--shm-size",
        ),
        (RuntimeError("Failed to start the dashboard,\n  port 8265 is taken"), "port 8265"),
        (PermissionError(13, "Permission denied", "/tmp/ray"), "/tmp/ray"),
        (Exception(""), "Exception"),
    ],
)
def test_a_ray_that_does_not_start_is_one_sentence(failing, error, words):
    failing(error)
    with (
        pytest.raises(ClusterProblem, match=r"^Ray does not start here: ") as raised,
        ray_session(demands(), Signals()),
    ):
        pass
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            RuntimeError(
                "Version mismatch: The cluster was started with:\n    Ray: 2.9\n    Python: 3.9\nThis"
            ),
            "Ray: 2.9",
        ),
        (ConnectionError("Could not find any running Ray instance."), "running Ray"),
        (ray.exceptions.RayError("Authentication failed: no token"), "Authentication"),
        (RuntimeError("x" * 5000), "..."),
    ],
)
def test_a_ray_that_can_not_be_joined_is_one_sentence(failing, error, words):
    failing(error)
    refused = pytest.raises(ClusterProblem, match=r"^--address auto can't be joined: ")
    with refused as raised, ray_session(demands("auto"), Signals()):
        pass
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 500


@pytest.mark.parametrize(
    "address",
    [
        "nothing",
        "host",
        "host:",
        ":6379",
        "host:0",
        "host:99999",
        "host:six",
        "ray://host:10001",
        "http://host:80/",
        "a:²",
    ],
)
def test_what_is_no_address_is_refused(address):
    with pytest.raises(InvalidValue, match="HOST:PORT would be right"):
        require_answer(address)


def test_an_address_where_nobody_listens_is_refused_at_once():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(InvalidValue, match=f"--address 127.0.0.1:{port}: no Ray cluster answers"):
        require_answer(f"127.0.0.1:{port}")
    with pytest.raises(InvalidValue, match=r"no Ray cluster answers at no-such-host.invalid"):
        require_answer("no-such-host.invalid:6379")


def test_a_server_that_is_no_ray_is_refused_soon(monkeypatch):
    monkeypatch.setattr(session, "SECONDS_TO_ANSWER", 1.0)
    monkeypatch.setattr(ray.util, "get_node_ip_address", lambda: "127.0.0.1")
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with pytest.raises(InvalidValue, match="is no Ray cluster"):
            require_answer(f"127.0.0.1:{server.server_port}")
        server.shutdown()


@pytest.mark.parametrize(
    ("cuda", "mps", "gpus"), [(False, True, {"num_gpus": 1}), (True, True, {}), (False, False, {})]
)
def test_ray_counts_a_macs_gpu_as_one(monkeypatch, cuda, mps, gpus):
    monkeypatch.setattr(session.sys, "platform", "darwin")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert mps_as_gpu() == gpus


@pytest.mark.parametrize(("mode", "asked"), [("token", True), ("disabled", False), (None, False)])
def test_the_pages_tell_how_to_get_into_a_dashboard_that_asks_for_a_token(monkeypatch, mode, asked):
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    if mode is not None:
        monkeypatch.setenv("RAY_AUTH_MODE", mode)
    context = SimpleNamespace(get_node_id=lambda: "other")
    monkeypatch.setattr(session.ray, "get_runtime_context", lambda: context)
    monkeypatch.setattr(session.ray, "nodes", list)
    pages = session._pages("127.0.0.1:8265")
    assert pages["dashboard"] == "http://127.0.0.1:8265"
    assert ("ray get-auth-token" in pages.get("token", "")) is asked
    assert session._pages(None) == {}
