"""The page of a comparison: one self-contained HTML file, and the rows of its main table."""

import base64
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from trainables.errors import RunProblem
from tuner.console.reporter import Reporter, clock
from tuner.evaluation.comparison.by_image import by_image_section
from tuner.evaluation.comparison.collapse import collapse_sentence
from tuner.evaluation.comparison.conclusion import percent
from tuner.evaluation.comparison.folds import folds_section
from tuner.evaluation.comparison.hyperparameters import edge_warnings, savings
from tuner.evaluation.comparison.table import first_rows, main_rows, number
from tuner.evaluation.report.advice import advice_section
from tuner.evaluation.report.backbones import backbones_section
from tuner.evaluation.report.judged import judged_section
from tuner.evaluation.report.pairs import pairs_tables
from tuner.evaluation.report.published import background_of, background_section
from tuner.evaluation.report.uncertainty import sure_section
from tuner.html.escaping import for_html
from tuner.html.glossary import TERMS
from tuner.html.page import bullets, document, figure, section, table
from tuner.html.terms import explained
from tuner.runs.directory import Run, write_atomically

if TYPE_CHECKING:
    from tuner.advice.advise import Advice
    from tuner.evaluation.comparison.evidence import Comparison, Evidence
    from tuner.evaluation.plots import Picture
    from tuner.evaluation.plots.mistakes import Mistake
    from tuner.html.canvas import Names

__all__ = ["main_rows", "write_report"]

REMARK = (
    "Published figures are test accuracies of the study that this space repeats. Its split was by image, so"
    " photographs of one leaf stood on both sides: they are not comparable with scores on unseen groups."
)


def write_report(
    found: "Comparison", evidence: "Evidence", *, seed: int = 0, reporter: Reporter | None = None
) -> tuple[str, ...]:
    """Draw the figures, write `index.html`, and return sentences that belong among the warnings."""
    from tuner.evaluation.plots import draw_all
    from tuner.evaluation.plots.mistakes import confident_mistakes

    mistakes = confident_mistakes(evidence)
    reporter = reporter or Reporter()
    with reporter.waiting("what would help is measured"):
        advice = _advice(evidence.runs)
    with reporter.waiting("the report is drawn"):
        pictures, names, notes = draw_all(
            found.out / "figures", evidence, found.table, mistakes, seed, advice
        )
    edges = tuple(sentence for run in evidence.runs for sentence in edge_warnings(run))
    warnings = (*found.warnings, *edges)
    drawn: dict[str, list[Picture]] = {}
    for picture in pictures:
        drawn.setdefault(picture.group, []).append(picture)
    sections = [
        _summary(found, evidence, warnings),
        *advice_section(advice, drawn.get("advice", [])),
        _scores(found, evidence, drawn["scores"], names),
        *folds_section(found.folds),
        *sure_section(evidence),
        *background_section(found, evidence),
        *by_image_section(found),
        section("Between finalists", pairs_tables(found, evidence)),
        _search(evidence, drawn["search"]),
        *judged_section(evidence.runs),
        *backbones_section(evidence.runs, drawn.get("backbones", [])),
        _parameters(drawn.get("parameters", []), [*notes, *edges]),
        section("Most confident mistakes", _gallery(mistakes, evidence.classes)),
        *(_record(run) for run in evidence.runs),
    ]
    title = "Comparison of " + ", ".join(run.path.resolve().name for run in evidence.runs)
    page = document(title, explained(sections, TERMS))
    write_atomically(found.report, lambda file: file.write_text(page, encoding="utf-8"))
    return edges


def _advice(runs: Sequence[Run]) -> "list[Advice]":
    """What would help each of the runs; one in which nothing has ended is passed over."""
    from tuner.advice.advise import advise_run

    found = []
    for run in runs:
        with suppress(RunProblem):
            found.append(advise_run(run, quick=True))
    return found


