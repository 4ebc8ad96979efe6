"""What is said of a search that ended away from an optimum."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from generalized_fits import problem_of
from multilevel.optimize.generalized.report import obstacle_of
from multilevel.optimize.generalized.separation import RunningOff

FINE = RunningOff((), (), 0)


def end_at(eta, *, gain=0.5, value=400.0):
    """The end of a search, as far as it is read here."""
    point = SimpleNamespace(modes=SimpleNamespace(eta=eta), value=value, x=np.zeros(2))
    return SimpleNamespace(point=point, expected_gain=gain, evaluations=7)


@pytest.fixture
def problems(frame):
    def of(link):
        rows = frame.assign(z=np.arange(len(frame)))  # no two rows are merged
        return problem_of("binary ~ z + (1 | g)", rows, "binomial", link=link)

    return of


@pytest.mark.parametrize(
    ("link", "near", "n_rows"),
    [
        ("log", -1e-5, 100),  # a mean near one
        ("log", -12.0, 0),  # zero is no edge: eta may go on falling
        ("logc", -1e-5, 100),
        ("logc", -12.0, 0),
        ("identity", 1e-5, 100),
        ("identity", 1.0 - 1e-5, 100),
        ("logit", 12.0, 0),
    ],
)
def test_rows_at_the_edge_of_a_link_are_counted(problems, link, near, n_rows):
    problem = problems(link)
    middle = problem.family.link.eta(np.array([0.5]))
    eta = np.where(np.arange(problem.n_rows) < 100, near, middle)
    told = obstacle_of(problem, end_at(eta), FINE, ())
    assert told.startswith("stopped after 7 evaluations")
    assert ("has come to the edge" in told) == (n_rows > 0)
    assert (f"probability of {n_rows} rows" in told) == (n_rows > 0)


def test_a_search_that_arrived_has_no_obstacle(problems):
    assert (
        obstacle_of(problems("logit"), end_at(np.zeros(600), gain=1e-5), FINE, ()) == ""
    )


@pytest.mark.parametrize(
    ("value", "off", "unknown", "told"),
    [
        (400.0, FINE, ("x", "z"), "the likelihood does not change with x, z as far as"),
        (400.0, RunningOff(("x",), (), 9), ("x",), "no finite estimate of x exists"),
        (1e12, FINE, (), "give the response in another unit"),
        (400.0, FINE, (), "could still fall by 0.5. Simplify the random terms"),
    ],
)
def test_the_reason_that_explains_most_is_told(problems, value, off, unknown, told):
    end = end_at(np.zeros(600), value=value)
    assert told in obstacle_of(problems("logit"), end, off, unknown)
