"""Logistic regression on the features of frozen networks; backbone and penalty by five grouped folds.

python -m benchmarks.quality.peers.logistic --data DIR --weights-dir DIR --out model.pt
"""

import warnings

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from benchmarks.quality.peers.images import for_answering, read_pictures
from benchmarks.quality.peers.network import outputs, pretrained, save
from benchmarks.quality.peers.options import Options, read_options

PENALTIES = np.logspace(-4, 0, 9)
"""Values of scikit-learn's C, on features of variance 1."""


def classifier(penalty: float) -> Pipeline:
    """Features to variance 1, then the regression."""
    return make_pipeline(StandardScaler(), LogisticRegression(C=penalty, max_iter=1000))


def fit(options: Options) -> None:
    """Choose by out-of-fold log loss, fit again on all images, and write the model."""
    pictures, classes = read_pictures(options.data, options.groups)
    folds = list(
        StratifiedGroupKFold(5, shuffle=True, random_state=options.seed).split(
            pictures.labels, pictures.labels, pictures.groups
        )
    )
    everything = np.arange(len(pictures))
    features, found = {}, []
    for name in options.backbones():
        network = pretrained(name, options.weights_dir, 0)
        shown = pictures.only(everything, for_answering(network, options.image_size))
        features[name] = outputs(network, shown).numpy()
        for penalty in PENALTIES:
            answers = cross_val_predict(
                classifier(penalty), features[name], pictures.labels, cv=folds, method="predict_proba"
            )
            found.append((log_loss(pictures.labels, answers), name, penalty))
    loss, name, penalty = min(found)
    print(f"{name}, C {penalty:.2g}: log loss {loss:.4f} by five folds")
    solved = classifier(penalty).fit(features[name], pictures.labels)
    network = pretrained(name, options.weights_dir, len(classes))
    set_head(network.get_classifier(), solved)  # type: ignore[operator]
    save(options.out, network, name, classes, options.image_size)


@torch.no_grad()
def set_head(head: nn.Linear, solved: Pipeline) -> None:
    """The network's last layer says what the regression on scaled features says."""
    scaler, regression = solved[0], solved[1]
    weight = regression.coef_ / scaler.scale_
    bias = regression.intercept_ - weight @ scaler.mean_
    if len(weight) == 1:  # of two classes, scikit-learn keeps the second's logit alone
        weight, bias = np.vstack([0 * weight, weight]), np.concatenate([0 * bias, bias])
    head.weight.copy_(torch.from_numpy(weight))
    head.bias.copy_(torch.from_numpy(bias))


if __name__ == "__main__":
    # With few images a class may be missing in a fold; it then has probability 0 there, whatever the penalty.
    warnings.filterwarnings("ignore")
    fit(read_options(__doc__))
