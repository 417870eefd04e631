import os
import sys
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from tuner.runs import hardware
from tuner.runs.hardware import peak_memory_bytes, usual_ray_folder


def test_memory_is_known_where_sysconf_is_not(monkeypatch):
    monkeypatch.delattr(os, "sysconf")
    assert hardware.hardware()["memory_gib"] == round(psutil.virtual_memory().total / 2**30, 1)


def test_the_peak_is_at_least_what_is_held_now():
    assert peak_memory_bytes() >= psutil.Process().memory_info().rss * 0.9


@pytest.fixture
def no_proc(monkeypatch):
    def missing(self, **_):
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", missing)


@pytest.mark.parametrize(("system", "unit"), [("darwin", 1), ("linux", 1024), ("freebsd13", 1024)])
def test_the_peak_is_in_bytes_whatever_the_systems_unit(monkeypatch, no_proc, system, unit):
    fake = SimpleNamespace(RUSAGE_SELF=0, getrusage=lambda who: SimpleNamespace(ru_maxrss=1000))
    monkeypatch.setitem(sys.modules, "resource", fake)
    monkeypatch.setattr(sys, "platform", system)
    assert peak_memory_bytes() == 1000 * unit


def test_a_system_without_the_module_resource_has_no_peak(monkeypatch, no_proc):
    monkeypatch.setitem(sys.modules, "resource", None)
    assert peak_memory_bytes() == 0


@pytest.mark.parametrize(
    ("system", "folder"), [("linux", "/scratch/ray"), ("darwin", "/tmp/ray")], ids=lambda value: value
)
def test_ray_keeps_its_files_where_it_says(monkeypatch, system, folder):
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    monkeypatch.setenv("TMPDIR", "/scratch")
    assert usual_ray_folder() == Path(folder)
    monkeypatch.setenv("RAY_TMPDIR", "/r")
    assert usual_ray_folder() == Path("/r/ray")
    theirs = pytest.importorskip("ray._common.utils")
    assert str(usual_ray_folder()) == theirs.get_default_ray_temp_dir()
