"""What can go wrong, and whose turn it is to mend it.

TunerError
├── UserMistake             one line on stderr, exit status 2, no traceback
│   ├── UnknownName         a model, strategy, space or parameter that nobody registered
│   ├── InvalidValue        a known setting with a value that it can't take
│   ├── DataProblem         the image folder, its groups, or a split that can't be made
│   ├── WeightsUnavailable  pretrained weights that are neither cached, nor given, nor downloadable
│   ├── RunProblem          a run directory that is missing, taken, unreadable or of another version
│   └── ClusterProblem      a Ray that does not start here, or that can't be joined
├── Interrupted             Ctrl-C or SIGTERM ended the work, exit status 130; the message says what is kept
├── WorkerBroken            the process can compute no more; another one takes over the trial
└── TrialFailed             one trial ends as a failed row; the run goes on
    └── Diverged            its loss became infinite or NaN
"""

import difflib
import errno
from collections.abc import Iterable

from trainables.wording import some

__all__ = [
    "DISK_FULL",
    "NO_SPACE",
    "ClusterProblem",
    "DataProblem",
    "Diverged",
    "Interrupted",
    "InvalidValue",
    "RunProblem",
    "TrialFailed",
    "TunerError",
    "UnknownName",
    "UserMistake",
    "WeightsUnavailable",
    "WorkerBroken",
    "is_disk_full",
]


DISK_FULL = "disk full"
"""The reason of a trial that could not write: not its failure, and no reason to tell it as one."""

NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
"""What the system says where the disk, or a person's quota of it, is full."""


class TunerError(Exception):
    """Everything that tuner raises on purpose."""


class UserMistake(TunerError):
    """A person can mend this; the message names the value, what is wrong and what would be right."""


class UnknownName(UserMistake):
    """A name that nobody registered."""

    @classmethod
    def of(cls, kind: str, name: str, known: Iterable[str], most: int | None = None) -> "UnknownName":
        """The error for `name`, with the nearest known name and all of them; of any number the first `most`."""
        names = sorted(known)
        near = difflib.get_close_matches(name, names, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ";"
        return cls(f"unknown {kind} {name!r}{hint} known: {some(names, most or len(names))}")


class InvalidValue(UserMistake):
    """A known setting with a value that it can't take."""


class DataProblem(UserMistake):
    """The image folder, its groups, or a split that can't be made."""


class WeightsUnavailable(UserMistake):
    """Pretrained weights are neither cached, nor given, nor downloadable."""


class RunProblem(UserMistake):
    """A run directory is missing, taken, unreadable or of another version."""


class ClusterProblem(UserMistake):
    """A Ray does not start here, or can't be joined."""


class Interrupted(TunerError):
    """Ctrl-C or SIGTERM ended the work; the message says what is kept and how to go on."""


class WorkerBroken(TunerError):
    """A process can compute no more, whatever it is given next; the trial goes on in another."""


class TrialFailed(TunerError):
    """One trial can't go on."""


class Diverged(TrialFailed):
    """A loss became infinite or NaN."""


def is_disk_full(error: BaseException) -> bool:
    """Whether `error`, or what it was raised from, says that the disk is full.

    >>> is_disk_full(OSError(errno.ENOSPC, "No space left on device")), is_disk_full(OSError(errno.EIO, "no"))
    (True, False)
    """
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        if isinstance(link, OSError) and link.errno in NO_SPACE:
            return True
        seen.add(id(link))
        link = link.__cause__
    return False
