"""MODEL_CARD.md, and the sentences that a person reads when a retraining ends."""

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from trainables.data.deep import in_words
from trainables.data.preprocessing import cache_side, square_in_words
from trainables.wording import some
from tuner.evaluation.report.uncertainty import percent, points, sure_sentences
from tuner.html.escaping import for_markdown, markdown_code
from tuner.release.bundle import PREDICT, REQUIREMENTS
from tuner.release.card_images import about_images
from tuner.release.card_uncertainty import how_sure
from tuner.release.folder import LABELS, ONNX, PT2, WEIGHTS
from tuner.release.ood import strangers_section
from tuner.runs.best_trial import is_estimate
from tuner.statistics.scores import one_answer

if TYPE_CHECKING:
    from tuner.release.job import ModelPlan

__all__ = ["card", "sentences"]


def sentences(metrics: Mapping[str, Any]) -> list[str]:
    """What was exported, its scores, and how sure its answers are, in words; the card says more."""
    lines = [f"exported: {metrics['exported']}", *score_sentences(metrics)]
    running = [_running(metrics["running_cost"])] if metrics["running_cost"] else []
    return [*lines, *sure_sentences(metrics, brief=True), *running]


def _running(cost: Mapping[str, Any]) -> str:
    """What the exported graph takes to run, in words."""
    gpu = cost["gpu_images_per_second"]
    batches = "" if gpu is None else f", {gpu:.0f} images a second in batches on the GPU"
    return (
        f"one image takes {cost['milliseconds']:.1f} ms on one thread ({cost['processor']}, ONNX Runtime){batches};"
        f" {cost['megabytes']:.1f} MB, {cost['parameters'] / 1e6:.1f} million parameters"
    )


def score_sentences(metrics: Mapping[str, Any]) -> list[str]:
    """The scores on the test images in words."""
    test = metrics["test"]
    if test is None:
        return [f"no score: {metrics['why_no_test']}"]
    exported, over = test["exported"], test["over_seeds"]["accuracy"]
    unit = f"{test['images']} test images" + (f" of {test['groups']} groups" if metrics["grouped"] else "")
    lines = _one_answer(exported)
    lines.append(
        f"test accuracy of the exported model {percent(exported['accuracy'])}"
        f" (95 % interval {percent(exported['accuracy_95'][0])} to {percent(exported['accuracy_95'][1])},"
        f" {unit}), macro-F1 {exported['macro_f1']:.3f}{_span(exported['macro_f1_95'])},"
        f" loss {exported['loss']:.4f}"
    )
    if "why_no_interval" in exported:
        lines.append(f"no interval of every score: {exported['why_no_interval']}")
    spread = over["standard_deviation"]
    deviation = f", standard deviation {points(spread)}" if spread is not None else ""
    lines.append(f"seeds: {over['n']}, mean test accuracy {percent(over['mean'])}{deviation}")
    return lines


def _one_answer(exported: Mapping[str, Any]) -> list[str]:
    """The warning that belongs before the score of a model that takes every image for one class."""
    answer = one_answer(exported["confusion"])
    if answer is None:
        return []
    name = list(exported["by_class"])[answer]
    return [
        f"the exported model answers the same class, {name!r}, for every test image: it tells no classes apart"
    ]


def card(plan: "ModelPlan", metrics: Mapping[str, Any]) -> str:
    """The text of MODEL_CARD.md."""
    best, images = plan.best, plan.images
    sections = [
        f"# {_what(plan)} for {len(images.classes)} classes",
        f"Made by tuner on {time.strftime('%Y-%m-%d')} from trial {for_markdown(best.trial)}.",
        "## Intended use\n\n" + _use(plan),
        "## Data\n\n" + _data(plan),
        "## Training\n\n" + _training(plan, metrics),
        "## Scores\n\n" + _scores(metrics),
        "## How sure\n\n" + how_sure(metrics),
        "## Pictures unlike the training images (out-of-distribution)\n\n"
        + strangers_section(metrics["strangers"]),
        *_running_section(metrics["running_cost"]),
        "## Limits\n\n" + _limits(plan, metrics),
        "## Files\n\n" + _files(plan.formats),
    ]
    return "\n\n".join(sections) + "\n"


def _running_section(cost: Mapping[str, Any] | None) -> list[str]:
    """What running it takes; nothing where the file that would be timed was not asked for."""
    return [] if cost is None else ["## Running it\n\n" + f"- {for_markdown(_running(cost))}"]


def _what(plan: "ModelPlan") -> str:
    if len(plan.members) == 1:
        return for_markdown(plan.best.config.model)
    return f"An ensemble of {len(plan.members)} models"


def _use(plan: "ModelPlan") -> str:
    names = some(map(markdown_code, plan.images.classes))
    return (
        f"Tells which of {names} a photograph shows, for photographs like those it was trained on. It always"
        " names one of these classes, also for a picture of something else. Not for decisions that nobody checks."
    )


