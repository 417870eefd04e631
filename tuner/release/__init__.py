"""From best.yaml to the model that somebody else can use: retrain, average, write the formats, predict, explain.

The command line and `tuner.api` import this room, and no other room does; it may use `evaluation` for scores. A new
file format goes into `formats`, a new output of the exported graphs into `portable`, a new rule that makes an answer of
probabilities into `rule`, a new paragraph of the model card into `card`. `bundle` writes the program `standalone` into
each model folder as predict.py, out of the functions that `tuner predict` runs.
"""
