"""Trainings of seeds on drawn pictures, and a Ray that does them at once."""

from pathlib import Path
from types import SimpleNamespace

from pictures import write_pictures

from trainables.config import TrialConfig
from trainables.data.cache import build_cache
from tuner.retraining.seeds import SeedJob


def job(folder: Path, parts: dict[str, int], **changes: object) -> SeedJob:
    rows = []
    for part, count in parts.items():
        paths = write_pictures(folder / "p" / part, {"blue": count, "green": count})
        rows += [(f"{part}/{path}", path.split("/")[0], part) for path in paths]
    names = [path for path, _, part in rows if part != "test"]
    test = [path for path, _, part in rows if part == "test"]
    cache = build_cache(folder / "p", names, names, 32, cache_dir=folder)
    test_cache = str(build_cache(folder / "p", test, test, 32, cache_dir=folder)) if test else None
    config = TrialConfig.resolve(
        {"model": "resnet18", "strategy": "feature_extractor", "batch_size": 8, "max_epochs": 2}
        | dict(changes.pop("config", {}))
    )
    (folder / "seeds").mkdir(parents=True)
    values = {
        "config": config,
        "classes": ("blue", "green"),
        "cache": str(cache),
        "rows": [row for row in rows if row[2] != "test"],
        "test_cache": test_cache,
        "test_paths": test,
        "image_size": 32,
        "weights": "none",
        "precision": "fp32",
        "run_seed": 0,
        "epochs": 2,
        "reduced_after": (),
        "late": 1,
        "folder": str(folder / "seeds"),
    }
    return SeedJob(**(values | changes))


class InstantRay:
    """Ray's calls that training seeds makes; every task is done when it is waited for, the latest first."""

    def __init__(self):
        self.running, self.tasks, self.most = [], [], 0

    def remote(self, **options):
        def make(work):
            def start(job, seed):
                self.tasks.append((work, job, seed))
                self.running.append(len(self.tasks) - 1)
                self.most = max(self.most, len(self.running))
                return self.running[-1]

            return SimpleNamespace(remote=start)

        return make

    def put(self, value):
        return value

    def wait(self, waiting, num_returns):
        assert waiting == self.running
        return [self.running.pop()], self.running

    def get(self, task):
        work, job, seed = self.tasks[task]
        return work(job, seed)
