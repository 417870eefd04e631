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
from tuner.cli.terminal import say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tuner.release.predictions import Prediction

__all__ = ["export", "predict", "retrain"]


@click.command()
@click.argument("run_dir", metavar="RUN", type=FOLDER)
@click.option("--trial", metavar="ID", help="Which trial. [default: the best]")
@click.option("--out", type=FOLDER, default=Path("best.yaml"), show_default=True, help="Where to write it.")
def export(run_dir: Path, trial: str | None, out: Path) -> None:
    """Write the best configuration of a search, with all that is needed to train it again."""
    from tuner.release.export import export as write

    best = write(run_dir, trial, out)
    expected = best.expected
    say(f"{best.trial}: {expected.metric} {expected.value:.4f} at epoch {expected.epoch}")
    error = "" if expected.standard_error is None else f"± {expected.standard_error:.4f}, "
    say(f"its spread: {error}{expected.spread}")
    say(f"wrote {out} and {out.with_name(best.split.file)}")
    say(f"next: tuner retrain {out}")


@click.command()
@click.argument("best", metavar="BEST_YAML", type=FOLDER)
@click.option("--data", type=FOLDER, help="Image folder. Other images than the search's get a new split.")
@click.option("--labels", type=FOLDER, help="CSV with columns path and label. [default: the search's]")
@click.option("--groups", type=FOLDER, help="CSV with columns path and group, for a new split.")
@click.option(
    "--group-regex", help="Regular expression whose first group is an image's group, for a new split."
)
@click.option(
    "--seeds",
    type=Number("seeds"),
    default=5,
    show_default=True,
    help="How many models, each from its own seed.",
)
@click.option("--epochs", type=Number("epochs"), help="Epochs. [default: as many as the search found]")
@click.option("--final", is_flag=True, help="Train on the test images too, and report no score.")
@click.option(
    "--average", is_flag=True, help="Export an average of models if validation, held out, is for it."
)
@click.option("--out", type=FOLDER, help="The model folder. [default: model beside best.yaml]")
@seed_options
def retrain(best: Path, **options: Any) -> None:
    """Train the best configuration anew, score it on the test images and write a model folder."""
    from tuner.release.job import RetrainConfig
    from tuner.release.retrain import retrain as train
    from tuner.tracking.reporter import Reporter

    done = train(RetrainConfig(best=best, **options), Reporter(Console(highlight=False)))
    for line in done.sentences:
        say(line)
    say(f"the model is in {done.folder}")
    say(f"next: tuner predict {done.folder} IMAGES...")


@click.command()
@click.argument("model_dir", metavar="MODEL_DIR", type=FOLDER)
@click.argument("images", nargs=-1, required=True)
@click.option("--out", type=FOLDER, help="A .parquet, .csv or .json file. [default: the terminal]")
@click.option("--explain", is_flag=True, help="Also write pictures of where the model looked (Grad-CAM).")
@click.option(
    "--explain-dir", type=FOLDER, default=Path("explained"), show_default=True, help="Where --explain writes."
)
@json_option
def predict(
    model_dir: Path,
    images: tuple[str, ...],
    out: Path | None,
    explain: bool,
    explain_dir: Path,
    as_json: bool,
) -> None:
    """Name the class of images: files, folders or patterns. MODEL_DIR may also be a model.onnx by itself."""
    from tuner.release.predict import find_images, load_model, predictions
    from tuner.release.predictions import check_suffix, writing
    from tuner.runs.places import try_folder, try_target
    from tuner.tracking.reporter import Reporter

    if out is not None:
        check_suffix(out)
        try_target(out, "--out", parents=False)
    if explain:
        try_folder(explain_dir, "--explain-dir")
    found = find_images(images)
    model = load_model(model_dir)
    if explain:
        from tuner.release.explain import require_explain

        require_explain(model_dir)
    reporter = Reporter(Console(highlight=False, stderr=True))
    classes, answers = model.spec.classes, []
    printed = out is None and not as_json
    with contextlib.nullcontext() if out is None else writing(out, classes, reporter) as add:
        # A bar and answers would stand in each other's way.
        for batch in predictions(model, found, None if printed else reporter):
            answers += batch
            if add is not None:
                add(batch)
            elif printed:
                _print(batch, classes)
    if as_json:
        print_json(documents.predictions(answers, classes))
    failed = [one for one in answers if one.probabilities is None]
    if out is not None:
        line = f"{len(answers) - len(failed)} images answered, {len(failed)} could not be read: {out}"
        say(line, err=as_json)
    if explain:
        from tuner.release.explain import explain as draw

        drawn = draw(model_dir, model.spec, answers, explain_dir)
        say(f"{len(drawn)} pictures in {explain_dir}", err=as_json)
    sys.exit(1 if len(failed) == len(answers) else 0)


def _print(answers: "Sequence[Prediction]", classes: "Sequence[str]") -> None:
    for one in answers:
        row = one.row(classes)
        said = f"error: {one.error}" if one.error else f"{row['class']}\t{row['probability']:.4f}"
        say(f"{row['path']}\t{said}")
