import time

import pytest
import ray
from click.testing import CliRunner
from tiny import prepared, write_space

from trainables.config import TrialConfig
from trainables.errors import InvalidValue
from tuner.cli import app as cli
from tuner.cluster.session import ray_session, trial_resources
from tuner.tracking.reporter import Reporter
from tuner.tuning.config import SearchConfig
from tuner.tuning.packing import Use, gpu_share, heaviest, trials_per_gpu

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
        gpu_share([config("resnet18")], probe, {"CPU": 8.0, "GPU": 2.0}, cpus, Reporter())
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
        SearchConfig(space="resnet", gpus_per_trial=-1)
    said = CliRunner().invoke(cli.commands, ["run", "--space", "x", "--gpus-per-trial", "many"])
    assert (said.exit_code, "neither a number nor auto" in said.output) == (2, True)


@pytest.mark.ray
def test_packed_trials_share_fake_gpus_at_once(tmp_path):
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
        return gpu_share([config("resnet18")], lambda config: use(7, 0.1), have, 1.0, Reporter())

    @ray.remote
    def devices() -> list[int]:
        time.sleep(1.0)
        return ray.get_gpu_ids()

    try:
        with ray_session(demands, pack) as session:
            resources, slots = session.resources, session.slots()
            trial = devices.options(num_cpus=resources["cpu"], num_gpus=resources["gpu"])
            used = ray.get([trial.remote() for _ in range(4)])
    finally:
        ray.shutdown()
    assert seen == [(8.0, 2.0)]
    assert (resources, slots) == ({"cpu": 2.0, "gpu": 0.5}, 4)
    assert sorted(int(device) for ids in used for device in ids) == [0, 0, 1, 1]
