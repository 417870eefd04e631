"""The backbones of a search inside a fold, chosen by a probe that has not seen that fold.

The run's own probe chose with the images of all folds. Were its choice kept, the images that judge a fold would have
had a part in choosing what answers them. So the same candidates are probed on the other folds' images. What a candidate
showed is kept in the folder of caches, so a probe that is interrupted goes on where it was.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainables.errors import WeightsUnavailable
from trainables.models.selection import DOMINATED, WITHOUT, with_weights
from tuner.console.reporter import Reporter
from tuner.dataset.config import DataConfig
from tuner.probing.ranking import Probe, SplitImages, probe_images
from tuner.runs.directory import Run, fit_of
from tuner.runs.weights_files import fingerprints
from tuner.tuning.schedule_length import plan_of

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["candidates_of", "narrowed", "probe_inside"]


def candidates_of(probe: Mapping[str, Any]) -> list[str]:
    """The models among which the probe of that document chose, sorted: all that had weights.

    One that could not be probed is among them, since that may depend on the images; one that was not looked at, since
    published results have a better one, is not.
    """
    failed = [
        row["model"]
        for row in probe["passed_over"]
        if row["reason"] != WITHOUT and not row["reason"].startswith(DOMINATED)
    ]
    return sorted({*(row["model"] for row in probe["backbones"]), *failed})


def probe_inside(run: Run, outer: Mapping[str, Any], split: "pd.DataFrame", reporter: Reporter) -> Probe:
    """A probe of the candidates of `outer`, the document of the probe of `run`, on the images of `split`.

    The test images of `split`, the fold that is held back, are not read. Raises WeightsUnavailable if weights are gone
    that the run's probe had.
    """
    record = run.record
    weights = str(record["weights"])
    named = weights in ("imagenet", "none")
    config = DataConfig(
        folder=Path(record["data"]["folder"]),
        image_size=record["image_size"],
        fit=fit_of(record),
        weights=weights if named else "auto",
        weights_dir=None if named else Path(weights),
        precision=record["precision"],
        seed=record["seed"],
        feature_cache_bytes=record["settings"]["feature_cache_bytes"],
    )
    origins = with_weights(candidates_of(outer), config.weights, config.weights_dir, config.side())
    if without := [name for name, reason in origins.passed_over.items() if reason == WITHOUT]:
        raise WeightsUnavailable(
            f"{run.path}: a search inside a fold probes what the run probed, but weights are not here any more:"
            f" {', '.join(without)}; put them back, or fetch them with: tuner weights --fetch"
        )
    classes = tuple(map(str, record["data"]["classes"]))
    images = SplitImages(Path(record["data"]["folder"]), classes, split, run.images())
    settings = record["settings"]
    cores = int(settings["cpus_per_trial"] or 1)
    plan = plan_of(int((split["split"] == "train").sum()), settings["time_budget_s"], cores)
    probe = probe_images(config, images, origins, reporter, plan=plan)
    reporter.line(f"to fine-tune, by the probe inside this fold: {', '.join(probe.fine_tuned)}")
    return probe


def narrowed(record: Mapping[str, Any], outer: Mapping[str, Any], probe: Probe) -> dict[str, Any]:
    """The `record` of a search inside a fold with the models that its own `probe` advises.

    Its time budget is that of the run, less what this probe took.
    """
    chosen, settings = probe.fine_tuned, dict(record["settings"])
    settings["allowed"] = {**settings["allowed"], "model": list(chosen)}
    if settings["time_budget_s"] is not None:
        settings["time_budget_s"] = max(1.0, settings["time_budget_s"] - probe.seconds)
    return {**record, "weights_files": fingerprints(str(record["weights"]), chosen), "settings": settings}
