"""Which pictures a comparison has, in their order, with the words beneath them."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tuner.evaluation.comparison.hyperparameters import Importances, importances, parameter_frame
from tuner.evaluation.plots import backbones, images, parameters, scores, search, tradeoffs
from tuner.evaluation.plots import mistakes as wrong
from tuner.evaluation.plots.advice import gains
from tuner.html.canvas import COLOURS, Names, Picture, paint
from tuner.runs.directory import Run

if TYPE_CHECKING:
    import pandas as pd

    from tuner.advice.advise import Advice
    from tuner.evaluation.comparison.evidence import Evidence
    from tuner.html.canvas import Drawing


class _Album:
    def __init__(self, folder: Path, families: Sequence[str]) -> None:
        self.folder, self.families = folder, families
        self.pictures: list[Picture] = []

    def add(self, name: str, group: str, title: str, caption: str, drawn: "Drawing") -> None:
        size, draw = drawn
        files = paint(self.folder, name, size, draw, self.families)
        self.pictures.append(Picture(name, group, title, caption, *files))


def draw_all(
    folder: Path,
    evidence: "Evidence",
    table: "pd.DataFrame",
    mistakes: Sequence[wrong.Mistake],
    seed: int = 0,
    advice: "Sequence[Advice]" = (),
) -> tuple[list[Picture], Names, tuple[str, ...]]:
    """Every picture, the class names as drawn, and sentences about pictures that could not be made."""
    folder.mkdir(parents=True, exist_ok=True)
    names = Names(evidence.classes)
    album = _Album(folder, names.families)
    _add_advice(album, advice)
    _add_scores(album, evidence, table, names)
    images.add_images(album.add, evidence, mistakes, names, seed)
    if mistakes:
        caption = "The chosen model's wrong answers on the test images, the surest first."
        album.add(
            "mistakes", "mistakes", "Most confident mistakes", caption, wrong.gallery(mistakes, names.drawn)
        )
    notes = []
    for number, run in enumerate(evidence.runs, start=1):
        ending = f"-{number}" if len(evidence.runs) > 1 else ""
        notes += _add_search(album, run, ending, seed)
    return album.pictures, names, tuple(notes)


def _add_advice(album: _Album, advice: "Sequence[Advice]") -> None:
    for number, one in enumerate(advice, start=1):
        ending = f"-{number}" if len(advice) > 1 else ""
        drawn = gains(one)
        if drawn is not None:
            caption = "Expected gain with its 90 % interval; blue where the interval is above zero."
            album.add(f"advice{ending}", "advice", "What each would gain", caption, drawn)


def _add_groups(album: _Album, evidence: "Evidence", table: "pd.DataFrame") -> None:
    """The groups of the study side by side, where there are several."""
    groups = scores.groups_of(evidence.finalists)
    if len(groups) < 2:
        return
    series = len({scores.series_name(one) for one in evidence.finalists})
    shown = f" The best {len(COLOURS)} of {series} are shown." if series > len(COLOURS) else ""
    caption = f"For each strategy the finalist that is best on validation, with its 95 % interval.{shown}"
    if table["published_accuracy"].notna().any():
        caption += " Diamonds: published figures, with a line where they disagree."
    if (table["seeds"] > 1).any():
        caption += " Brackets: mean and standard deviation over other seeds of the same configuration."
    title = ", ".join(scores.GROUPS[group] for group in groups).capitalize()
    album.add("groups", "scores", title, caption, scores.side_by_side(evidence.finalists, table))


def _add_scores(album: _Album, evidence: "Evidence", table: "pd.DataFrame", names: Names) -> None:
    left_out = len(table) - scores.SHOWN
    more = (
        f" The best {scores.SHOWN} on validation; {left_out} more are in the table." if left_out > 0 else ""
    )
    unit = "groups of photographs" if evidence.grouped else "images"
    caption = f"Intervals of 95 % over {unit}; the dotted line is the first one.{more}"
    album.add("accuracy", "scores", "Test accuracy by combination", caption, scores.accuracies(table))
    _add_groups(album, evidence, table)
    if "milliseconds" in table:
        caption = (
            "One image at a time on one thread, in fp32 by PyTorch; ONNX Runtime, by which tuner predict answers, is"
            " mostly quicker. On the line: the finalists that no other beats in both; the differences in score may be"
            " ties."
        )
        drawn = tradeoffs.front(table, evidence.metric)
        album.add("tradeoffs", "scores", "What it costs to run", caption, drawn)
    caption = (
        "Test images by true class (rows) and predicted class (columns); darker is a larger share of a row."
    )
    if names.shared:
        caption += f" Names without their common beginning {names.shared!r}."
    album.add("confusion", "scores", "Confusion matrices", caption, scores.confusions(table, names.drawn))
    caption = (
        "On the dotted line a model is right as often as it says. 15 bins of equal width; a larger dot holds"
        " more images."
    )
    album.add("calibration", "scores", "Calibration", caption, scores.calibration(evidence, table))
    caption = (
        "Solid: validation. Dashed: training, whose loss is the trial's own criterion. Mark: the epoch kept."
    )
    drawn = search.learning_curves(evidence.finalists)
    album.add("learning-curves", "search", "Learning curves of the best finalists", caption, drawn)


def _add_search(album: _Album, run: Run, ending: str, seed: int) -> list[str]:
    name, metric = (f" of {run.path.resolve().name}" if ending else ""), str(run.record["metric"])
    caption = (
        "Every trial at the time it ended, with the best value it reached; failed ones stand at the worst. The line is"
        " the best epoch of all trials so far."
    )
    album.add(f"search{ending}", "search", f"The search over time{name}", caption, search.over_time(run))
    if rungs := search.rung_survival(run):
        caption = (
            "Of each strategy's trials, how many went on beyond each rung of the scheduler; those that were cut off"
            " before it are not counted."
        )
        album.add(f"rungs{ending}", "search", f"Rung survival by strategy{name}", caption, rungs)
    if document := run.probe():
        caption = "The search may fine-tune the blue ones. Intervals of 95 % over groups of images."
        album.add(
            f"backbones{ending}", "backbones", f"Probed backbones{name}", caption, backbones.probed(document)
        )
    found, frame = importances(run, seed), parameter_frame(run)
    notes = [f"{run.path.resolve().name}: {found.problem}"] if found.problem else []
    if found.values:
        caption = f"fANOVA over {found.trials} completed trials, for parameters that all of them have."
        drawn = parameters.importance_bars(found)
        album.add(
            f"importances{ending}", "parameters", f"Importance of the hyperparameters{name}", caption, drawn
        )
    order = _order(found, frame)
    if len(order) > 0:
        caption = f"Best {metric} of every trial against each of its settings."
        drawn = parameters.slices(frame, metric, order)
        album.add(f"slices{ending}", "parameters", f"Slices{name}", caption, drawn)
    if len(order) > 1:
        caption = (
            "One line a trial; the good ones stand out, and a line breaks where a parameter has no meaning."
        )
        drawn = parameters.parallel(frame, metric, order)
        album.add(f"parallel{ending}", "parameters", f"Parallel coordinates{name}", caption, drawn)
    return notes


def _order(found: Importances, frame: "pd.DataFrame") -> list[str]:
    varied = [name for name in frame.columns if name not in ("value", "status")]
    known = [name for name in found.values if name in varied]
    return known + [name for name in varied if name not in known]
