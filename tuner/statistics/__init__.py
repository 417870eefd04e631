"""Statistics of groups of images: errors of means, intervals, paired tests, calibration, conformal sets.

Every room of `tuner` but `console` may import this one; it uses NumPy, SciPy and `trainables.metrics`, and no other
room. The error of a mean over groups stands in `means`, log loss in `log_loss`, the area under a ROC curve and its
error in `auroc`, and nowhere else. A new interval goes into `intervals` or `metric_intervals`, a new test into
`metric_tests`, each with its row in `benchmarks/statistics`, which measures how often it is wrong.
"""
