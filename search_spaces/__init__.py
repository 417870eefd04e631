"""Spaces: what a search may vary. One study a file; the file's name is the name for `--space`.

A space file has a docstring, whose first line is its summary, and a function `space(trial)` or
`space(trial, max_epochs)` that calls `trial.suggest_*` with names of TrialConfig's fields and may return a
mapping of constants. Where the choices of a field differ from branch to branch, `field@branch` is a name of
its own for that field, since Optuna wants the choices of a name to stay the same. Optional in the file:
`first_trials` (a list of parameters, or a function of max_epochs, or of it and the models that a run names, that
returns one), `prior` (what is expected to do well: by name a centre and a width, or the choices' weights; or a function
of max_epochs), `grid = True` (the first trials are the whole study), `probe = True` (a run that names no models narrows
them by a probe of their features), `any_model = True` (a run may name models that the file does not),
`defaults` (`samples`, `max_epochs`, `image_size`, ...), `published` (rows of parameters, name, accuracy in %, or a
tuple of accuracies) and what a reader must know of the published work (`remark`, `pairs`, `deviations`, `unknown`; see
`Background`). Numbers may be numpy's, decimal's or fractions'; they become plain Python here.
"""

from search_spaces._checking import SAMPLES, check, prior_of, usual_grace_period
from search_spaces._configure import configure, field_of, first_trials
from search_spaces._space import Background, Published, Space, load, names
from search_spaces.priors import Priors

__all__ = [
    "SAMPLES",
    "Background",
    "Priors",
    "Published",
    "Space",
    "check",
    "configure",
    "field_of",
    "first_trials",
    "load",
    "names",
    "prior_of",
    "usual_grace_period",
]
