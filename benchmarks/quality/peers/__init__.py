"""What a good engineer writes without tuner, for `anytime.py`: by timm, PyTorch, scikit-learn and Optuna.

Each is a command of its own, from images to a file with a model; `predict` answers with the model of any of them.
"""
