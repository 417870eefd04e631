"""optuna-dashboard on a run's journal: on 127.0.0.1, read-only unless told otherwise, live while the search runs."""

import importlib.util
import os
import socketserver
import wsgiref.simple_server
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from trainables.errors import InvalidValue, RunProblem
from tuner.runs.directory import Run

__all__ = ["application", "read_only", "serve", "server"]

READING = ("GET", "HEAD", "OPTIONS")


class _Server(socketserver.ThreadingMixIn, wsgiref.simple_server.WSGIServer):
    daemon_threads = True


class _Silent(wsgiref.simple_server.WSGIRequestHandler):
    def log_message(self, format: str, *values: Any) -> None:
        """A person who looks at a page does not need a line for each of its files."""


def serve(path: Path, port: int, *, writable: bool = False, tell: Callable[[str], None]) -> None:
    """Serve the board of the run at `path` until interrupted; `tell` gets its address."""
    with server(path, port, writable=writable) as opened:
        tell(f"http://127.0.0.1:{opened.server_port}/dashboard/studies/0{'' if writable else ' (read-only)'}")
        tell("Ctrl-C ends it")
        try:
            opened.serve_forever()
        except KeyboardInterrupt:
            tell("ended")


def server(path: Path, port: int, *, writable: bool = False) -> wsgiref.simple_server.WSGIServer:
    """A server on 127.0.0.1 that is ready to serve; raises RunProblem or, for a taken port, InvalidValue."""
    app = application(Run.open(path), writable=writable)
    try:
        return wsgiref.simple_server.make_server("127.0.0.1", port, app, _Server, _Silent)
    except OSError as error:
        raise InvalidValue(
            f"--port {port}: {os.strerror(error.errno or 0)}; --port 0 takes any free one"
        ) from error


def application(run: Run, *, writable: bool = False) -> WSGIApplication:
    """The dashboard of the journal of `run`; raises InvalidValue if optuna-dashboard is missing."""
    if importlib.util.find_spec("optuna_dashboard") is None:
        raise InvalidValue("tuner board needs optuna-dashboard: pip install 'tuner[board]'")
    if not run.journal.exists():
        raise RunProblem(f"{run.path} has no study yet; wait until its first trial starts")
    import optuna_dashboard

    from tuner.runs.journal import open_named_storage

    storage = open_named_storage(run.journal, str(run.record["metric"]))
    app: WSGIApplication = optuna_dashboard.wsgi(storage)
    return app if writable else read_only(app)


def read_only(app: WSGIApplication) -> WSGIApplication:
    """`app`, but every request that could change something is refused with 403."""

    def guarded(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] in READING:
            return app(environ, start_response)
        start_response("403 Forbidden", [("Content-Type", "application/json")])
        return [b'{"reason": "this board is read-only; start it with --writable to change the study"}']

    return guarded
