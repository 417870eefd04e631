"""Finalists trained anew for a comparison: other seeds, folds, searches inside folds, a random split by image.

`compare` and the command line import it; training itself is the room `retraining`. A new reason to train anew is a
module here and a field of `Retraining` in `session`.
"""
