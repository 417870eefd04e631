"""Statistics of groups of images: errors of means, intervals, paired tests, calibration, conformal sets.

Every room of `tuner` but `console` may import this one; it uses NumPy and SciPy, and no other room. A new interval goes
into `intervals` or `metric_intervals`, a new test into `metric_tests`, each with its row in `benchmarks/statistics`,
which measures how often it is wrong.
"""
