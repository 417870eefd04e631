"""The table of the best trials says what equal expectations mean."""

import pytest
from rich.console import Console

from tuner.console.reporter import EQUAL, leaderboard_table


def shown(*estimates):
    """The table of trials with these estimates."""
    rows = [
        {
            "trial_id": f"t{number}",
            "estimate": estimate,
            "value": 0.3,
            "val_loss": 0.3,
            "best_epoch": 1,
            "epochs": 2,
            "status": "completed",
            "source": "probe",
        }
        for number, estimate in enumerate(estimates)
    ]
    console = Console(width=120)
    with console.capture() as said:
        console.print(leaderboard_table(rows, "val_loss"))
    return said.get()


@pytest.mark.parametrize(
    ("estimates", "equal"), [((0.31, 0.31, 0.4), True), ((0.31, 0.32), False), ((None, None), False)]
)
def test_equal_expectations_are_explained_below_the_table(estimates, equal):
    assert (EQUAL in " ".join(shown(*estimates).split())) is equal


def test_a_table_without_a_trial_has_its_heads():
    assert shown().split()[2:] == ["trial", "val_loss", "epoch", "status", "source"]
