"""Statistics of groups of images: errors of means, intervals, paired tests, calibration, conformal sets.

NumPy and SciPy only, `trainables.metrics`, and no other room of `tuner`, so anyone may import this one. The error of a
mean over groups stands in `means`, log loss in `log_loss`, the area under a ROC curve and its error in `auroc`, and
nowhere else. A new interval or test comes with its row in `benchmarks/statistics`, which measures how often it is
wrong.
"""
