"""Make `examples/notebook.ipynb` from `examples/notebook.py`, cell by cell: `python docs/make_notebook.py`."""

import json
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
SCRIPT, NOTEBOOK = EXAMPLES / "notebook.py", EXAMPLES / "notebook.ipynb"


def main() -> None:
    """Write the notebook."""
    NOTEBOOK.write_text(notebook(), encoding="utf-8")


def notebook() -> str:
    """The text of the notebook."""
    cells = []
    for number, part in enumerate(SCRIPT.read_text(encoding="utf-8").split("# %%")[1:]):
        head, _, body = part.partition("\n")
        lines = body.strip("\n").splitlines(keepends=True)
        cell = {"id": f"cell-{number}", "metadata": {}}
        if "[markdown]" in head:
            cells.append(
                {"cell_type": "markdown", **cell, "source": [line.removeprefix("# ") for line in lines]}
            )
        else:
            code = {"cell_type": "code", "execution_count": None, **cell}
            cells.append({**code, "outputs": [], "source": lines})
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    document = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    main()
