"""Images as features, drawn so that classes lie apart."""

import numpy as np

from tuner.advice.heads import Images


def drawn(groups=40, each=2, classes=("a", "b"), apart=2.0, seed=0, width=6):
    """Images of classes that lie apart, in groups that resemble one another; each group has one class."""
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(groups) % len(classes), each)
    names = np.repeat([f"group {number:02d}" for number in range(groups)], each)
    shared = np.repeat(random.normal(size=(groups, width)), each, axis=0)
    features = apart * np.eye(len(classes), width)[labels] + shared + 0.3 * random.normal(size=shared.shape)
    return Images(features, labels, names, classes, 0.1, 0)
