import subprocess
import sys

import psutil
import pytest

from tuner.cluster.processes import end, end_watchers, rays_below

WATCHING = ("dashboard/dashboard.py", "_private/log_monitor.py", "autoscaler/_private/monitor.py")
WORKING = ("core/raylet.py", "_private/workers/default_worker.py")


@pytest.fixture
def started(tmp_path):
    """Processes that look like Ray's, and one that does not; by their file."""
    found = {}
    for name in ("mine.py", *(f"ray/{file}" for file in (*WATCHING, *WORKING))):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        # As some of Ray's, it does not heed SIGTERM.
        file.write_text(
            "import signal, time\nsignal.signal(15, signal.SIG_IGN)\nprint(flush=True)\ntime.sleep(60)\n"
        )
        found[name] = subprocess.Popen([sys.executable, str(file)], stdout=subprocess.PIPE)
        found[name].stdout.readline()
    yield found
    for one in found.values():
        one.kill()
        one.communicate()


def alive(started):
    return {name for name, process in started.items() if process.poll() is None}


def test_rays_processes_are_known_by_their_files(started):
    found = {one.pid for one in rays_below()}
    assert found == {process.pid for name, process in started.items() if name.startswith("ray/")}


def test_who_only_watches_is_ended_at_once_and_the_others_after_a_while(started):
    found = rays_below()
    end_watchers(found)
    psutil.wait_procs([psutil.Process(started[f"ray/{file}"].pid) for file in WATCHING], timeout=5)
    assert alive(started) == {"mine.py", *(f"ray/{file}" for file in WORKING)}
    end(found, 0.1)
    psutil.wait_procs(found, timeout=5)
    assert alive(started) == {"mine.py"}


def test_a_process_that_has_ended_meanwhile_is_passed_over(started):
    found = rays_below()
    for process in started.values():
        process.kill()
        process.wait()
    end_watchers(found)
    end(found, 0.0)
    assert alive(started) == set()
