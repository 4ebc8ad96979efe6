"""BLAS is held to one thread during fits, and only then."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import pytest

from multilevel.optimize.common import blas_threads as module
from multilevel.optimize.common.blas_threads import SHARED_FROM, blas_threads


class FakeBlas:
    """A library with a number of threads for the whole process."""

    def __init__(self):
        self.threads = 2
        self.n_limits = 0
        self.lib_controllers = []

    def limit(self, *, limits):
        self.n_limits += 1
        before, self.threads = self.threads, limits

        class Limiter:
            def restore_original_limits(limiter):  # noqa: N805
                self.threads = before

        return Limiter()


@pytest.fixture
def blas(monkeypatch):
    fake = FakeBlas()
    monkeypatch.setattr(module, "_controller", lambda: fake)
    return fake


def test_one_thread_inside_and_as_before_outside(blas):
    with blas_threads(10):
        assert blas.threads == 1
        with blas_threads(10):
            assert blas.threads == 1
        assert blas.threads == 1
    assert blas.threads == 2
    with blas_threads(SHARED_FROM):
        assert blas.threads == 2


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, GeneratorExit])
def test_an_error_gives_the_threads_back(blas, error):
    with pytest.raises(error), blas_threads(10):
        raise error
    assert blas.threads == 2


def test_an_interrupt_while_the_threads_are_changed_gives_them_back(blas, monkeypatch):
    limit = blas.limit

    def interrupted(*, limits):
        limit(limits=limits)
        raise KeyboardInterrupt

    monkeypatch.setattr(blas, "limit", interrupted)
    with pytest.raises(KeyboardInterrupt), blas_threads(10):
        pass
    monkeypatch.undo()
    assert module._ONE_THREAD._users == set()


@pytest.mark.parametrize("order", [("one", "two"), ("two", "one")], ids=str)
def test_fits_that_overlap_give_the_threads_back(blas, order):
    inside = {name: threading.Event() for name in order}
    end = {name: threading.Event() for name in order}

    def fit(name):
        with blas_threads(10):
            inside[name].set()
            end[name].wait(10)

    threads = {
        name: threading.Thread(target=fit, args=(name,)) for name in ("one", "two")
    }
    for name, thread in threads.items():
        thread.start()
        assert inside[name].wait(10)
    end[order[0]].set()
    threads[order[0]].join(10)
    assert blas.threads == 1
    end[order[1]].set()
    threads[order[1]].join(10)
    assert blas.threads == 2


def test_many_fits_at_once_give_the_threads_back(blas):
    def fits():
        for _ in range(50):
            with blas_threads(10):
                assert blas.threads == 1
                time.sleep(0)

    threads = [threading.Thread(target=fits) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert blas.threads == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_process_forked_during_a_fit_starts_anew(blas):
    with blas_threads(10):
        process = os.fork()
        if process == 0:
            status = 1
            try:
                # The fit that was running elsewhere is not in this process.
                assert blas.threads == 2
                with blas_threads(10):
                    assert blas.threads == 1
                assert blas.threads == 2
                status = 0
            finally:
                os._exit(status)
        _, status = os.waitpid(process, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        assert blas.threads == 1
    assert blas.threads == 2


SCRIPT = """
import threading
from threadpoolctl import threadpool_info
import multilevel as ml

def n_threads():
    return [i["num_threads"] for i in threadpool_info() if i["user_api"] == "blas"]

data = ml.datasets.load("sleepstudy")
model = ml.mixedlm("Reaction ~ Days + (Days | Subject)", data)
model.fit()
before = n_threads()
threads = [threading.Thread(target=lambda: [model.fit() for _ in range(5)])
           for _ in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
assert n_threads() == before, (before, n_threads())
"""


def test_the_library_itself_is_as_before_after_fits_in_threads():
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "2", "OMP_NUM_THREADS": "2"}
    subprocess.run([sys.executable, "-c", SCRIPT], env=environment, check=True)


POOL = """
import os, threading
import scipy.linalg
from concurrent.futures import ThreadPoolExecutor
from threadpoolctl import threadpool_info, threadpool_limits
from multilevel.optimize.common.blas_threads import blas_threads

def n_threads():
    return {i["num_threads"] for i in threadpool_info() if i["user_api"] == "blas"}

def hold(inside, end):
    with blas_threads(10):
        seen = n_threads()
        inside.set()
        end.wait(5)
        return seen

def start(pool):
    inside, end = threading.Event(), threading.Event()
    future = pool.submit(hold, inside, end)
    assert inside.wait(30)
    return future, end
"""

THREADS_THAT_LIVE_ON = """
assert n_threads() == {2}, n_threads()
with ThreadPoolExecutor(2) as pool:
    first, end_first = start(pool)
    second, end_second = start(pool)
    end_first.set()
    assert first.result() == {1}
    assert n_threads() == {1}
    end_second.set()
    second.result()
    assert n_threads() == {2}, n_threads()
"""

A_FORK_ELSEWHERE = """
with blas_threads(10):
    pass
with ThreadPoolExecutor(1) as pool:
    fit, end = start(pool)
    process = os.fork()
    if process == 0:
        os._exit(n_threads() != {2})
    assert os.waitpid(process, 0)[1] == 0
    end.set()
    assert fit.result() == {1}
    assert n_threads() == {2}, n_threads()
"""

A_LIMIT_OF_THE_CALLER = """
with ThreadPoolExecutor(1) as pool:
    with threadpool_limits(1, user_api="blas"):
        fit, end = start(pool)
        end.set()
        fit.result()
        assert n_threads() == {1}
    assert n_threads() == {2}, n_threads()
"""


@pytest.mark.parametrize(
    "script",
    [
        THREADS_THAT_LIVE_ON,
        pytest.param(
            A_FORK_ELSEWHERE,
            marks=pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here"),
        ),
        A_LIMIT_OF_THE_CALLER,
    ],
    ids=["threads that live on", "a fork elsewhere", "a limit of the caller"],
)
def test_the_last_fit_gives_back_the_threads_whichever_python_thread_it_runs_in(script):
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "2", "OMP_NUM_THREADS": "2"}
    subprocess.run([sys.executable, "-c", POOL + script], env=environment, check=True)
