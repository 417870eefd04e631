"""What a model answers for several images: rows, a table, a file."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuner.release.predictions import Prediction, write_predictions

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Predictions"]


@dataclass(frozen=True)
class Predictions:
    """The answers of a model for several images, in their order.

    >>> found = Predictions(("early", "late"), (Prediction("leaf.jpg", (0.25, 0.75)),))
    >>> found.rows
    [{'path': 'leaf.jpg', 'class': 'late', 'probability': 0.75, 'error': None, 'early': 0.25, 'late': 0.75}]
    """

    classes: tuple[str, ...]
    answers: tuple[Prediction, ...]

    @property
    def rows(self) -> list[dict[str, Any]]:
        """One row an image: path, class, probability, error, then the probability of each class."""
        return [answer.row(self.classes) for answer in self.answers]

    @property
    def table(self) -> "pd.DataFrame":
        """The rows as a DataFrame; needs pandas."""
        import pandas as pd

        return pd.DataFrame(self.rows)

    def write(self, path: Path | str) -> None:
        """Write the rows to a .parquet, .csv or .json file; raises InvalidValue for another suffix."""
        write_predictions(self.answers, self.classes, Path(path))
