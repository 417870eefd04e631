"""Whatever computes for a search does so in a process that is prepared like every other."""

from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import trainables.worker
from trainables import inference, ray_trainable
from trainables.config import RunContext, TrialConfig
from tuner.console.reporter import Reporter
from tuner.dataset import features as image_features
from tuner.dataset.config import DataConfig
from tuner.planning import plan
from tuner.probing import linear as probing
from tuner.retraining import scoring, seeds
from tuner.retraining.seeds import SeedJob
from tuner.tuning import packing

CONFIG = TrialConfig.resolve({"model": "resnet18", "strategy": "full"})
CONTEXT = RunContext("run", "cache", ("a", "b"), 32, "none", "fp32", "val_loss", 0, num_threads=7)
JOB = SeedJob(
    **{
        **dict.fromkeys(field.name for field in fields(SeedJob)),
        "config": CONFIG,
        "classes": ("a", "b"),
        "num_threads": 7,
    }
)


class Prepared(Exception):
    """The process was asked to be a worker of so many threads."""


def trial():
    worker = ray_trainable.TrialTrainable.__new__(ray_trainable.TrialTrainable)
    worker.setup({"trial_id": "t"}, CONTEXT)


def planned():
    settings = SimpleNamespace(data=DataConfig(image_size=32))
    asked = SimpleNamespace(data=SimpleNamespace(precision="fp32"))
    plan._measure(asked, settings, None, [CONFIG], 7, Reporter())


def features():
    asked = DataConfig(weights="none", image_size=32, precision="fp32")
    shown = SimpleNamespace(images=[SimpleNamespace(path="a.png", pixels="")], folder=Path())
    image_features.foretell(asked, shown, ("resnet18", "none"))


def probed():
    images = SimpleNamespace(seed=0)
    probing.probe_one(probing.ProbeJob("resnet18", images, "none", 32, "fp32", 0))


WAYS = {
    "a trial": trial,
    "a seed": lambda: seeds.train_seed(JOB, 0),
    "the weights of a seed": lambda: scoring.score_weights(JOB, "weights", "val"),
    "packing": lambda: packing.measure(CONFIG, CONTEXT),
    "planning": planned,
    "probing": probed,
    "looking for similar pictures": features,
    "scoring": lambda: inference.score_images(CONFIG, ["a"], Path("w"), Path(), [], 32, "fp32", 7),
}


@pytest.mark.parametrize("way", WAYS)
def test_it_begins_with_the_one_preparation(way, monkeypatch):
    def note(num_threads):
        raise Prepared(num_threads)

    monkeypatch.setattr(trainables.worker, "_prepare", note)
    monkeypatch.setattr(trainables.worker, "_state", {"prepared": False})
    for module in (inference, scoring):
        monkeypatch.setattr(module, "load_classifier", lambda *given: None)
    monkeypatch.setattr(seeds.ImageCache, "open", lambda path: SimpleNamespace(rows=lambda paths: []))
    for module in (scoring, seeds):
        monkeypatch.setattr(module, "load_trial_data", lambda *given: SimpleNamespace(val_rows=[]))
    with pytest.raises(Prepared) as asked:
        WAYS[way]()
    threads = torch.get_num_threads() if way in ("probing", "looking for similar pictures") else 7
    assert asked.value.args == (threads,)
