"""Adaptive Gauss-Hermite quadrature: integrals by brute force, gradient, one node."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import integrate

import multilevel.likelihood.generalized.quadrature as quadrature_module
from generalized_cases import UNBOUNDED, RandomCase, draw_case
from multilevel.likelihood.generalized.laplace import laplace_deviance, laplace_slopes
from multilevel.likelihood.generalized.pirls import find_modes
from multilevel.likelihood.generalized.quadrature import (
    level_log_integrals,
    node_rule,
    quadrature_deviance,
)

STEP = 2e-5
SINGLE = ["intercept", "slope", "three effects"]


def approximate(
    case: RandomCase, n_nodes, beta=None, lams=None, delta=None, start=None
):
    delta = case.shapes if delta is None else delta
    base = case.base(beta)
    lams = case.lams if lams is None else lams
    modes = find_modes(case.rows, base, lams, delta, start=start, tolerance=1e-24)
    return quadrature_deviance(case.rows, base, modes, delta, n_nodes)


@pytest.mark.parametrize("n_nodes", [1, 2, 5, 8, 25, 101])
def test_rule_integrates_polynomials_against_the_normal(n_nodes):
    rule = node_rule(n_nodes, 1)
    weights = np.exp(rule.log_weights - 0.5 * rule.nodes[0] ** 2)
    moments = [1.0, 0.0, 1.0, 0.0, 3.0, 0.0, 15.0]
    for power in range(min(2 * n_nodes, 7)):
        actual = weights @ rule.nodes[0] ** power
        assert_allclose(actual, moments[power], rtol=1e-11, atol=1e-11)


def test_product_rule_has_every_combination():
    rule = node_rule(3, 2)
    assert rule.nodes.shape == (2, 9)
    assert len({tuple(node) for node in rule.nodes.T}) == 9


@pytest.mark.parametrize(("family", "link"), UNBOUNDED)
@pytest.mark.parametrize("structure", SINGLE)
def test_one_node_is_the_laplace_approximation(family, link, structure):
    case = draw_case(1, family, link, structure)
    point, slopes = approximate(case, 1)
    laplace = laplace_deviance(case.rows, point.modes, case.shapes)
    expected = laplace_slopes(case.rows, laplace)
    assert_allclose(point.value, laplace.value, rtol=1e-13)
    assert_allclose(slopes.eta, expected.eta, atol=1e-10)
    lower = np.tril(slopes.lams[0] - expected.lams[0])
    assert_allclose(lower, 0.0, atol=1e-8 * (1 + np.abs(expected.lams[0]).max()))
    assert_allclose(slopes.shapes, expected.shapes, rtol=1e-9)


def level_density(case: RandomCase, level: int):
    """exp(h_j(u)) as a function of u (S,), with all constants."""
    index = case.effects.factors[0].index
    rows = np.flatnonzero(index.codes == level)
    columns = [
        np.ones(len(rows)) if column is None else column[rows]
        for column in case.effects.factors[0].columns
    ]
    Z = np.column_stack(columns) @ case.lams[0]
    likelihood = case.rows.likelihood.take(rows)
    base = case.base()[rows]
    constant = likelihood.normalizer(case.shapes).sum()
    constant -= 0.5 * len(columns) * np.log(2 * np.pi)

    def density(*u):
        u = np.array(u)
        eta = base + np.tensordot(u, Z.T, axes=(0, 0))
        value = likelihood.density(eta, case.shapes)[0].sum(axis=-1)
        return np.exp(value + constant - 0.5 * (u * u).sum(axis=0))

    return density


# Heavy-tailed or strongly skewed posteriors need more than 25 nodes.
SMOOTH = [
    (family, link)
    for family, link in UNBOUNDED
    if family not in ("inversegaussian",) and link != "cauchy"
]


@pytest.mark.parametrize(("family", "link"), SMOOTH)
def test_25_nodes_against_brute_force(family, link):
    case = draw_case(2, family, link, "intercept", n_rows=40)
    point, _ = approximate(case, 25)
    total = 0.0
    for level in range(case.effects.factors[0].index.n_levels):
        mode = point.modes.effects[0][0, level] / case.lams[0][0, 0]
        value, _ = integrate.quad(
            level_density(case, level), mode - 9, mode + 9, epsabs=0, epsrel=1e-12
        )
        total -= 2.0 * np.log(value)
    assert_allclose(point.value, total, rtol=0, atol=1e-8)


@pytest.mark.parametrize(
    ("family", "link"), [("binomial", "logit"), ("poisson", "log")]
)
def test_25_nodes_against_brute_force_in_two_dimensions(family, link):
    case = draw_case(3, family, link, "slope", n_rows=60)
    point, _ = approximate(case, 25)
    modes = np.linalg.solve(case.lams[0], point.modes.effects[0])
    grid = np.linspace(-8, 8, 161)
    total = 0.0
    for level in range(modes.shape[1]):
        density = level_density(case, level)
        values = density(*np.meshgrid(*(grid + modes[:, [level]])))
        # The trapezoidal rule converges geometrically for such integrands.
        total -= 2.0 * np.log(values.sum() * (grid[1] - grid[0]) ** 2)
    assert_allclose(point.value, total, rtol=0, atol=1e-8)


@pytest.mark.parametrize(("family", "link"), UNBOUNDED)
@pytest.mark.parametrize(
    ("structure", "n_nodes"), [*zip(SINGLE, (7, 4, 3), strict=True)]
)
@settings(max_examples=4)
@given(seed=st.integers(0, 2**32 - 1), singular=st.booleans())
def test_gradient_against_central_differences(
    family, link, structure, n_nodes, seed, singular
):
    case = draw_case(seed, family, link, structure, n_rows=40, singular=singular)
    point, slopes = approximate(case, n_nodes)
    start = point.modes

    def slope(**moves):
        names = list(moves)
        values = [
            approximate(
                case, n_nodes, start=start, **{name: moves[name][i] for name in names}
            )[0].value
            for i in (0, 1)
        ]
        return (values[0] - values[1]) / (2.0 * STEP)

    expected, actual = [], []
    for j in range(2):
        shift = STEP * np.eye(2)[j]
        expected.append(slope(beta=(case.beta + shift, case.beta - shift)))
        actual.append(case.X[:, j] @ slopes.eta)
    lam = case.lams[0]
    for row, col in zip(*np.tril_indices(len(lam)), strict=True):
        shift = np.zeros_like(lam)
        shift[row, col] = STEP
        expected.append(slope(lams=([lam + shift], [lam - shift])))
        actual.append(slopes.lams[0][row, col])
    for k, shift in enumerate(STEP * np.eye(len(case.shapes))):
        expected.append(slope(delta=(case.shapes + shift, case.shapes - shift)))
        actual.append(slopes.shapes[k])
    scale = 1.0 + np.abs(expected).max()
    assert_allclose(actual, expected, rtol=2e-5, atol=2e-6 * scale)


def test_pieces_of_levels_give_the_same(monkeypatch):
    case = draw_case(4, "negativebinomial", "log", "slope")
    whole, whole_slopes = approximate(case, 5)
    monkeypatch.setattr(quadrature_module, "CHUNK", 100)
    parts, part_slopes = approximate(case, 5)
    assert_allclose(parts.value, whole.value, rtol=1e-14)
    assert_allclose(part_slopes.eta, whole_slopes.eta, rtol=1e-12)
    assert_allclose(part_slopes.lams[0], whole_slopes.lams[0], rtol=1e-10, atol=1e-10)


def test_contributions_of_the_levels_add_up():
    case = draw_case(5, "binomial", "probit", "slope")
    point, _ = approximate(case, 5)
    logs = level_log_integrals(case.rows, case.base(), point.modes, 0.0, 5)
    total = logs.sum() + case.rows.likelihood.normalizer(0.0).sum()
    assert_allclose(-2.0 * total, point.value, rtol=1e-13)


def test_nodes_outside_the_domain_of_the_link_do_not_count():
    """The integrals are those over the etas that have a mean: 0.8 + 0.1 u > 0."""
    drawn = draw_case(6, "gamma", "identity", n_rows=40)
    case = replace(
        drawn,
        beta=np.zeros(2),
        offset=np.full(40, 0.8),
        lams=[np.array([[0.1]])],
        shapes=np.zeros(1),
    )
    with np.errstate(all="ignore"):
        point, slopes = approximate(case, 60)
    total = sum(
        np.log(integrate.quad(level_density(case, level), -7.99, 9.0, epsrel=1e-11)[0])
        for level in range(case.effects.factors[0].index.n_levels)
    )
    assert_allclose(point.value, -2.0 * total, rtol=1e-9)
    assert np.isfinite(slopes.eta).all()
