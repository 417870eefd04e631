"""The process that drives a search leaves the GPUs to its trials."""

import pytest
import torch
from pictures import write_pictures
from tiny import write_space

from tuner.tuning.config import search_config
from tuner.tuning.prepare import prepare


@pytest.mark.parametrize("precision", ["auto", "bf16"])
def test_preparing_a_search_asks_no_gpu_for_anything(tmp_path, monkeypatch, precision):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "_lazy_init", lambda: pytest.fail("began to use a GPU"))
    write_pictures(tmp_path / "pictures", {"blue": 20, "red": 20})
    config = search_config(
        space=str(write_space(tmp_path)),
        data=tmp_path / "pictures",
        runs_dir=tmp_path,
        image_size=16,
        max_epochs=1,
        weights="none",
        samples=1,
        precision=precision,
        gpus_per_trial="auto",
    )
    assert prepare(config).gpus_per_trial == "auto"
