"""The search, and only the search: what was asked, the trials that Ray runs, what Optuna proposes, who is stopped.

`evaluation`, `planning`, `release`, `tuner.api` and the command line may import this room; what looks at images stands
in `dataset`. `config` is what a person asks for, `prepare` makes a run of it, `loop` runs it; `trial_store` keeps its
books, `searcher` and `scheduler` are what Ray sees. A new option of a search is a field of `SearchConfig` in `config`;
a new sampler goes into `sampler`, a new rule for stopping trials into `scheduler`.
"""
