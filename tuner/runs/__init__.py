"""The run directory: its files and their columns, Optuna's journal, best.yaml, the driver's sign of life.

Every room of `tuner` but `console` and `statistics` may import this one; it imports no other room. A new column goes
into the schemas of `directory`, a new key of best.yaml into `best`, a new file into `directory` with who writes it.
"""
