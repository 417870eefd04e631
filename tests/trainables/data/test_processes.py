import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from trainables.data.processes import CHUNK, in_processes
from trainables.errors import DataProblem, RunProblem


def place(number: int) -> tuple[int, int]:
    return number, os.getpid()


def refuse(number: int) -> int:
    if number == 3 * CHUNK:
        raise DataProblem(f"no {number}")
    return number


def die(number: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return number


def talk(number: int) -> int:
    print("a library says something", flush=True)
    return number


def test_many_are_worked_off_in_order_by_several_processes():
    numbers = list(range(10 * CHUNK + 1))
    found = list(in_processes(place, numbers, 2, many=1))
    assert [number for number, _ in found] == numbers
    assert os.getpid() not in {pid for _, pid in found}
    assert len({pid for _, pid in found}) == 2


def test_few_are_worked_off_here():
    assert {pid for _, pid in in_processes(place, [1, 2, 3], 2)} == {os.getpid()}
    assert {pid for _, pid in in_processes(place, list(range(50)), 1, many=1)} == {os.getpid()}


def test_what_is_raised_there_is_raised_here():
    with pytest.raises(DataProblem, match=f"no {3 * CHUNK}"):
        list(in_processes(refuse, list(range(5 * CHUNK)), 2, many=1))


def test_a_process_that_is_killed_is_told():
    with pytest.raises(RunProblem, match="ended at 0 or one of the"):
        list(in_processes(die, list(range(CHUNK)), 2, many=1))


def test_what_a_library_prints_does_not_come_between_the_answers():
    assert list(in_processes(talk, list(range(CHUNK)), 2, many=1)) == list(range(CHUNK))


PROGRAM = """
import signal
import time
from trainables.data.processes import in_processes
# What a shell starts in the background ignores Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)
print("main runs", flush=True)
for one in in_processes(time.sleep, [0.0] * 20 + [0.2] * 10_000, 2, many=1):
    pass
"""


def test_the_main_program_runs_once_and_ctrl_c_leaves_nothing_behind(tmp_path: Path):
    file = tmp_path / "main.py"
    file.write_text(PROGRAM, encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, file], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "main runs\n"
    children = f"/proc/{process.pid}/task/{process.pid}/children"
    if not Path(children).exists():
        pytest.skip("the system does not list children")
    deadline = time.monotonic() + 20
    while len(pids := Path(children).read_text().split()) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    try:
        said, complained = process.communicate(timeout=30)
    finally:
        process.kill()
    assert (said, "KeyboardInterrupt" in complained) == ("", True)
    # One that was being started at that moment nobody kills: it ends once it finds its input at an end.
    deadline = time.monotonic() + 10
    while (left := [pid for pid in pids if Path(f"/proc/{pid}").exists()]) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left == []
