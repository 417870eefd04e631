"""The search itself: what was asked, the images, the trials that Ray runs, what Optuna proposes, who is stopped.

Imported by `planning`, `evaluation`, `release` and the command line. `config` is what a person asks for,
`prepare` makes a run of it, `loop` runs it; `trial_store` keeps its books, `searcher` and `scheduler` are
what Ray sees.
"""
