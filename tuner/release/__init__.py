"""From best.yaml to the model that somebody else can use: retrain, average, write the formats, predict, explain.

Imported by the command line and `tuner.api`; it may use `evaluation` for scores. A new file format goes
into `formats`, a new output of the exported graphs into `portable`, a new paragraph of the model card into `card`.
"""