def _summary(found: "Comparison", evidence: "Evidence", warnings: Sequence[str]) -> str:
    """Three plain sentences, the first table, what to know before believing it, and then the words of statistics."""
    header, rows = first_rows(found.table)
    rest = list(found.sentences)
    if found.folds is not None:
        rest.append(f"In {found.folds.count} folds over all images: {found.folds.sentences[0]}")
    parts = [f'<p class="conclusion">{for_html(sentence)}</p>' for sentence in found.plain]
    beside = [table(header, rows, f"Finalists on the test images, the {_first(evidence)} first", first=True)]
    if warnings:
        beside.append(f'<div class="warnings"><h3>Before you believe it</h3>{bullets(warnings)}</div>')
    parts.append(f'<div class="beside">{"".join(beside)}</div>')
    parts += ["<h3>The same in the words of statistics</h3>", bullets(rest)]
    parts.append(
        '<p class="note">Words with a dotted line are explained: point at one, or tap it. All of them are in the'
        ' <a href="#glossary">glossary</a>.</p>'
    )
    return section("Conclusion", *parts)


def _scores(found: "Comparison", evidence: "Evidence", pictures: "Sequence[Picture]", names: "Names") -> str:
    header, rows = main_rows(found.table)
    test = (
        "wild bootstrap over groups"
        if evidence.grouped
        else "exact McNemar for accuracy, else wild bootstrap"
    )
    unit = "groups within their class" if evidence.grouped else "images (Wilson)"
    last = (
        "; the ensemble, whose votes were chosen there, stands last" if evidence.finalists[-1].members else ""
    )
    note = (
        f"Ordered by {_order(found, evidence)}{last}; the test set only reports. 95 % intervals"
        f" of accuracy resample {unit}; the interval by image takes every photograph as independent. Verdicts"
        f" compare with the first on the same images, by {evidence.metric.title}, which was searched for, and by"
        f" accuracy ({test}, Holm-corrected). Log loss sees smaller differences: it counts how sure the answers are."
    )
    parts = [table(header, rows, "Finalists on the test set, all scores"), f'<p class="note">{note}</p>']
    if found.table["published_accuracy"].notna().any():
        parts.append(f'<p class="note">{for_html(background_of(evidence).remark or REMARK)}</p>')
    if names.key:
        known = "; ".join(f"{drawn} is {name}" for drawn, name in names.key.items())
        sentence = f"No installed font can draw some class names, so the figures number them: {known}."
        parts.append(f'<p class="note">{for_html(sentence)}</p>')
    parts += [figure(picture) for picture in pictures]
    parts.append(table(*_class_rows(found, evidence), "Scores of each class"))
    return section("Test scores", *parts)


def _first(evidence: "Evidence") -> str:
    """Which finalist is the first."""
    return "best on validation" if evidence.chosen_by is None else "chosen one"


def _order(found: "Comparison", evidence: "Evidence") -> str:
    """What finalists are ordered by."""
    if evidence.chosen_by is not None:
        return (
            f"the choice of the {evidence.chosen_by:,} images that judged the search, which is the first; the others"
            " by what the validation images say of them"
        )
    if "estimate" in found.table and found.table["estimate"].notna().any():
        return "expected, the validation loss without the luck of the images that chose; beside it the loss as measured"
    return "validation, on which the first was chosen"


def _class_rows(found: "Comparison", evidence: "Evidence") -> tuple[list[str], list[list[str]]]:
    header = ["finalist", "class", "images", "precision", "recall", "F1", "AUC"]
    rows = []
    for row in found.table.to_dict("records"):
        for code, name in enumerate(evidence.classes):
            cells = [row["label"], name, str(int((evidence.labels == code).sum()))]
            rows.append(cells + [number(row[f"{m}[{name}]"]) for m in ("precision", "recall", "f1", "auc")])
    return header, rows


