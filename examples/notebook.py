# %% [markdown]
# # Which model, fine-tuned how, classifies my images best?
# Open this file as a notebook (VS Code, Jupyter with jupytext), or run it as it is.
# `notebook.ipynb` has the same cells. Without DATA it searches on pictures of leaves that tuner draws itself, from
# random weights, so it needs no network. As a script it prints what a notebook shows below its cells.

# %%
import os
from pathlib import Path

import pandas as pd

from tuner import compare, export, search

try:
    from IPython.display import display as show
except ImportError:  # run as a script
    show = print

data = os.environ.get("DATA")
runs_dir = Path(os.environ.get("RUNS", "runs"))

# %% [markdown]
# ## Search
# `on_epoch` and `on_trial` are called as it goes: here every epoch is shown, and the curves grow in a dictionary.

# %%
curves = {}


def on_epoch(trial_id, metrics):
    """Note and show the validation loss of every epoch."""
    curves.setdefault(trial_id, []).append(metrics["val_loss"])
    show(f"{trial_id}, epoch {metrics['epoch']}: val_loss {metrics['val_loss']:.4f}")


result = search(
    "googlenet_full",
    data=data,
    groups=os.environ.get("GROUPS_CSV"),
    samples=int(os.environ.get("SAMPLES", "6")),
    max_epochs=int(os.environ.get("EPOCHS", "4")),
    image_size=int(os.environ.get("SIZE", "64")),
    weights="none",
    runs_dir=runs_dir,
    on_epoch=on_epoch,
)

# %% [markdown]
# ## The learning curves

# %%
losses = pd.DataFrame.from_dict(curves, orient="index").T
losses.index = losses.index + 1
axes = losses.plot(marker="o", xlabel="epoch", ylabel="validation loss (nats)")
axes.figure.savefig(result.run.path / "curves.png")
show(losses)

# %% [markdown]
# ## The trials, a DataFrame

# %%
trials = result.trials.sort_values("value")
show(trials[["trial_id", "status", "best_epoch", "val_loss", "val_accuracy", "learning_rate"]])

# %% [markdown]
# ## Which is really better?
# The test images are looked at here for the first time.

# %%
comparison = compare(result.run.path)
show(comparison.table[["label", "test_accuracy", "test_accuracy_low", "test_accuracy_high"]])

# %%
show(comparison.conclusion)
show(f"pictures and tables: {comparison.report}")

# %% [markdown]
# ## The best configuration
# `tuner.retrain("best.yaml", out="model")` trains it anew and writes the model; `tuner.predict("model", images)` then
# names the class of new pictures.

# %%
best = export(result.run.path, out=result.run.path / "exported.yaml")
show(best.config)
