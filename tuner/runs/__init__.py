"""The run directory: its files and their columns, Optuna's journal, best.yaml, the driver's sign of life.

The lowest room: imports none of the others. A new column goes into the schemas of `directory`, a new key of
best.yaml into `best`.
"""
