"""MongoDB: one document an epoch and one a test score, in a collection per combination.

The address is in TUNER_MONGODB_URI and nowhere else; its database is used, by default `tuner`. Documents are told apart
by run, trial, phase and epoch: sent again they replace themselves.
"""

import datetime
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from trainables.errors import InvalidValue
from tuner.runs.directory import Run
from tuner.tracking.events import END, EPOCH, Event
from tuner.tracking.sinks import SinkError, require

ADDRESS = "TUNER_MONGODB_URI"
REPEATABLE = True
PATIENCE_MS = 2000
IDENTITY = ("run_id", "trial_id", "phase", "epoch")

STUDY_NAMES = {"train_accuracy": "train_acc", "val_accuracy": "val_acc"}
"""Two metrics have shorter names in the documents than in the tables."""


def check() -> None:
    """Raise InvalidValue if pymongo or the address is missing, or if the address can't be read."""
    require("pymongo", "mongodb")
    if not os.environ.get(ADDRESS):
        raise InvalidValue(f"--log mongodb needs {ADDRESS}, such as mongodb://127.0.0.1:27017/tuner")
    from pymongo.errors import PyMongoError
    from pymongo.uri_parser import parse_uri

    try:
        parse_uri(os.environ[ADDRESS])
    except (PyMongoError, ValueError) as error:
        raise InvalidValue(f"{ADDRESS} can't be read: {without_password(str(error))}") from None


def open_sink(run: Run, weights: bool = False) -> "MongoSink":
    """The sink at TUNER_MONGODB_URI; `weights` are not kept there."""
    return MongoSink(os.environ[ADDRESS], run)


class MongoSink:
    """Writes documents by upserts under a unique index."""

    def __init__(self, address: str, run: Run) -> None:
        from pymongo import MongoClient

        self._client: Any = MongoClient(
            address,
            serverSelectionTimeoutMS=PATIENCE_MS,
            connectTimeoutMS=PATIENCE_MS,
            socketTimeoutMS=2 * PATIENCE_MS,
            appname="tuner",
        )
        self._database = self._client.get_default_database("tuner")
        self._run = run.path.resolve().name
        self._run_id = run_id(run)
        self._indexed: set[str] = set()

    def send(self, events: Sequence[Event]) -> None:
        """Upsert a document for each epoch and test score."""
        from pymongo import ReplaceOne
        from pymongo.errors import PyMongoError

        writes: dict[str, list[Any]] = {}
        for event in events:
            if event.kind != END:
                document = {"run": self._run, "run_id": self._run_id, **document_of(event)}
                identity = {name: document[name] for name in IDENTITY}
                target = writes.setdefault(collection_name(event.combination), [])
                target.append(ReplaceOne(identity, document, upsert=True))
        try:
            for name, operations in writes.items():
                self._index(name)
                self._database[name].bulk_write(operations, ordered=False)
        except (PyMongoError, OSError) as error:
            raise SinkError(without_password(str(error))) from None

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _index(self, name: str) -> None:
        if name not in self._indexed:
            self._database[name].create_index([(key, 1) for key in IDENTITY], unique=True, name="identity")
            self._indexed.add(name)


def document_of(event: Event) -> dict[str, Any]:
    """The document of an epoch or of a test score, but for the run's name."""
    parameters = dict(event.parameters)
    document: dict[str, Any] = {
        "trial_id": event.trial_id,
        "phase": event.kind,
        "model": parameters.pop("model"),
        "strategy": parameters.pop("strategy"),
    }
    if event.kind == EPOCH:
        document |= _epoch(event.values) | {"is_best": event.is_best}
    else:
        document |= {"epoch": event.values.get("best_epoch")}
        document |= {_key(name): value for name, value in event.values.items() if name not in document}
    return document | {"parameters": parameters}


def collection_name(combination: str) -> str:
    """The collection of a combination: model, strategy, loss and schedule joined by underscores."""
    return re.sub(r"[^A-Za-z0-9]+", "_", combination)


def run_id(run: Run) -> str:
    """What tells this run from others of the same name."""
    return f"{run.path.resolve().name}@{run.record.get('started', '')}"


def without_password(text: str) -> str:
    """`text` without the password of the address, however it is quoted, and without `user:password@`."""
    found = re.search(r"://[^:@/]*:([^@]*)@", os.environ.get(ADDRESS, ""))
    for secret in {found[1], unquote(found[1])} if found else set():
        text = text.replace(secret, "***") if secret else text
    return re.sub(r"://[^@/\s]+@", "://***@", text)


def _epoch(values: Mapping[str, Any]) -> dict[str, Any]:
    end = datetime.datetime.fromtimestamp(float(values["time"]), datetime.UTC)
    start = end - datetime.timedelta(seconds=float(values["epoch_seconds"]))
    named = {STUDY_NAMES.get(name, name): value for name, value in values.items() if name != "time"}
    return {"start_time": start, "end_time": end, **named}


def _key(name: str) -> str:
    """A field's name without what MongoDB reserves."""
    return name.replace(".", "_").replace("$", "_")
