"""Expected information of covariances against dense formulas and simulation."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import multilevel as ml
from multilevel.inference import expected_information as module
from multilevel.inference.expected_information import expected_information
from multilevel.likelihood.linear import evaluation

pytestmark = pytest.mark.filterwarnings("ignore::multilevel.errors.SingularFitWarning")


def crossed_model(random, n_rows=60, fixed="x"):
    rng = np.random.default_rng(4)
    data = pd.DataFrame(
        {
            "g": rng.integers(0, 9, n_rows),
            "h": rng.integers(0, 6, n_rows),
            "x": rng.normal(size=n_rows),
            "y": rng.normal(size=n_rows),
            "w": rng.uniform(0.5, 2.0, n_rows),
        }
    )
    return ml.mixedlm(f"y ~ {fixed} + {random}", data, weights="w")


def moves_of(problem):
    """Every entry of every factor's matrix, as directions."""
    sizes = problem.terms.block_sizes
    entries = [
        (k, r, c) for k, s in enumerate(sizes) for c in range(s) for r in range(c, s)
    ]
    directions = [np.zeros((len(entries), s, s)) for s in sizes]
    for a, (k, r, c) in enumerate(entries):
        directions[k][a, r, c] = directions[k][a, c, r] = 1.0
    return directions


def dense(model, lams, directions, *, reml, scale_known):
    """The formula with (n, n) matrices."""
    design, problem = model.design, model.problem
    columns = []
    for k, factor in enumerate(design.factors):
        indicator = np.eye(factor.n_levels)[factor.codes]
        work = np.column_stack(
            [
                term.columns @ problem.basis.terms[t]
                for t, term in enumerate(design.terms)
                if term.factor_index == k
            ]
        )
        columns.append((indicator, work))

    def spread(k, G):
        indicator, work = columns[k]
        return (indicator @ indicator.T) * (work @ G @ work.T)

    V = np.diag(1.0 / design.weights)
    V = V + sum(spread(k, lam @ lam.T) for k, lam in enumerate(lams))
    P = np.linalg.inv(V)
    n, p = design.X.shape
    if reml:
        P = P - P @ design.X @ np.linalg.solve(
            design.X.T @ P @ design.X, design.X.T @ P
        )
    m = len(directions[0])
    moved = [
        P @ sum(spread(k, d[a]) for k, d in enumerate(directions)) for a in range(m)
    ]
    both = np.array([[np.trace(a @ b) for b in moved] for a in moved])
    if not scale_known:
        one = np.array([np.trace(a) for a in moved])
        both = both - np.outer(one, one) / (n - p if reml else n)
    return both / 2.0


@pytest.mark.parametrize(
    "random", ["(x | g)", "(x | g) + (1 | h)", "(x || h) + (1 | g)"]
)
@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("scale_known", [True, False])
def test_is_that_of_the_dense_formula(random, reml, scale_known):
    model = crossed_model(random)
    rng = np.random.default_rng(1)
    lams = [np.tril(rng.normal(size=(s, s))) for s in model.problem.terms.block_sizes]
    directions = moves_of(model.problem)
    found = expected_information(
        model.problem, model.design, lams, directions,
        reml=reml, scale_known=scale_known,
    )  # fmt: skip
    expected = dense(model, lams, directions, reml=reml, scale_known=scale_known)
    assert_allclose(found, expected, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize(
    ("reml", "fixed", "n_rows"),
    [
        (True, "x", 400),
        (False, "x", 400),
        (True, "bs(x, df=12)", 60),
        (False, "bs(x, df=12)", 60),
    ],
)
def test_large_designs_draw_responses(monkeypatch, reml, fixed, n_rows):
    monkeypatch.setattr(evaluation, "MAX_EFFECTS", 0)
    model = crossed_model("(x | g) + (1 | h)", n_rows, fixed)
    lams = [0.5 * np.eye(s) for s in model.problem.terms.block_sizes]
    directions = moves_of(model.problem)
    arguments = (model.problem, model.design, lams, directions)
    exact = expected_information(*arguments, reml=reml)
    monkeypatch.setattr(module, "MAX_DENSE", 1)
    monkeypatch.setattr(module, "_PROBES", 400)
    drawn = expected_information(*arguments, reml=reml)
    assert (drawn != exact).any()
    size = np.sqrt(np.diag(exact))
    assert_allclose(
        drawn / np.outer(size, size), exact / np.outer(size, size), atol=0.15
    )


def two_slopes(seed):
    """Thirty groups with random intercepts; x and z have no random slopes."""
    rng = np.random.default_rng(9)
    g = np.repeat(np.arange(30), 6)
    data = pd.DataFrame({"g": g, "x": rng.normal(size=180), "z": rng.normal(size=180)})
    noise = np.random.default_rng(seed)
    return data.assign(y=noise.normal(size=180) + 0.8 * noise.normal(size=30)[g])


def slopes_test(data, random="(x + z | g)"):
    full = ml.mixedlm(f"y ~ x + z + {random}", data).fit()
    return full.compare_lr_test(ml.mixedlm("y ~ x + z + (1 | g)", data).fit())


def test_null_hardly_depends_on_the_noise_of_the_sample():
    weights = np.array(
        [slopes_test(two_slopes(s)).null_distribution.weights for s in range(6)]
    )
    assert np.ptp(weights, axis=0).max() < 0.01


def test_null_does_not_depend_on_units_origins_or_order():
    data = two_slopes(1)
    expected = slopes_test(data)
    moved = data.assign(x=(data["x"] + 2000.0) * -3.0, z=1e4 * data["z"])
    for random in ("(x + z | g)", "(z + x | g)"):
        test = slopes_test(moved, random)
        assert_allclose(test.pvalue, expected.pvalue, rtol=1e-4)
        assert test.null == expected.null
