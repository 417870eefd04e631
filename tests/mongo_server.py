"""A real MongoDB wire-protocol server on 127.0.0.1 that a test may stop and start again."""

import socket
import subprocess
import sys
import time


class MongoServer:
    """Keeps its data in `folder`, so that a restart finds them again."""

    def __init__(self, folder):
        self._file = folder / "mongo.db"
        self.port = _free_port()
        self.address = f"mongodb://127.0.0.1:{self.port}/leaves"
        self._process = None

    def start(self):
        command = [
            sys.executable,
            "-c",
            "from nx_27017.nx_27017 import main; main()",
            "--db",
            str(self._file),
        ]
        command += ["--host", "127.0.0.1", "-p", str(self.port)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 30
        while not self._answers():
            assert self._process.poll() is None, "the server ended"
            assert time.monotonic() < deadline, "the server does not answer"
            time.sleep(0.1)

    def stop(self):
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def documents(self):
        """Every document of every collection, by collection."""
        import pymongo

        with pymongo.MongoClient(self.address) as client:
            database = client.get_default_database()
            return {name: list(database[name].find()) for name in database.list_collection_names()}

    def _answers(self):
        with socket.socket() as one:
            one.settimeout(0.5)
            return one.connect_ex(("127.0.0.1", self.port)) == 0


def _free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]
