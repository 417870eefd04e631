"""A Ray of one's own, or a running one joined: started quietly, left clean. Sharing GPUs was not run on a GPU."""

import contextlib
import importlib.util
import logging
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import ray

from trainables.errors import ClusterProblem, InvalidValue
from tuner.cluster.processes import end, end_watchers, rays_below
from tuner.cluster.signals import Signals
from tuner.cluster.sockets import ray_folder

SECONDS_BETWEEN_COUNTS = 5.0
SECONDS_TO_LEAVE = 0.2
SECONDS_TO_ANSWER = 5.0
LONGEST_REASON = 300

TOKEN = "asked for by the dashboard, printed by: ray get-auth-token"
"""How a person gets into Ray's dashboard; the token itself is never printed."""

Pack = Callable[[Mapping[str, float]], float]
"""From what the cluster has to the share of a GPU that a trial gets."""


class Demands(Protocol):
    """Where to run and what one trial gets; None is a default that suits the machine. `Prepared` is one."""

    @property
    def address(self) -> str | None:
        """The cluster to join, or None for a Ray of one's own."""

    @property
    def concurrent(self) -> int | None:
        """Trials at once."""

    @property
    def cpus_per_trial(self) -> float | None:
        """Cores of a trial."""

    @property
    def gpus_per_trial(self) -> float | Literal["auto"] | None:
        """GPUs of a trial, may be a fraction; "auto" is settled by whoever can measure."""


@dataclass(frozen=True)
class RaySession:
    """What one trial gets, how many trials fit the cluster right now, and the addresses of Ray's pages by name.

    `packing_s` is how many seconds it took to measure how many trials share a GPU; 0 where nothing was measured.
    """

    resources: dict[str, float]
    slots: Callable[[], int]
    pages: Mapping[str, str]
    packing_s: float = 0.0


@contextlib.contextmanager
def ray_session(
    prepared: Demands,
    signals: Signals,
    pack: Pack | None = None,
    *,
    name: str | None = None,
    dashboard: bool = False,
) -> Iterator[RaySession]:
    """A Ray that listens on 127.0.0.1 only, or the cluster at `address`; shut down or left on exit.

    Ray takes the process's signals when it starts and aborts at SIGTERM, so `signals`, which are entered, take them
    back. `pack` settles "auto" GPUs where there are any; without it a trial gets a whole one. Ray knows the job by
    `name`; `dashboard` starts Ray's, where it is installed.

    Raises ClusterProblem if no Ray starts or if the one at `address` can't be joined, InvalidValue if none answers
    there or if not even one trial fits.
    """
    for logger in ("ray", "ray.tune", "ray.data", "ray.train"):
        # Above ERROR: what went wrong with a trial stands in its row.
        logging.getLogger(logger).setLevel(logging.CRITICAL)
    if ray.is_initialized():
        signals.arm()
        yield _session(prepared, pack, {})
        return
    with ray_folder() if is_own(prepared.address) else contextlib.nullcontext() as folder:
        try:
            pages = _init(prepared, name, dashboard, folder)
            signals.arm()
            yield _session(prepared, pack, pages)
        finally:
            started = rays_below()
            end_watchers(started)
            ray.shutdown()
            end(started, SECONDS_TO_LEAVE)


def is_own(address: str | None) -> bool:
    """Whether `address` asks for a Ray of one's own."""
    return address in (None, "", "local")


def _init(prepared: Demands, name: str | None, dashboard: bool, folder: str | None) -> dict[str, str]:
    """Start or join a Ray; the address of its dashboard."""
    common: dict[str, Any] = {
        "log_to_driver": False,
        "logging_level": logging.ERROR,
        "configure_logging": False,
        "namespace": "tuner",
        "job_config": ray.job_config.JobConfig(metadata={"job_name": name} if name else {}),
    }
    if is_own(prepared.address):
        return _start(common, dashboard and _has_dashboard(), folder)
    address = str(prepared.address)
    require_answer(address)
    try:
        found = ray.init(address=address, **common)
    except Exception as error:  # Ray has no class for what keeps it from joining
        raise ClusterProblem(f"--address {address} can't be joined: {_reason(error)}") from error
    return _pages(found.dashboard_url)


def _start(common: Mapping[str, Any], dashboard: bool, folder: str | None) -> dict[str, str]:
    """Start a Ray of one's own, its files in `folder` if there is one."""
    try:
        found = ray.init(
            address="local",
            _node_ip_address="127.0.0.1",
            include_dashboard=dashboard,
            dashboard_host="127.0.0.1",
            _temp_dir=folder,
            **{**common, **mps_as_gpu()},
        )
    except Exception as error:  # Ray raises of every class when it does not start
        reason = _reason(error)
        shared = "object store" in reason or "/dev/shm" in reason
        room = "; make room in /dev/shm (a container's is set by --shm-size)" if shared else ""
        raise ClusterProblem(f"Ray does not start here: {reason}{room}") from error
    return _pages(found.dashboard_url if dashboard else None)


def mps_as_gpu() -> dict[str, int]:
    """What makes Ray count a Mac's GPU, which it does not find itself."""
    if sys.platform != "darwin":
        return {}  # without torch, which takes seconds to import
    import torch

    return {"num_gpus": 1} if not torch.cuda.is_available() and torch.backends.mps.is_available() else {}