def _search(evidence: "Evidence", pictures: "Sequence[Picture]") -> str:
    collapsed = collapse_sentence(evidence.finalists)
    said = [] if collapsed is None else [f"<p>{for_html(collapsed)}</p>"]
    return section("The search", *said, *map(figure, pictures), *(_saved(run) for run in evidence.runs))


def _saved(run: Run) -> str:
    found = savings(run)
    saved = found.by_scheduler + found.by_patience + found.by_failure
    share = saved / found.full if found.full else 0.0
    cut = f" {found.cut_off:,} were cut off by the time budget or by hand." if found.cut_off else ""
    return (
        f"<p>{for_html(run.path.resolve().name)}: {found.spent:,} of {found.full:,} epochs were trained;"
        f" stopping early saved {percent(share)} ({found.by_scheduler:,} epochs by the scheduler,"
        f" {found.by_patience:,} by patience, {found.by_failure:,} by failures),"
        f" about {clock(3600 * found.hours)} of training.{cut}</p>"
    )


def _parameters(pictures: "Sequence[Picture]", notes: Sequence[str]) -> str:
    sentences = [f"<p>{for_html(note)}.</p>" for note in notes]
    return section("Hyperparameters", *sentences, *map(figure, pictures))


def _gallery(mistakes: "Sequence[Mistake]", classes: Sequence[str]) -> str:
    if not mistakes:
        return "<p>The chosen model makes no mistake on the test images.</p>"
    cards = []
    for one in mistakes:
        words = (
            f"{classes[one.true_class]}, taken for {classes[one.predicted]} ({100 * one.confidence:.0f} %)"
        )
        picture = '<div class="gone">image not found</div>'
        if one.jpeg is not None:
            data = base64.b64encode(one.jpeg).decode("ascii")
            picture = f'<img alt="{for_html(one.path)}" src="data:image/jpeg;base64,{data}">'
        caption = f"{for_html(words)}<br><small>{for_html(one.path)}</small>"
        cards.append(f"<figure>{picture}<figcaption>{caption}</figcaption></figure>")
    return f'<div class="gallery">{"".join(cards)}</div>'


def _record(run: Run) -> str:
    split = run.split()
    sides = split.groupby("group")["split"].nunique()
    shared = int((sides > 1).sum())
    leak = f"{shared} groups stand on two sides of the split" if shared else "no group stands on two sides"
    counts = {
        (str(label), str(part)): (len(some), some["group"].nunique())
        for (label, part), some in split.groupby(["label", "split"])
    }
    rows = []
    for label in run.record["data"]["classes"]:
        cells = [str(label)]
        for part in ("train", "val", "test"):
            images, groups = counts.get((label, part), (0, 0))
            cells.append(f"{images:,} in {groups:,}")
        rows.append(cells)
    header = ["class", "training: images in groups", "validation", "test"]
    settings = [[name, value] for name, value in _flat(run.record)]
    return section(
        f"Record of {run.path.resolve().name}",
        table(header, rows, "Data and split"),
        f'<p class="note">Leak check: {leak}, of {len(sides):,} groups in all.{_near_training(run.record["data"])}</p>',
        table(["setting", "value"], settings, "Settings, versions, hardware, seeds"),
    )


def _near_training(data: Mapping[str, Any]) -> str:
    """How many test images look like one in training, by each means that the search had."""
    found = [data[key] for key in ("near_copies", "groups_from_similar") if data.get(key)]
    return "".join(
        f" By {for_html(one['features'])}, {one['test_images_near_training']} of {one['test_images']} test images look"
        " like one in training."
        for one in found
    )


def _flat(record: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for name, value in record.items():
        if isinstance(value, Mapping) and value:
            rows += _flat(value, f"{prefix}{name}.")
        elif isinstance(value, list):
            rows.append((prefix + str(name), ", ".join(map(str, value)) or "none"))
        else:
            rows.append((prefix + str(name), "none" if value is None else str(value)))
    return rows
