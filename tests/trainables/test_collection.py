import gc

import pytest

from trainables.collection import collect_as_usual, collect_less
from trainables.worker import as_worker


@pytest.fixture(autouse=True)
def thresholds():
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)


def test_less_is_collected_until_the_process_computes():
    usual = gc.get_threshold()
    collect_less()
    assert gc.get_threshold()[0] > usual[0]
    with as_worker(1):
        assert gc.get_threshold() == usual
    collect_less()
    collect_as_usual()
    assert gc.get_threshold() == usual