def _reason(error: BaseException) -> str:
    """What Ray complains of, in one line of a length that can be read."""
    text = " ".join(str(error).split()).rstrip(".") or type(error).__name__
    return text if len(text) <= LONGEST_REASON else f"{text[:LONGEST_REASON]} ..."


def require_answer(address: str) -> None:
    """Raise InvalidValue unless a server of Ray's kind listens at HOST:PORT; Ray itself would try for minutes."""
    if address == "auto" or is_own(address):
        return
    host, _, port = address.rpartition(":")
    if not host or "/" in address or not (port.isascii() and port.isdigit()) or not 0 < int(port) < 2**16:
        raise InvalidValue(
            f"--address {address!r} is no address of a Ray cluster; auto or HOST:PORT would be right, such as"
            " 10.0.0.1:6379"
        )
    if host in ("localhost", "127.0.0.1", "::1"):
        # Ray does the same: it takes a loopback address for the one that other machines see.
        host = ray.util.get_node_ip_address()
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=SECONDS_TO_ANSWER).close()
    except (OSError, UnicodeError) as error:
        raise InvalidValue(
            f"--address {address}: no Ray cluster answers at {host}:{port} "
            f" ({getattr(error, 'strerror', None) or error}); start one there with: ray start --head --port {port}"
        ) from error
    if not _speaks_grpc(host, port):
        raise InvalidValue(
            f"--address {address}: what answers at {host}:{port} is no Ray cluster; `ray status` on the head node"
            " tells its address"
        )


def _speaks_grpc(host: str, port: str) -> bool:
    """Whether the server there speaks gRPC, as every Ray does."""
    try:
        import grpc
    except ImportError:
        return True
    with grpc.insecure_channel(f"{host}:{port}", options=[("grpc.enable_http_proxy", 0)]) as channel:
        try:
            grpc.channel_ready_future(channel).result(timeout=SECONDS_TO_ANSWER)
        except grpc.FutureTimeoutError:
            return False
    return True


def _has_dashboard() -> bool:
    """Whether what `ray[default]` adds to Ray is installed."""
    return all(importlib.util.find_spec(name) for name in ("aiohttp", "aiohttp_cors", "opencensus"))


def asks_for_token() -> bool:
    """Whether the pages of the Ray that this process is in want a token, as those of Ray 2.60 do unless told not to."""
    return os.environ.get("RAY_AUTH_MODE", "").lower() == "token"


def _pages(dashboard: str | None) -> dict[str, str]:
    """Addresses of the dashboard, if there is one, and of the metrics of this driver's node; how to get its token."""
    here = ray.get_runtime_context().get_node_id()
    ports = {node["NodeID"]: (node["NodeManagerAddress"], node["MetricsExportPort"]) for node in ray.nodes()}
    pages = {"dashboard": f"http://{dashboard}"} if dashboard else {}
    if dashboard and asks_for_token():
        pages["token"] = TOKEN
    if here in ports and _has_dashboard():
        pages["metrics"] = "http://{}:{}/metrics".format(*ports[here])
    return pages


def _session(prepared: Demands, pack: Pack | None, pages: Mapping[str, str]) -> RaySession:
    cluster = ray.cluster_resources()
    # What is measured for "auto" is CUDA's; a Mac's GPU takes one trial at a time.
    packs = prepared.gpus_per_trial == "auto" and cluster.get("GPU", 0.0) > 0 and not mps_as_gpu()
    started = time.monotonic()
    packed = pack(cluster) if packs and pack is not None else None
    packing_s = 0.0 if packed is None else time.monotonic() - started
    resources = trial_resources(prepared, cluster, packed)
    counted = [0.0, 0]

    def slots() -> int:
        if prepared.concurrent is not None:
            return prepared.concurrent
        if time.monotonic() - counted[0] > SECONDS_BETWEEN_COUNTS:
            counted[:] = time.monotonic(), _fitting(resources)
        return int(counted[1])

    if _fitting(resources) < 1:
        have = {kind: ray.cluster_resources().get(kind, 0.0) for kind in ("CPU", "GPU")}
        raise InvalidValue(
            f"one trial needs {resources}, but the machine has {have};"
            " lower --cpus-per-trial or --gpus-per-trial"
        )
    return RaySession(resources, slots, pages, packing_s)


def trial_resources(
    prepared: Demands, have: Mapping[str, float], packed: float | None = None
) -> dict[str, float]:
    """What one trial gets: as told, else a whole GPU and its share of the cores, else one core.

    `packed` is the share of a GPU that was measured to suffice, for "auto".
    """
    gpus = have.get("GPU", 0.0)
    told = packed if prepared.gpus_per_trial == "auto" else prepared.gpus_per_trial
    per_trial = told if told is not None else min(1.0, gpus)
    if prepared.cpus_per_trial is not None:
        cores = prepared.cpus_per_trial
    else:
        cores = max(1.0, have.get("CPU", 1.0) * per_trial // gpus) if gpus and per_trial else 1.0
    return {"cpu": cores, "gpu": per_trial} if per_trial else {"cpu": cores}


def _fitting(resources: dict[str, float]) -> int:
    """How many trials with `resources` fit all nodes that are alive now."""
    total = 0
    for node in ray.nodes():
        if node["Alive"]:
            have = node["Resources"]
            total += int(
                min(
                    have.get(kind.upper(), 0.0) / amount + 1e-9
                    for kind, amount in resources.items()
                    if amount
                )
            )
    return total
