"""The commands that turn a search into a model and use it: export, retrain, predict."""

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from tuner.cli import as_json as documents
from tuner.cli.as_json import json_option, print_json
from tuner.cli.parameters import FOLDER, Number, seed_options
from tuner.console.terminal import say

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from click.decorators import FC

    from tuner.console.reporter import Reporter
    from tuner.release.predict import Model
    from tuner.release.predictions import Prediction
    from tuner.release.rule import Rule

__all__ = ["export", "predict", "release", "retrain"]


@click.command()
@click.argument("run_dir", metavar="RUN", type=FOLDER)
@click.option("--trial", metavar="ID", help="Export this trial. [default: the best]")
@click.option("--out", type=FOLDER, help="File to write. [default: best.yaml]")
@click.option(
    "--int8", is_flag=True, help="RUN is a model folder: add a smaller model with eight-bit numbers to it."
)
@click.option(
    "--data", type=FOLDER, help="With --int8: the image folder. [default: the folder of the search]"
)
def export(run_dir: Path, trial: str | None, out: Path | None, int8: bool, data: Path | None) -> None:
    """Write the best configuration of a search into a file that `tuner retrain` reads."""
    if int8:
        _export_int8(run_dir, trial, out, data)
        return
    if data is not None:
        raise click.UsageError("--data belongs to --int8; best.yaml names the images of the search")
    from tuner.console.reporter import Reporter

    out = out or Path("best.yaml")
    with Reporter(Console(highlight=False)).starting():
        from tuner.release.export import export as write
        from tuner.runs.best_trial import value_words

        best = write(run_dir, trial, out)
    expected = best.expected
    say(f"{best.trial}: {value_words(expected)}, at epoch {expected.epoch}")
    error = "" if expected.standard_error is None else f"± {expected.standard_error:.4f}, "
    say(f"its spread: {error}{expected.spread}")
    say(f"wrote {out} and {out.with_name(best.split.file)}")
    if best.ensemble:
        count = len(best.ensemble)
        say(
            f"by the images that judged, the average of {count} trials may be better than {best.trial} alone;"
            f" tuner advise {run_dir} says by how much, and how sure that is. It takes {count} predictions an image"
        )
    other = f" --ensemble for the average, or without --ensemble for {best.trial} alone"
    say(f"next: tuner retrain {out}{other if best.ensemble else ''}")


def _export_int8(folder: Path, trial: str | None, out: Path | None, data: Path | None) -> None:
    from tuner.console.reporter import Reporter
    from tuner.release.int8 import quantise, sentences

    if trial is not None or out is not None:
        raise click.UsageError(
            "--int8 writes into a model folder; --trial and --out belong to an export of a run"
        )
    done = quantise(folder, data, Reporter(Console(highlight=False)))
    for line in sentences(done):
        say(line)
    say(f"wrote {done.path} and {done.path.with_name('int8.json')}")
    say(f"next: tuner predict {done.path} IMAGES...")


def _formats_option(default: str) -> "Callable[[FC], FC]":
    return click.option(
        "--formats",
        metavar="LIST",
        default=default,
        show_default=True,
        callback=lambda context, option, value: tuple(filter(None, map(str.strip, value.split(",")))),
        help="Formats of the exported network, with commas between: onnx, which `predict` needs, and pt2"
        " (torch.export).",
    )


@click.command()
@click.argument("run_dir", metavar="RUN", type=FOLDER)
@click.option(
    "--trial", metavar="ID", help="Release this trial. [default: the best trial whose weights are kept]"
)
@click.option(
    "--test", is_flag=True, help="Also score the model on the test images. Without --test they are not read."
)
@click.option("--data", type=FOLDER, help="The image folder. [default: the folder of the search]")
@click.option(
    "--costs",
    type=FOLDER,
    help="CSV with columns true, predicted and cost: `predict` then names the class of least expected cost.",
)
@_formats_option("onnx")
@click.option("--out", type=FOLDER, help="Model folder to write. [default: RUN/model]")
def release(run_dir: Path, **options: Any) -> None:
    """Write a model folder from the weights that a search has kept. Trains nothing; works at any moment of a search."""
    from tuner.console.reporter import Reporter

    reporter = Reporter(Console(highlight=False))
    with reporter.starting():
        from tuner.release.from_run import ReleaseConfig, release_model

    done = release_model(ReleaseConfig(run=run_dir, **options), reporter)
    for line in done.sentences:
        say(line)
    say(f"the model is in {done.folder}; its MODEL_CARD.md says more")
    say(f"next: tuner predict {done.folder} IMAGES...")


