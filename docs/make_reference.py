"""Make the parts of the reference that follow from the code: `python docs/make_reference.py`.

A page, one of `reference/` or `glossary.md`, is written by hand but for its blocks between `<!-- made: NAME -->` and
`<!-- made: end -->`, which this script fills: the commands from click, the Python functions from their docstrings,
hyperparameters, columns and terms from their definitions. A test compares what it would write with what is there.
"""

import importlib.util
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from markdown_parts import escaped, table
from signatures import classes, errors, functions

REFERENCE = Path(__file__).resolve().parent / "reference"
DASHBOARDS = Path(__file__).resolve().parent / "how-to" / "dashboards.md"
BLOCK = re.compile(r"(<!-- made: (?!end)([a-z-]+) -->\n)(.*?)(<!-- made: end -->)", re.DOTALL)

MEANING = {
    "model": "name of the network; see `tuner models`",
    "strategy": "which parts of the network train, and from which epoch; see `tuner models NAME`",
    "optimizer": "the optimizer, Adam or AdamW",
    "learning_rate": "learning rate of the heads",
    "backbone_learning_rate": (
        "learning rate of the backbone; default: that of the heads, or 1e-5 if the"
        " backbone starts to train later than the heads"
    ),
    "weight_decay": "weight decay: decoupled with adamw, an L2 penalty with adam",
    "schedule": "how the learning rates change over the epochs",
    "step_size": "number of epochs between two reductions of the learning rates",
    "gamma": "factor by which each step multiplies the learning rates",
    "plateau_factor": "factor that multiplies the learning rates when the validation loss no longer falls",
    "plateau_patience": "epochs without a lower validation loss before the learning rates are reduced",
    "plateau_min_lr": "the learning rates are not reduced below this value",
    "warmup_epochs": "number of first epochs in which the learning rates rise to their full value",
    "label_smoothing": "share of each label that is spread evenly over all classes; in the training loss only",
    "class_weight_power": (
        "weight of a class in the training loss: (number of its images) ** -power; 0: all"
        " classes weigh the same"
    ),
    "sampler": "shuffle: each image once in an epoch; weighted: images are drawn at random, all classes equally often",
    "auxiliary_weight": "weight of the loss of each auxiliary head",
    "dropout": "dropout rate before the linear layer of the head",
    "unfreeze_at": "epochs until the backbone, or its next stage, starts to train",
    "stage_decay": "learning rate of a stage divided by that of the next stage, which is nearer to the head",
    "probe_l2": (
        "L2 penalty of the linear probe; the head is this probe (linear_probe) or starts as it"
        " (probe_then_full)"
    ),
    "probe_views": "number of views of each image on which the linear probe is solved; 2 adds the mirror image",
    "mixup": "parameter of the Beta distribution of mixup; 0: no mixup; only in epochs in which the backbone trains",
    "cutmix": (
        "parameter of the Beta distribution of CutMix; 0: no CutMix; with mixup as well, each is used"
        " in half of the batches"
    ),
    "augmentation": "how training images are changed at random; see `tuner spaces`",
    "ema_decay": (
        "decay of the moving average of the weights; the averaged weights are then scored and kept;"
        " 0: no average"
    ),
    "batch_size": "images in each training step",
    "max_epochs": "most epochs of a trial; a linear_probe has 1",
    "patience": "a trial ends after this many epochs without improvement; 0: it does not end early",
    "min_delta": "smallest improvement of the metric that counts",
    "seed": "random seed of the new heads, of dropout and of the order of the batches; drawn for each trial",
}
"""What a hyperparameter is, in a few words."""


def main() -> None:
    """Write every page anew."""
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")


def pages() -> dict[Path, str]:
    """The text of every page of the reference that has a block, its blocks made anew."""
    found = {}
    for path in (*sorted(REFERENCE.glob("*.md")), REFERENCE.parent / "glossary.md", DASHBOARDS):
        before = path.read_text(encoding="utf-8")
        if BLOCK.search(before):
            found[path] = BLOCK.sub(
                lambda match: match[1] + "\n" + MAKERS[match[2]]() + "\n" + match[4], before
            )
    return found


def commands() -> str:
    """A section for every command: what it does, its arguments and options."""
    from tuner.cli import commands as group

    return "\n".join(_command(name, group.commands[name]) for name in sorted(group.commands))


