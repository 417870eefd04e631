import logging
import os

import pytest

from tuner.cluster.environment import ALONE, QUIET, ray_environment


@pytest.mark.parametrize("address", [None, "10.0.0.1:6379"])
def test_rays_switches_stand_while_entered_and_are_put_back_after_an_error_too(monkeypatch, address):
    monkeypatch.setenv("TUNE_GLOBAL_CHECKPOINT_S", "7")
    for name in ("RAY_AIR_NEW_OUTPUT", *ALONE, "PYTHONBREAKPOINT"):
        monkeypatch.delenv(name, raising=False)
    before = dict(os.environ)

    def inside():
        with ray_environment(address):
            assert {**os.environ, **QUIET} == dict(os.environ)
            assert all((name in os.environ) == (address is None) for name in ALONE)
            os.environ["PYTHONBREAKPOINT"] = "ray's"
            logging.getLogger("ray").setLevel(logging.CRITICAL)
            with ray_environment(address):
                pass
            assert os.environ["RAY_AIR_NEW_OUTPUT"] == "0"
            raise ZeroDivisionError

    level = logging.getLogger("ray").level
    with pytest.raises(ZeroDivisionError):
        inside()
    assert dict(os.environ) == before
    assert logging.getLogger("ray").level == level
