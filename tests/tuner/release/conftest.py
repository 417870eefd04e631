import pytest


@pytest.fixture(scope="module", autouse=True)
def _timed_briefly():
    """A model's time is no matter here: its fewest calls are enough."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tuner.evaluation.comparison.running_cost._SECONDS", 0.0)
        yield
