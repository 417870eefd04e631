"""The files of a comparison beside its page: tables for programs, and Markdown with every column for a person."""

from functools import partial
from typing import TYPE_CHECKING

from tuner.evaluation.comparison.evidence import Comparison, Evidence
from tuner.evaluation.comparison.table import markdown
from tuner.runs.directory import write_atomically

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["write_markdown", "write_tables"]


def write_tables(found: Comparison, evidence: Evidence) -> None:
    """Write finalists, pairs and probabilities as Parquet, and the finalists as CSV too."""
    found.out.mkdir(parents=True, exist_ok=True)
    frames = {
        "comparison": found.table,
        "pairs": found.pairs,
        "probabilities": _probabilities(evidence),
    }
    if found.folds is not None:
        frames |= {
            "folds": found.folds.table,
            "fold_pairs": found.folds.pairs,
            "fold_probabilities": _probabilities(found.folds.evidence),
        }
    for name, frame in frames.items():
        write_atomically(found.out / f"{name}.parquet", partial(frame.to_parquet, index=False))
    write_atomically(found.out / "comparison.csv", partial(found.table.to_csv, index=False))


def write_markdown(found: Comparison) -> None:
    """Write comparison.md: the table with all its columns, the conclusion, the findings and the warnings."""
    text = f"{markdown(found)}\n"
    write_atomically(
        found.out / "comparison.md",
        lambda file: file.write_text(text, encoding="utf-8", errors="backslashreplace"),
    )


def _probabilities(evidence: Evidence) -> "pd.DataFrame":
    """Path, group, label, trial and the probability of each class; one row a finalist and an image."""
    import pandas as pd

    parts = []
    fixed = ("path", "group", "label", "trial_id")
    columns = [f"class {name}" if name in fixed else name for name in evidence.classes]
    for one in evidence.finalists:
        frame = pd.DataFrame({"path": evidence.paths, "group": evidence.groups})
        frame["label"] = [evidence.classes[code] for code in evidence.labels]
        frame["trial_id"] = one.key
        parts.append(frame.join(pd.DataFrame(evidence.answers(one.key).probabilities, columns=columns)))
    return pd.concat(parts, ignore_index=True)
