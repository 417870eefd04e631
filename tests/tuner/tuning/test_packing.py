import time

import pytest
import ray
from click.testing import CliRunner
from tiny import prepared, write_space

from trainables.config import TrialConfig
from trainables.errors import InvalidValue
from tuner.cli import app as cli
from tuner.cluster.session import ray_session, trial_resources
from tuner.cluster.signals import Signals
from tuner.console.reporter import Reporter
from tuner.tuning import packing
from tuner.tuning.config import search_config
from tuner.tuning.packing import (
    Packing,
    Use,
    heaviest,
    measured_packing,
    mps_runs,
    pack_trials,
    trials_per_gpu,
)

GB = 10**9


def use(gigabytes: float, busy: float) -> Use:
    return Use(int(gigabytes * GB), busy, 24 * GB)


def config(model: str, **parameters) -> TrialConfig:
    return TrialConfig.resolve({"model": model, "strategy": "feature_extractor", **parameters})


def test_as_many_trials_share_a_gpu_as_its_memory_holds_with_a_margin():
    assert trials_per_gpu([use(5, 0.01)], 64) == 4
    assert trials_per_gpu([use(5.2, 0.01)], 64) == 3


def test_no_more_trials_share_a_gpu_than_keep_it_busy():
    assert [trials_per_gpu([use(0.1, busy)], 64) for busy in (1.0, 0.9, 0.6, 0.34, 0.1)] == [1, 1, 2, 3, 10]


def test_the_hungriest_model_decides():
    assert trials_per_gpu([use(1, 0.1), use(9, 0.1), use(1, 0.45)], 64) == 2


def test_a_trial_that_does_not_fit_or_was_not_seen_computing_gets_a_whole_gpu_or_the_cores():
    assert trials_per_gpu([use(40, 1.0)], 64) == 1
    assert trials_per_gpu([use(0, 0.0)], 6) == 6


def test_every_model_is_probed_once_with_all_its_parts_training_on_its_largest_batch():
    found = heaviest(
        [config("resnet18", batch_size=8), config("googlenet"), config("resnet18", batch_size=64)]
    )
    assert {name: (c.strategy, c.batch_size) for name, c in found.items()} == {
        "googlenet": ("full_aux", 32),
        "resnet18": ("full", 64),
    }


def test_the_cores_bound_what_shares_a_gpu():
    def probe(config: TrialConfig) -> Use:
        return use(1, 0.05)

    shares = [
        measured_packing([config("resnet18")], probe, {"CPU": 8.0, "GPU": 2.0}, cpus).share
        for cpus in (1.0, 2.0)
    ]
    assert shares == [1 / 4, 1 / 2]


def test_auto_without_a_gpu_is_no_gpu(tmp_path):
    demands = prepared(tmp_path, write_space(tmp_path), gpus_per_trial="auto", cpus_per_trial=None)
    assert trial_resources(demands, {"CPU": 4.0}) == {"cpu": 1.0}
    assert trial_resources(demands, {"CPU": 8.0, "GPU": 2.0}) == {"cpu": 4.0, "gpu": 1.0}
    assert trial_resources(demands, {"CPU": 8.0, "GPU": 2.0}, 0.25) == {"cpu": 1.0, "gpu": 0.25}


def test_a_word_other_than_auto_is_refused():
    with pytest.raises(InvalidValue):
        search_config(space="resnet", gpus_per_trial=-1)
    said = CliRunner().invoke(cli.commands, ["run", "--space", "x", "--gpus-per-trial", "many"])
    assert (said.exit_code, "neither a number nor auto" in said.output) == (2, True)


def test_what_was_measured_stands_in_the_runs_record_and_is_said(tmp_path, monkeypatch):
    class Lines(Reporter):
        def line(self, text):
            said.append(text)

    said = []
    found = {"resnet18": use(5, 0.3), "mobilenet_v2": Use(10**9, 0.123, 24 * GB, mps=True)}
    monkeypatch.setattr(packing, "probe_on_ray", lambda context: lambda config: found[config.model])
    space = write_space(tmp_path, SPACE)
    demands = prepared(tmp_path, space, gpus_per_trial="auto", cpus_per_trial=None)
    assert pack_trials(demands, Lines(), {"CPU": 16.0, "GPU": 1.0}) == 1 / 3
    kept = demands.run.record["packing"]
    assert (kept["trials_per_gpu"], kept["margin"]) == (3, packing.MARGIN)
    assert kept["uses"] == {
        "resnet18": {"peak_bytes": 5 * GB, "busy": 0.3, "gpu_bytes": 24 * GB, "mps": False},
        "mobilenet_v2": {"peak_bytes": GB, "busy": 0.123, "gpu_bytes": 24 * GB, "mps": True},
    }
    assert "one trial of resnet18 takes 5.0 of 24.0 GB and keeps the GPU busy 30% of the time" in said
    assert said[-1] == "3 trials on a GPU, at the same time, by NVIDIA's MPS"


SPACE = '''"""Two models."""


def space(trial):
    trial.suggest_categorical("model", ["resnet18", "mobilenet_v2"])
    return {"strategy": "full", "batch_size": 8}
'''


def test_who_shares_a_gpu_without_mps_takes_turns_and_who_shares_it_with_nobody_needs_none():
    assert (
        Packing(2, {"resnet18": use(1, 0.5)})
        .lines()[-1]
        .endswith("taking turns, since NVIDIA's MPS does not run")
    )
    assert Packing(1, {"resnet18": use(20, 1)}).lines()[-1] == "1 trial on a GPU"


def test_mps_runs_where_its_daemon_has_its_pipe(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_MPS_PIPE_DIRECTORY", str(tmp_path))
    assert not mps_runs()
    (tmp_path / "control").touch()
    assert mps_runs()
    monkeypatch.delenv("CUDA_MPS_PIPE_DIRECTORY")
    monkeypatch.setattr(packing, "MPS_PIPES", str(tmp_path / "none"))
    assert not mps_runs()


@pytest.mark.ray
def test_packed_trials_share_fake_gpus_at_once(tmp_path, monkeypatch):
    # A worker that nobody needs is started for each of these cores otherwise.
    monkeypatch.setenv("RAY_prestart_worker_first_driver", "0")
    ray.init(
        address="local", num_cpus=8, num_gpus=2, include_dashboard=False, log_to_driver=False,
        configure_logging=False, _node_ip_address="127.0.0.1",
    )  # fmt: skip
    demands = prepared(
        tmp_path, write_space(tmp_path), gpus_per_trial="auto", cpus_per_trial=None, concurrent=None
    )
    seen = []

    def pack(have):
        seen.append((have["CPU"], have["GPU"]))
        time.sleep(0.2)
        return measured_packing([config("resnet18")], lambda config: use(7, 0.1), have, 1.0).share

    @ray.remote
    def devices() -> list[int]:
        time.sleep(1.0)
        return ray.get_gpu_ids()

    try:
        with Signals() as signals, ray_session(demands, signals, pack) as session:
            resources, slots = session.resources, session.slots()
            taken = session.packing_s
            trial = devices.options(num_cpus=resources["cpu"], num_gpus=resources["gpu"])
            used = ray.get([trial.remote() for _ in range(4)])
    finally:
        ray.shutdown()
    assert seen == [(8.0, 2.0)]
    assert taken >= 0.2
    assert (resources, slots) == ({"cpu": 2.0, "gpu": 0.5}, 4)
    assert sorted(int(device) for ids in used for device in ids) == [0, 0, 1, 1]
