"""The commands that search: run, resume."""

import time
from pathlib import Path
from typing import Any

import click

from tuner.cli.help import SearchCommand
from tuner.cli.names import (
    BACKBONES,
    MODELS,
    PRECISION,
    SAMPLER,
    SINKS,
    SPACE,
    STRATEGIES,
    WEIGHTS,
)
from tuner.cli.parameters import (
    FOLDER,
    METRIC_CHOICES,
    Number,
    Seconds,
    Share,
    data_options,
    fit_option,
    networks_option,
    side_option,
    split_names,
)
from tuner.cli.shipping import finish, networks_of, shipping_of
from tuner.console.terminal import open_console

__all__ = ["resume", "run"]


@click.command(cls=SearchCommand)
@click.option(
    "--space",
    type=SPACE,
    default="auto",
    show_default=True,
    help="Search space: a name of `tuner spaces`, or the path of your own .py file.",
)
@click.option(
    "--data",
    type=FOLDER,
    help="Image folder with one sub-folder for each class, or any folder with --labels. Without --data tuner"
    " searches on sample pictures that it draws.",
)
@data_options
@click.option(
    "--groups-from-similar",
    is_flag=True,
    help="Make groups of pictures that look like one object, by the features of a backbone. `tuner inspect --similar`"
    " shows these groups.",
)
@click.option("--samples", type=Number("samples"), help="Number of trials. [default: the space's]")
@click.option(
    "--max-epochs",
    type=Number("max_epochs"),
    help="Most epochs of a trial. [default: the space's]",
)
@click.option(
    "--grace-period",
    type=Number("grace_period"),
    help="ASHA may stop a trial only after it has trained for this many full epochs. An epoch that trains the whole"
    " network counts as 1, an epoch with a frozen backbone as almost 0. [default: 0.3 of --max-epochs, at most 10]",
)
@click.option(
    "--reduction-factor",
    type=Number("reduction_factor"),
    default=2.0,
    show_default=True,
    help="At each rung ASHA keeps one of this many trials: the best.",
)
@click.option(
    "--concurrent",
    type=Number("concurrent"),
    help="Number of trials that run at the same time. [default: as many as fit]",
)
@click.option(
    "--cpus-per-trial",
    type=Number("cpus_per_trial"),
    help="CPU cores for each trial. [default: 1; with GPUs the cores are divided among them]",
)
@click.option(
    "--gpus-per-trial",
    type=Share(),
    help="GPUs for each trial; a fraction such as 0.5 is possible; auto measures how many trials fit (not run"
    " on a GPU). [default: 1 if the machine has GPUs]",
)
@side_option
@fit_option
@click.option(
    "--batch-size", type=Number("batch_size"), help="Images in each training step. [default: the space's]"
)
@click.option(
    "--weights",
    type=WEIGHTS,
    default="auto",
    show_default=True,
    help="Weights that training starts from: auto (pretrained; on the sample pictures random"
    " ones if need be), imagenet (pretrained), none (random) or a FILE"
    " with a state dict.",
)
@click.option(
    "--weights-dir",
    type=FOLDER,
    help="Folder of weight files, each named after its model. For a model without a file there --weights counts.",
)
@click.option(
    "--precision",
    type=PRECISION,
    default="auto",
    show_default=True,
    help="Number format of the training: auto, fp32, bf16 or fp16 (not run on a GPU).",
)
@click.option(
    "--metric",
    type=METRIC_CHOICES,
    default="val_loss",
    show_default=True,
    help="Validation metric that the search optimises.",
)
@click.option("--positive", metavar="CLASS", help="The class whose sensitivity val_sensitivity@95 measures.")
@click.option(
    "--sampler",
    type=SAMPLER,
    default="tpe",
    show_default=True,
    help="Optuna's sampler: tpe, random, gp, cmaes or auto.",
)
@click.option(
    "--prior/--no-prior",
    default=True,
    show_default=True,
    help="Draw half of the first configurations from the space's prior: values that usually work well.",
)
@click.option(
    "--seed",
    type=Number("seed"),
    default=0,
    show_default=True,
    help="Random seed of the split, the augmentation and the sampler.",
)
@click.option(
    "--time-budget",
    type=Seconds(),
    help="End the whole command within this time, such as 20m or 2h. [sample pictures: 6m]",
)
@click.option(
    "--keep",
    type=Number("keep"),
    default=5,
    show_default=True,
    help="Keep the weights of this many best trials.",
)
@click.option(
    "--max-failures",
    type=Number("max_failures"),
    default=2,
    show_default=True,
    help="Start a trial again this often if its worker process dies.",
)
@click.option(
    "--out",
    type=FOLDER,
    help="At the end train the chosen model on the training and validation images and write it into this folder, within"
    " the time budget.",
)
@click.option("--final", is_flag=True, help="With --out: train the model on the test images, too.")
@networks_option
@click.option("--name", help="Name of the run directory. [default: the space's name and the time]")
@click.option(
    "--runs-dir",
    type=FOLDER,
    default=Path("runs"),
    show_default=True,
    help="Folder in which tuner makes the run directory.",
)
@click.option(
    "--address",
    envvar="RAY_ADDRESS",
    help="Ray cluster to join: auto or HOST:PORT. [default: RAY_ADDRESS, else tuner starts its own]",
)
@click.option(
    "--storage",
    metavar="FOLDER|URI",
    help="For several machines. A FOLDER that all of them can write to: the run directory goes there instead of into"
    " --runs-dir. Or a bucket (s3://bucket/path) that all of them can reach: the files that trials write go there.",
)
@click.option(
    "--log",
    type=SINKS,
    help="Also send the results to these logs, with commas between: mongodb, mlflow, tensorboard, wandb. See"
    " `tuner sync`.",
)
@click.option(
    "--log-weights", is_flag=True, help="Also upload the kept weights to mlflow or wandb, as artifacts."
)
@click.option(
    "--dashboard/--no-dashboard", default=True, show_default=True, help="Start Ray's dashboard, on 127.0.0.1."
)
@click.option(
    "--folds",
    type=Number("folds"),
    help="After the search train the best trials on other folds, so that more images judge them. N counts the"
    " validation part as one fold; 0: no folds. [default: 5 if the validation part has fewer than 300 groups,"
    " else 0]",
)
@click.option(
    "--until-settled",
    is_flag=True,
    help="End before --samples when the gain that more trials promise is smaller than the noise.",
)
@click.option(
    "--start-from",
    metavar="RUN[,RUN]",
    help="Begin with the best two configurations of each of these earlier runs; they may be runs on other images.",
)
@click.option(
    "--backbones",
    type=BACKBONES,
    default="auto",
    show_default=True,
    help="Backbones that the space auto probes: auto, small, all, or names with commas between; see `tuner probe`.",
)
@click.option(
    "--models", type=MODELS, help="Search only these models of the space; names with commas between."
)
@click.option(
    "--strategies",
    type=STRATEGIES,
    help="Search only these strategies of the space; names with commas between.",
)
def run(
    time_budget: float | None,
    models: str | None,
    strategies: str | None,
    log: str | None,
    start_from: str | None,
    out: Path | None,
    final: bool,
    networks: int | None,
    **options: Any,
) -> None:
    """Search for the best model on your images; all results are kept in a run directory."""
    started = time.monotonic()
    from tuner.console.reporter import Reporter

    console = open_console()
    with Reporter(console).starting():
        from tuner.dataset.loading import require_given
        from tuner.tuning.budget import Budget
        from tuner.tuning.config import search_config
        from tuner.tuning.loop import search

    count = networks_of(out, final, networks)
    config = search_config(
        time_budget_s=time_budget,
        models=split_names(models),
        strategies=split_names(strategies),
        log=split_names(log),
        start_from=tuple(Path(name) for name in split_names(start_from)),
        **options,
    )
    require_given(config.data)
    result = search(config, Reporter(console), started=started, networks=count)
    budget = Budget.of(time_budget, started, networks=count)
    finish(result, console, None if out is None else shipping_of(result, out, final, budget))


@click.command()
@click.argument("run_dir", metavar="RUN", type=FOLDER)
@click.option("--samples", type=Number("samples"), help="Number of trials to add to a finished search.")
@click.option("--time-budget", type=Seconds(), help="End this command within this time, such as 20m or 2h.")
@click.option("--out", type=FOLDER, help="Write a model folder at the end, as `tuner run --out` does.")
@click.option("--final", is_flag=True, help="With --out: train the model on the test images, too.")
@networks_option
def resume(
    run_dir: Path,
    samples: int | None,
    time_budget: float | None,
    out: Path | None,
    final: bool,
    networks: int | None,
) -> None:
    """Continue a search that ended early, or add trials to a finished search."""
    started = time.monotonic()
    from tuner.console.reporter import Reporter

    count = networks_of(out, final, networks)
    console = open_console()
    reporter = Reporter(console)
    with reporter.starting():
        from tuner.tuning.budget import Budget
        from tuner.tuning.resume import resume as go_on

    result = go_on(run_dir, samples, time_budget, reporter, started=started, networks=count)
    budget = Budget.of(time_budget, started, networks=count)
    finish(result, console, None if out is None else shipping_of(result, out, final, budget))
