"""Statistics of groups of images: errors of means, intervals, paired tests, calibration, conformal sets.

NumPy and SciPy only, and no other room of `tuner`, so anyone may import this one. A new interval or test comes with
its row in `benchmarks/statistics`, which measures how often it is wrong.
"""
