"""The errors that tuner raises, as people import them; `trainables.errors` draws their tree.

The message is one sentence: the value, what is wrong with it, what would be right.

    >>> import tuner
    >>> try:
    ...     tuner.search("googlenet_ful")
    ... except UserMistake as mistake:
    ...     print(str(mistake).split(";")[0])
    unknown space 'googlenet_ful'
"""

from trainables.errors import *  # noqa: F403 - one list of names, there
from trainables.errors import __all__ as __all__
