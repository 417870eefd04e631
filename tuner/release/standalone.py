"""Name the class of images by the model.onnx beside this file. Needs Python 3.11, numpy, onnxruntime and pillow only.

pip install -r requirements.txt
python predict.py photo.jpg
python predict.py new-images/ --json > answers.json
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from trainables.errors import UserMistake
from trainables.ranges import ALPHA, MIN_CONFIDENCE, parse_within
from tuner.console.terminal import escape_what_cannot_be_shown
from tuner.release.folder import MANIFEST, ONNX, finite
from tuner.release.predict import answer, find_images, load_model
from tuner.release.predictions import Prediction, document
from tuner.release.rule import make_rule

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None, folder: Path | None = None) -> int:
    """Print what `tuner predict` prints for the same images; its exit status.

    The model is that of `folder`, by default the folder of this file. Where that holds the model.onnx and no manifest,
    no file is checked.
    """
    escape_what_cannot_be_shown()
    try:
        return _run(_parser().parse_args(arguments), folder or Path(__file__).parent)
    except UserMistake as mistake:
        print(f"predict.py: {mistake}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="predict.py", description="Name the class of each image.")
    parser.add_argument("images", nargs="+", metavar="IMAGES", help="files, folders or patterns")
    sets = "also give a set of classes, which misses the true class in at most this share of the images, such as 0.1"
    parser.add_argument("--alpha", metavar="NUMBER", help=sets)
    silence = "answer unsure if the most probable class has a lower probability than this"
    parser.add_argument("--min-confidence", metavar="NUMBER", help=silence)
    other = "another network, such as model.int8.onnx; by default the model.onnx beside this file"
    parser.add_argument("--model", type=Path, metavar="FILE", help=other)
    parser.add_argument(
        "--json", action="store_true", help="print one JSON document for programs instead of lines"
    )
    return parser


def _run(given: argparse.Namespace, folder: Path) -> int:
    found = find_images(given.images)
    alone = (folder / ONNX).exists() and not (folder / MANIFEST).exists()
    model = load_model(given.model or (folder / ONNX if alone else folder))
    alpha, least = (
        None if text is None else parse_within(span, text, flag)
        for span, text, flag in (
            (ALPHA, given.alpha, "--alpha"),
            (MIN_CONFIDENCE, given.min_confidence, "--min-confidence"),
        )
    )
    rule, classes = make_rule(model.spec, alpha, least), model.spec.classes
    for warning in rule.warnings:
        _note(warning)
    if rule.remark is not None:
        print(rule.remark, file=sys.stderr)
    answers: list[Prediction] = []
    for batch in answer(model, found, rule, _note):
        answers += batch
        for one in () if given.json else batch:
            print(one.line(classes))
    if given.json:
        print(json.dumps(finite(document(answers, classes)), allow_nan=False))
    return 1 if all(one.probabilities is None for one in answers) else 0


def _note(text: str) -> None:
    print(f"note: {text}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