def _data(plan: "ModelPlan") -> str:
    images = plan.images
    lines = ["| class | images |", "|---|---|"]
    lines += [f"| {for_markdown(name)} | {count} |" for name, count in images.data.images.items()]
    counts = ", ".join(f"{part} {count}" for part, count in images.source.images.items())
    how = "Whole groups stand on one side." if images.grouped else "By image, without groups."
    lines += [
        "",
        f"Fingerprint {images.data.fingerprint}. Split ({for_markdown(images.words)}): {counts}. {how}",
    ]
    if images.data.scale:
        told = "; ".join(in_words(kind, levels) for kind, levels in images.data.scale.items())
        lines += ["", f"Pictures of more than 8 bits a sample are read at one scale: {told}."]
    if images.data.sample:
        lines += ["", "**These are pictures drawn by tuner, not photographs.**"]
    return "\n".join(lines)


def _training(plan: "ModelPlan", metrics: Mapping[str, Any]) -> str:
    best = plan.best
    start = "random weights" if best.weights == "none" else f"weights {markdown_code(best.weights)}"
    configs = [member.job.config for member in plan.members]
    trained = ", ".join(f"{for_markdown(one.model)} (strategy {one.strategy})" for one in configs)
    seen = square_in_words(best.image_size, cache_side(best.image_size, best.fit), best.fit)
    lines = [
        f"{trained} from {start}, {best.image_size} px,"
        f" trained on {' + '.join(metrics['trained_on'])} ({metrics['trained_images']} images).",
        f"Pictures become squares by {seen}.",
        f"Epochs: {metrics['epochs_rule']}.",
        f"Seeds {', '.join(map(str, metrics['seeds']))}. Exported: {metrics['exported']}.",
        "Every setting is in `best.yaml`, every epoch in `training.csv`.",
    ]
    return "\n".join(lines)


def _scores(metrics: Mapping[str, Any]) -> str:
    expected = metrics["expected"]
    lines = [f"- {for_markdown(line)}" for line in score_sentences(metrics)]
    error = expected["standard_error"]
    spread = expected["spread"] if error is None else f"± {error:.4f}, {expected['spread']}"
    where, luck = "on validation", "; the best of many tries, so a little flattering"
    if is_estimate(expected["spread"]):
        where, luck = "expected on new images", ""
    lines.append(f"- in the search, {where}: {expected['metric']} {expected['value']:.4f} ({spread}){luck}")
    if metrics["test"] is not None:
        lines += ["", "| class | precision | recall | F1 |", "|---|---|---|---|"]
        for name, row in metrics["test"]["exported"]["by_class"].items():
            lines.append(
                f"| {for_markdown(name)} | {row['precision']:.3f} | {row['recall']:.3f} | {row['f1']:.3f} |"
            )
    return "\n".join(lines)


def _limits(plan: "ModelPlan", metrics: Mapping[str, Any]) -> str:
    lines = about_images(plan.images, tested=metrics["test"] is not None)
    lines += [
        "- Scores hold for images that are taken as these were; other cameras, places or seasons may differ."
    ]
    if not metrics["grouped"]:
        lines.append("- Split by image: if several photographs show one object, the scores are too good.")
    if "test" in metrics["trained_on"]:
        lines.append("- Trained on the test images too: nothing is known about this model's own score.")
    elif plan.kept:
        lines.append(
            "- Released from a search without training: it saw the training part only, and it was chosen on the"
            " validation images, whose score flatters it. `tuner retrain best.yaml` trains it on these as well."
        )
        if metrics["test"] is None:
            lines.append("- The test images were not read, so this model's own score is not known.")
    if not plan.images.same_split:
        lines.append("- The configuration was found on other images or another split of them.")
    if min(plan.images.data.images.values()) < 50:
        rare = min(plan.images.data.images, key=lambda name: plan.images.data.images[name])
        lines.append(f"- Class {for_markdown(rare)} has only {plan.images.data.images[rare]} images.")
    return "\n".join(lines)


def _files(formats: Sequence[str]) -> str:
    graphs = {"onnx": f"`{ONNX}`", "pt2": f"`{PT2}` (torch.export)"}
    program = [
        f"- `{PREDICT}`: after `pip install -r {REQUIREMENTS}` (numpy, onnxruntime, pillow) `python {PREDICT}"
        " photo.jpg` answers as `tuner predict` does, without tuner"
    ]
    return "\n".join(
        [
            f"- {', '.join(graphs[name] for name in formats)}: uint8 RGB [batch, size, size, 3] `images` in,"
            " `probabilities` out (of torch.export a mapping of names); normalisation and temperature are inside, class"
            " names, sizes, scores of the sets and costs in the metadata",
            f"- `{WEIGHTS}`: the weights, without the temperature (of an ensemble each member's number stands before"
            f" their names); `{LABELS}`: class names and preprocessing",
            *(program if "onnx" in formats else []),
            "- `metrics.json`, `training.csv`; if the test images were answered `probabilities.parquet`; `figures/`, if"
            " there is a curve or a table to draw",
            "- `best.yaml`, `best.split.parquet`: train it again with `tuner retrain best.yaml`",
            "- `manifest.json`: size and SHA-256 of every file",
        ]
    )


def _span(ends: Sequence[float] | None) -> str:
    return "" if ends is None else f" (95 % interval {ends[0]:.3f} to {ends[1]:.3f})"