def _command(name: str, command: click.Command) -> str:
    arguments = [param for param in command.params if isinstance(param, click.Argument)]
    options = [param for param in command.params if isinstance(param, click.Option) and not param.hidden]
    words = [f"tuner {name}", *map(_argument, arguments), *(["[OPTIONS]"] if options else [])]
    text = (command.help or "").strip()
    lines = [f"## {name}", "", "```text", " ".join(words), "```", "", escaped(text), ""]
    if options:
        lines += table(("option", "", "default"), (_option(option) for option in options))
    return "\n".join([*lines, ""])


def _argument(param: click.Argument) -> str:
    name = param.metavar or str(param.name).upper()
    name += "..." if param.nargs == -1 and not name.endswith("...") else ""
    return name if param.required else f"[{name}]"


def _option(param: click.Option) -> tuple[str, str, str]:
    names = "/".join([*param.opts, *param.secondary_opts])
    kind = "" if param.is_flag else f" {param.metavar or _kind(param.type)}"
    text, _, default = (param.help or "").partition(" [")
    default = default.rstrip("]").removeprefix("default: ")
    if not default and not param.is_flag and param.show_default:
        default = f"`{param.default}`"
    if param.required:
        default = "required"
    return f"`{names}{kind}`", escaped(text), escaped(default)


def _kind(kind: click.ParamType[Any]) -> str:
    if isinstance(kind, click.Choice):
        return "|".join(map(str, kind.choices))
    names = {"integer": "N", "integer range": "N", "float": "X", "number": "X", "number or auto": "X|auto"}
    return names.get(kind.name, kind.name.upper())


def hyperparameters() -> str:
    """Every field of TrialConfig: values, default, and when it means something."""
    from trainables.config import CHOICES, CONDITIONS, FIELDS, RANGES

    def row(name: str) -> tuple[str, str, str, str, str]:
        only, default = CONDITIONS.get(name), FIELDS[name].default
        if only is not None:
            default = only.default
        values = ", ".join(CHOICES.get(name, ()))
        if name in RANGES:
            values = "{:g} to {:g}".format(*RANGES[name])
        given = (
            f"{default:g}"
            if isinstance(default, (int, float))
            else default
            if isinstance(default, str)
            else ""
        )
        when = "always" if only is None else f"{only.field} {', '.join(only.values)}"
        return f"`{name}`", MEANING[name], values, given, when

    header = ("hyperparameter", "", "values", "default", "means something with")
    return "\n".join([*table(header, (row(name) for name in FIELDS)), ""])


def metrics() -> str:
    """Every metric that a search may optimise, with its direction."""
    from trainables.metrics import METRICS

    rows = ((f"`{m.name}`", m.text, "lower" if m.minimised else "higher") for m in METRICS.values())
    return "\n".join([*table(("metric", "", "better"), rows), ""])


def prometheus() -> str:
    """Every metric of a running search, as Ray exports it."""
    from tuner.tracking.grafana import PREFIX
    from tuner.tracking.prometheus import NAMES

    rows = ((f"`{PREFIX}{name}`", text) for name, text in NAMES.items())
    return "\n".join([*table(("metric", ""), rows), ""])


def columns() -> str:
    """The columns of `epochs/` and of `trials.parquet`."""
    from tuner.runs.trial_table import epochs_schema, trials_schema

    lines = []
    for title, schema in (("epochs/", epochs_schema()), ("trials.parquet", trials_schema())):
        lines += [
            f"### {title}",
            "",
            *table(("column", "type"), ((f"`{f.name}`", str(f.type)) for f in schema)),
            "",
        ]
    return "\n".join(lines)


def documents() -> str:
    """The keys of what each command prints with `--json`."""
    from tuner.cli.json_keys import KEYS

    lines = []
    for name, keys in KEYS.items():
        rows = [
            (f"`{path}`", kind.replace("?", " or null"), text) for path, (kind, text) in keys.items() if text
        ]
        lines += [f"## tuner {name}", "", *table(("key", "type", ""), rows), ""]
    return "\n".join(lines)


def glossary() -> str:
    """Every term that pages explain, with its line."""
    from tuner.html.glossary import TERMS

    return "\n".join(table(("term", ""), TERMS.items()))


MAKERS: dict[str, Callable[[], str]] = {
    "commands": commands,
    "functions": functions,
    "classes": classes,
    "errors": errors,
    "hyperparameters": hyperparameters,
    "metrics": metrics,
    "prometheus": prometheus,
    "columns": columns,
    "documents": documents,
    "glossary": glossary,
}

if __name__ == "__main__":
    if importlib.util.find_spec("tuner") is None:
        sys.exit("install tuner first: pip install -e .")
    main()
