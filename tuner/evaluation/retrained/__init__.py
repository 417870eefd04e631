"""Finalists trained anew for a comparison: other seeds, folds, searches inside folds, a random split by image."""
