"""The area under the ROC curve."""

import math

from trainables.metrics import Answers, register


@register("val_auroc", "maximize", order=4)
def auroc(answers: Answers) -> float:
    """The area under the ROC curve, one class against the rest, averaged over the classes that have images.

    As scikit-learn's `roc_auc_score(..., multi_class="ovr", average="macro")`; NaN where all images are of one class.
    """
    import numpy as np
    from scipy.stats import rankdata

    areas = []
    for code in np.unique(answers.labels):
        positive = answers.labels == code
        yes, no = int(positive.sum()), int((~positive).sum())
        if no == 0:
            return math.nan
        ranks = float(rankdata(answers.probabilities[:, code])[positive].sum())
        areas.append((ranks - yes * (yes + 1) / 2) / (yes * no))
    return float(np.mean(areas))
