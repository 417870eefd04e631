"""A folder of images: read, split by groups, inspected. No search is needed for any of it.

The rooms above (probe, retraining, tuning, evaluation, release, planning) may import this one. Reading is in
`reading`, what an inspection looks for in `inspection`, one module a kind.
"""