@click.command()
@click.argument("best", metavar="BEST_YAML", type=FOLDER)
@click.option(
    "--data", type=FOLDER, help="Image folder, if not that of the search. Other images are split anew."
)
@click.option("--labels", type=FOLDER, help="CSV with columns path and label. [default: that of the search]")
@click.option("--groups", type=FOLDER, help="For a new split: CSV with columns path and group.")
@click.option(
    "--group-regex",
    help="For a new split: regular expression; what its first parentheses match names the image's group.",
)
@click.option(
    "--seeds",
    type=Number("seeds"),
    help="Train this many models, each from its own seed. [default: 5, for an ensemble 1]",
)
@click.option(
    "--epochs",
    type=Number("epochs"),
    help="Epochs of each training. [default: those of the best epoch in the search]",
)
@click.option("--final", is_flag=True, help="Train on the test images, too. Then there is no test score.")
@click.option(
    "--average",
    is_flag=True,
    help="Also average the weights of the models, and export the average if it is better on the validation"
    " images, which then do not train.",
)
@click.option(
    "--ensemble", is_flag=True, help="Train and export the ensemble of best.yaml instead of the single model."
)
@click.option(
    "--no-calibration",
    "calibration",
    is_flag=True,
    default=True,
    flag_value=False,
    help="Leave out the temperature and the sets; saves one training.",
)
@click.option(
    "--costs",
    type=FOLDER,
    help="CSV with columns true, predicted and cost: `predict` then names the class of least expected cost.",
)
@_formats_option("onnx,pt2")
@click.option("--out", type=FOLDER, help="Model folder to write. [default: model, beside best.yaml]")
@seed_options
def retrain(best: Path, **options: Any) -> None:
    """Train the best configuration again, score it on the test images and write a model folder."""
    from tuner.console.reporter import Reporter

    reporter = Reporter(Console(highlight=False))
    with reporter.starting():
        from tuner.release.job import RetrainConfig
        from tuner.release.retrain import retrain as train

    done = train(RetrainConfig(best=best, **options), reporter)
    for line in done.sentences:
        say(line)
    say(f"the model is in {done.folder}; its MODEL_CARD.md says more")
    say(f"next: tuner predict {done.folder} IMAGES...")


@click.command()
@click.argument("model_dir", metavar="MODEL_DIR", type=FOLDER)
@click.argument("images", nargs=-1, required=True)
@click.option(
    "--out",
    type=FOLDER,
    help="Write the answers into this .parquet, .csv or .json file. [default: the terminal]",
)
@click.option(
    "--alpha",
    type=Number("alpha"),
    help="Also give a set of classes for each image. The set misses the true class in at most this share of"
    " the images, such as 0.1.",
)
@click.option(
    "--min-confidence",
    type=Number("min_confidence"),
    help="Answer unsure if the most probable class has a lower probability than this.",
)
@click.option(
    "--explain",
    is_flag=True,
    help="Also draw a heat map on each image: the places that the answer rests on (Grad-CAM).",
)
@click.option(
    "--explain-dir",
    type=FOLDER,
    default=Path("explained"),
    show_default=True,
    help="Folder for the pictures of --explain.",
)
@json_option
def predict(
    model_dir: Path,
    images: tuple[str, ...],
    out: Path | None,
    alpha: float | None,
    min_confidence: float | None,
    explain: bool,
    explain_dir: Path,
    as_json: bool,
) -> None:
    """Name the class of each image. IMAGES: files, folders or patterns. MODEL_DIR may also be a single model.onnx."""
    from tuner.console.reporter import Reporter
    from tuner.release.predict import find_images, load_model
    from tuner.release.predictions import check_suffix
    from tuner.release.rule import make_rule
    from tuner.runs.paths import try_folder, try_target

    if out is not None:
        check_suffix(out)
        try_target(out, "--out", parents=False)
    if explain:
        try_folder(explain_dir, "--explain-dir")
    found = find_images(images)
    model = load_model(model_dir)
    if explain:
        from tuner.release.explain import require_explain

        require_explain(model_dir, model.spec)
    reporter = Reporter(Console(highlight=False, stderr=True))
    rule = make_rule(model.spec, alpha, min_confidence)
    answers = _answer(model, found, rule, out, reporter, printed=out is None and not as_json)
    if as_json:
        print_json(documents.predictions(answers, model.spec.classes))
    failed = [one for one in answers if one.probabilities is None]
    if out is not None:
        line = f"{len(answers) - len(failed)} images answered, {len(failed)} could not be read: {out}"
        say(line, err=as_json)
    if explain:
        from tuner.release.explain import explain as draw

        with reporter.waiting("it is drawn where the model looked"):
            drawn = draw(model_dir, model.spec, answers, explain_dir)
        say(f"{len(drawn)} pictures in {explain_dir}", err=as_json)
    sys.exit(1 if len(failed) == len(answers) else 0)


def _answer(
    model: "Model",
    images: "Sequence[Path]",
    rule: "Rule",
    out: Path | None,
    reporter: "Reporter",
    *,
    printed: bool,
) -> "list[Prediction]":
    """The answers to all `images`, each batch written to `out` or `printed` as soon as it is there."""
    from tuner.release.predict import answer, predictions
    from tuner.release.predictions import writing

    for warning in rule.warnings:
        reporter.warn(warning)
    if rule.remark is not None:
        reporter.line(rule.remark)
    answers: list[Prediction] = []
    classes, sets, strange = model.spec.classes, rule.limits is not None, model.spec.strange_at_95 is not None
    with (
        contextlib.nullcontext()
        if out is None
        else writing(out, classes, reporter, sets=sets, strange=strange) as add
    ):
        # A bar and answers would stand in each other's way.
        made = (
            answer(model, images, rule, reporter.warn)
            if printed
            else predictions(model, images, reporter, rule)
        )
        for batch in made:
            answers += batch
            if add is not None:
                add(batch)
            elif printed:
                for one in batch:
                    say(one.line(classes))
    return answers
