import os
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from trainables import process_mark
from trainables.process_mark import is_alive, own_mark, started


def test_a_process_knows_itself():
    mark = own_mark()
    assert mark.pid == os.getpid()
    assert is_alive(mark)


def test_a_process_that_has_got_the_number_is_not_taken_for_the_earlier_one():
    assert is_alive(replace(own_mark(), born=own_mark().born - 100)) is False


def test_a_process_that_has_ended_is_not_alive_though_its_parent_has_not_noticed():
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        deadline = time.monotonic() + 10
        while started(child.pid) is not None and time.monotonic() < deadline:
            time.sleep(0.01)
        assert started(child.pid) is None
        assert is_alive(replace(own_mark(), pid=child.pid)) is False


@pytest.mark.parametrize("other", [{"boot": "another"}, {"namespace": "pid:[1]"}])
def test_a_process_of_another_kernel_or_container_can_not_be_looked_up(other):
    assert is_alive(replace(own_mark(), **other)) is None


def test_where_the_system_tells_no_kernel_the_host_stands_for_it(monkeypatch, tmp_path):
    monkeypatch.setattr(process_mark, "BOOT_ID", tmp_path / "none")
    monkeypatch.setattr(process_mark, "NAMESPACE", str(tmp_path / "none"))
    mark = own_mark()
    assert (mark.boot, mark.namespace) == ("", "")
    assert is_alive(mark)
    assert is_alive(replace(mark, host="elsewhere")) is None
