"""`save` leaves the old file or the new one, whatever happens meanwhile."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
import threading
import zipfile

import pytest

import multilevel as ml
from multilevel.errors import DataError
from multilevel.results.saved import replaced_file as module


@pytest.fixture(scope="module")
def fits():
    sleep = ml.datasets.load("sleepstudy")
    formulas = ("Reaction ~ 1 + (1 | Subject)", "Reaction ~ Days + (1 | Subject)")
    return [ml.mixedlm(formula, sleep).fit() for formula in formulas]


@pytest.fixture
def place(fits, tmp_path):
    fits[0].save(tmp_path / "a.fit")
    return tmp_path / "a.fit"


def test_the_new_file_takes_the_place_of_the_old(fits, place):
    fits[1].save(place)
    assert ml.load(place).formula == fits[1].formula
    assert os.listdir(place.parent) == ["a.fit"]


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left"), KeyboardInterrupt()], ids=repr
)
@pytest.mark.parametrize("at", range(10))
def test_a_failure_at_any_write_leaves_the_old_file(
    fits, place, monkeypatch, error, at
):
    calls = 0
    write = zipfile.ZipFile.writestr

    def failing(*args, **options):
        nonlocal calls
        calls += 1
        if calls > at:
            raise error
        write(*args, **options)

    monkeypatch.setattr(zipfile.ZipFile, "writestr", failing)
    with pytest.raises(type(error)):
        fits[1].save(place)
    monkeypatch.undo()
    assert ml.load(place).llf == fits[0].llf
    assert os.listdir(place.parent) == ["a.fit"]


@pytest.mark.parametrize("step", ["fsync", "chmod", "replace"])
def test_a_failure_at_the_last_steps_leaves_the_old_file(
    fits, place, monkeypatch, step
):
    def failing(*args):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(module.os, step, failing)
    with pytest.raises(OSError, match="Input/output"):
        fits[1].save(place)
    monkeypatch.undo()
    assert ml.load(place).llf == fits[0].llf
    assert os.listdir(place.parent) == ["a.fit"]


SCRIPT = """
import sys
import multilevel as ml
data = ml.datasets.load("sleepstudy")
result = ml.mixedlm("Reaction ~ Days + (1 | Subject)", data).fit()
{before}
result.save(sys.argv[1])
"""


def run(script, place):
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-c", script, str(place)],
        capture_output=True,
        text=True,
        timeout=120,
        env=environment,
        check=False,
    )


@pytest.mark.skipif(os.name != "posix", reason="limits of POSIX")
def test_a_full_disk_leaves_the_old_file(fits, place):
    limit = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))"""
    done = run(SCRIPT.format(before=limit), place)
    assert done.returncode == 1
    assert "File too large" in done.stderr
    assert ml.load(place).llf == fits[0].llf
    assert os.listdir(place.parent) == ["a.fit"]


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_a_kill_in_the_middle_leaves_the_old_file(fits, place):
    kill = """
import os, signal, zipfile
write = zipfile.ZipFile.writestr
def killed(archive, member, *rest, **options):
    if getattr(member, "filename", "") == "array2.npy":
        os.kill(os.getpid(), signal.SIGKILL)
    write(archive, member, *rest, **options)
zipfile.ZipFile.writestr = killed"""
    done = run(SCRIPT.format(before=kill), place)
    assert done.returncode == -signal.SIGKILL
    assert ml.load(place).llf == fits[0].llf
    # What is left over is hidden, beside the file, and named after it.
    (left,) = set(os.listdir(place.parent)) - {"a.fit"}
    assert left.startswith(".a.fit-")
    assert left.endswith(".part")


def test_a_reader_always_reads_a_whole_file(fits, place):
    known = {fit.formula for fit in fits}
    stop = threading.Event()
    read, failures = [], []

    def reader():
        while not stop.is_set():
            try:
                read.append(ml.load(place).formula)
            except Exception as error:
                failures.append(error)

    thread = threading.Thread(target=reader)
    thread.start()
    for number in range(30):
        fits[number % 2].save(place)
    stop.set()
    thread.join(30)
    assert not failures
    assert read
    assert set(read) <= known


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_permissions_and_links_stay(fits, place):
    place.chmod(0o640)
    link = place.parent / "link.fit"
    link.symlink_to(place)
    fits[1].save(link)
    assert link.is_symlink()
    assert stat.S_IMODE(place.stat().st_mode) == 0o640
    assert ml.load(link).formula == fits[1].formula


def test_a_folder_is_no_place(fits, tmp_path):
    with pytest.raises(DataError, match="is a folder"):
        fits[0].save(tmp_path)
    with pytest.raises(FileNotFoundError):
        fits[0].save(tmp_path / "absent" / "a.fit")
    assert os.listdir(tmp_path) == []
