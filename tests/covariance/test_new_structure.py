"""A new structure is one file and one row: all else follows without other code."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from dense_likelihood import central_difference
from new_structures import CompoundSymmetry, EqualCompoundSymmetry
from numpy.testing import assert_allclose

import multilevel as ml
from multilevel.covariance import registry
from multilevel.covariance.stacked_terms import StackedTerms
from multilevel.errors import ComparisonError, DataError, FormulaError
from multilevel.inference.chi_bar_square import cone_mixture, efficient_information

NEW = (CompoundSymmetry, EqualCompoundSymmetry)


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    for structure in NEW:
        monkeypatch.setitem(registry._ROWS, structure.name, structure)


@pytest.fixture(scope="module")
def machines():
    """Forty workers on three machines, twice each; their effects are correlated."""
    rng = np.random.default_rng(5)
    worker, machine = np.repeat(np.arange(40), 6), np.tile(np.repeat([0, 1, 2], 2), 40)
    chol = np.linalg.cholesky(0.4 + 0.6 * np.eye(3))
    effects = rng.normal(size=(40, 3)) @ chol.T * [1.0, 1.5, 0.7]
    y = effects[worker, machine] + rng.normal(size=240) * 0.6 + machine
    frame = pd.DataFrame({"y": y, "worker": worker, "x": rng.normal(size=240)})
    frame["f"] = np.array(list("abc"))[machine]
    frame["count"] = rng.poisson(np.exp(1.0 + 0.8 * effects[worker, machine]))
    frame["h"] = rng.integers(0, 12, 240)
    frame["y"] += rng.normal(size=12)[frame["h"]] * 0.4
    return frame


@pytest.mark.parametrize("structure", NEW)
def test_the_new_structures_are_what_they_say(structure):
    new = structure(3)
    theta = np.append(np.linspace(0.7, 1.3, new.n_theta - 1), 0.4)
    assert_allclose(new.jacobian(theta), central_difference(new.factor, theta, 1e-6))
    covariance = new.factor(theta) @ new.factor(theta).T
    assert_allclose(new.theta_of(new.factor(theta)), theta)
    assert len(set(covariance[np.tril_indices(3, -1)].round(12))) in (1, 3)
    assert new.correlated_pairs == ((0, 1), (0, 2), (1, 2))
    assert new.is_tied
    terms = StackedTerms((new, registry.STRUCTURES["us"](1)), (0, 0), 1)
    stacked = terms.stack(terms.term_factors(np.append(theta, 2.0)))
    assert_allclose(stacked[0][:3, :3], new.factor(theta))


def dense_loglike(frame, structure, params):
    """ML log-likelihood of [beta (3), theta, log sigma]."""
    theta, sigma = params[3:-1], np.exp(params[-1])
    factor = structure.factor(theta)
    G = factor @ factor.T
    total = 0.0
    for _, rows in frame.groupby("worker"):
        Z = (rows["f"].to_numpy()[:, None] == np.array(list("abc"))) * 1.0
        V = sigma**2 * (np.eye(len(rows)) + Z @ G @ Z.T)
        e = rows["y"].to_numpy() - Z @ params[:3]
        total += e @ np.linalg.solve(V, e) + np.linalg.slogdet(2 * np.pi * V)[1]
    return -total / 2.0


@pytest.mark.parametrize("structure", NEW)
def test_a_fit_is_the_maximum_of_the_dense_likelihood(machines, structure):
    formula = f"y ~ 0 + f + {structure.name}(0 + f | worker)"
    result = ml.mixedlm(formula, machines).fit(reml=False)
    assert result.converged
    assert_allclose(result.model.loglike(result.full_params), result.llf)
    at = np.array([*result.full_params[:-1], np.log(result.sigma)])

    def value(params):
        return dense_loglike(machines, structure(3), params)

    assert_allclose(value(at), result.llf, rtol=1e-9)
    slope = [
        (value(at + step) - value(at - step)) / 2e-4 for step in 1e-4 * np.eye(len(at))
    ]
    assert_allclose(slope, np.zeros(len(at)), atol=5e-3)


def test_equal_compound_symmetry_is_a_worker_and_a_worker_on_a_machine(machines):
    new = ml.mixedlm("y ~ f + homcs(0 + f | worker)", machines).fit()
    twin = ml.mixedlm("y ~ f + (1 | worker) + (1 | worker:f)", machines).fit()
    assert_allclose(new.llf, twin.llf, atol=1e-7)
    assert_allclose(new.params, twin.params, rtol=1e-6)
    assert_allclose(new.bse, twin.bse, rtol=1e-5)
    assert_allclose(new.ddf, twin.ddf, rtol=1e-3)


@pytest.mark.parametrize("structure", NEW)
def test_summary_and_components_show_every_correlation(machines, structure):
    formula = f"y ~ f + {structure.name}(0 + f | worker)"
    result = ml.mixedlm(formula, machines).fit()
    text = str(result.summary())
    assert formula in text
    frame = result.variance_components.to_frame(se=True)
    assert len(frame) == 3 + 3 + 1
    correlations = frame["sdcor"][frame["effect2"].notna()]
    assert_allclose(correlations, correlations.iloc[0])
    assert frame["se"].notna().all()
    known = structure is EqualCompoundSymmetry
    assert ("No LR test vs. linear model" in text) != known


def dense_information(frame, moves):
    """Restricted information of sigma^2 and of moves of one covariance at zero."""
    codes = frame["worker"].to_numpy()
    Z = (frame["f"].to_numpy()[:, None] == np.array(list("abc"))) * 1.0
    P = np.eye(len(frame)) - Z @ np.linalg.pinv(Z)  # y ~ f has the same columns
    along = [np.eye(len(frame))]
    along += [(codes[:, None] == codes) * (Z @ move @ Z.T) for move in moves]
    return np.array([[np.trace(P @ a @ P @ b) for b in along] for a in along]) / 2.0


def test_the_null_is_that_of_the_cone_which_the_structure_says(machines):
    # Unequal numbers of rows: else the two half-lines are orthogonal.
    frame = machines.drop(index=[0, 1, 7, 20, 21, 33, 100])
    result = ml.mixedlm("y ~ f + homcs(0 + f | worker)", frame).fit()
    test = result.compare_pooled()
    rays = [block.ray for block in EqualCompoundSymmetry(3).cone()]
    information = efficient_information(dense_information(frame, rays), 1)
    assert test.null == str(cone_mixture(information, [1, 1]))
    assert test.df == 2
    other = ml.mixedlm("y ~ f + (0 + f | worker)", frame).fit().compare_pooled()
    third = ml.mixedlm("y ~ f + (0 + f || worker)", frame).fit().compare_pooled()
    assert test.null not in (other.null, third.null)


@pytest.mark.parametrize("response", ["y", "count"])
def test_without_a_cone_the_null_is_refused(machines, response):
    formula = f"{response} ~ f + cs(0 + f | worker)"
    fit = (
        ml.mixedlm(formula, machines).fit()
        if response == "y"
        else ml.mixedglm(formula, machines, family="poisson").fit()
    )
    with pytest.raises(ComparisonError, match=r"compound symmetric .*\(cs\).*AIC"):
        fit.compare_pooled()


def test_the_null_of_a_generalized_model_is_that_of_the_cone(machines):
    formula = "count ~ f + {}(0 + f | worker)"
    new, free = (
        ml.mixedglm(formula.format(name), machines, family="poisson").fit()
        for name in ("homcs", "us")
    )
    assert new.compare_pooled().null.count("chi2") == 3
    assert new.compare_pooled().null != free.compare_pooled().null
    assert new.llf <= free.llf + 1e-8


@pytest.mark.parametrize("structure", NEW)
def test_tests_of_fixed_effects_keep_the_structure(machines, structure):
    term = f"{structure.name}(0 + f | worker)"
    small = ml.mixedlm(f"y ~ f + {term}", machines).fit(reml=False)
    large = ml.mixedlm(f"y ~ f + x + {term}", machines).fit(reml=False)
    test = large.compare_lr_test(small)
    assert (test.null, test.df) == ("chi2(1)", 1)


def test_a_term_beside_the_structure_has_its_own_null(machines):
    small = ml.mixedlm("y ~ f + homcs(0 + f | worker)", machines).fit()
    formula = "y ~ f + homcs(0 + f | worker) + (x | h)"
    with pytest.warns(ml.errors.SingularFitWarning):
        large = ml.mixedlm(formula, machines).fit()
    test = large.compare_lr_test(small)
    assert test.df == 3
    assert test.null.count("chi2") == 4


def test_what_a_structure_holds_is_allowed_for(machines):
    """J and I are the tangents of a worker and of a worker on a machine too."""
    rng = np.random.default_rng(3)
    frame = machines.assign(z=rng.normal(size=40)[machines["worker"]])
    frame["z"] += (frame["f"] == "a") * 1.5
    frame["y"] += frame["z"] * rng.normal(size=40)[frame["worker"]]
    more = "(0 + z | worker) + (0 + z | h)"
    tests = []
    for term in ("homcs(0 + f | worker)", "(1 | worker) + (1 | worker:f)"):
        small = ml.mixedlm(f"y ~ f + {term}", frame).fit()
        large = ml.mixedlm(f"y ~ f + {term} + {more}", frame).fit()
        tests.append(large.compare_lr_test(small))
    assert_allclose(tests[0].statistic, tests[1].statistic, rtol=1e-5)
    assert tests[0].null == tests[1].null


@pytest.mark.parametrize(
    ("structure", "mix", "alike"),
    [
        ("homcs", 2.0 * np.eye(3), True),
        ("homcs", np.diag([2.0, 1.0, 1.0]), False),
        ("cs", np.diag([2.0, 1.0, 3.0]), True),
        ("cs", np.eye(3) + np.diag([0.5, 0.0], 1), False),
    ],
)
def test_a_structure_is_retained_in_columns_that_mean_the_same(
    machines, structure, mix, alike
):
    indicator = pd.get_dummies(machines["f"]).to_numpy(float)

    def fitted(columns, exog):
        term = ml.RandomTerm(
            machines["worker"], columns, name="worker", structure=structure
        )
        return ml.MixedLM(machines["y"], exog, random=[term]).fit(reml=False)

    small = fitted(indicator, indicator)
    large = fitted(indicator @ mix, np.column_stack([indicator, machines["x"]]))
    if alike:
        assert large.compare_lr_test(small).null == "chi2(1)"
    else:
        with pytest.raises(ComparisonError, match="not nested"):
            large.compare_lr_test(small)


@pytest.mark.parametrize("structure", NEW)
def test_a_term_of_the_structure_is_tested_by_its_cone_or_not_at_all(
    machines, structure
):
    small = ml.mixedlm("y ~ f + (1 | h)", machines).fit()
    term = f"{structure.name}(0 + f | worker)"
    large = ml.mixedlm(f"y ~ f + (1 | h) + {term}", machines).fit()
    if structure is EqualCompoundSymmetry:
        test = large.compare_lr_test(small)
        assert (test.df, test.null.count("chi2")) == (2, 3)
    else:
        with pytest.raises(ComparisonError, match="not known"):
            large.compare_lr_test(small)


@pytest.mark.parametrize("structure", NEW)
def test_other_structures_are_not_taken_for_nested(machines, structure):
    formula = "y ~ f + {}(0 + f | worker)"
    tied, free, single = (
        ml.mixedlm(formula.format(name), machines).fit()
        for name in (structure.name, "us", "diag")
    )
    for other in (free, single):
        with pytest.raises(ComparisonError, match="not nested"):
            tied.compare_lr_test(other)


@pytest.mark.parametrize("structure", NEW)
def test_a_saved_fit_comes_back(machines, structure, tmp_path):
    formula = f"y ~ f + {structure.name}(0 + f | worker)"
    result = ml.mixedlm(formula, machines).fit()
    result.save(tmp_path / "fit.zip")
    again = ml.load(tmp_path / "fit.zip")
    assert str(again.summary()) == str(result.summary())
    assert_allclose(again.theta, result.theta)


def test_a_saved_fit_of_an_unknown_structure_is_refused(
    machines, tmp_path, monkeypatch
):
    result = ml.mixedlm("y ~ f + cs(0 + f | worker)", machines).fit()
    result.save(tmp_path / "fit.zip")
    monkeypatch.delitem(registry._ROWS, "cs")
    with pytest.raises((DataError, FormulaError)):
        ml.load(tmp_path / "fit.zip")


def test_arrays_take_the_new_structure_and_refuse_others(machines):
    indicator = pd.get_dummies(machines["f"]).to_numpy(float)
    term = ml.RandomTerm(
        machines["worker"], indicator, name="worker", structure="homcs"
    )
    arrays = ml.MixedLM(machines["y"], indicator, random=[term]).fit()
    formula = ml.mixedlm("y ~ 0 + f + homcs(0 + f | worker)", machines).fit()
    assert_allclose(arrays.llf, formula.llf, rtol=1e-10)
    assert "homcs(" in arrays.formula
    unknown = ml.RandomTerm(machines["worker"], structure="hcs")
    with pytest.raises(DataError, match="structure='hcs'"):
        ml.MixedLM(machines["y"], indicator, random=[unknown])


def test_a_random_intercept_beside_the_structure_is_named(machines):
    with pytest.warns(ml.errors.RankDeficiencyWarning, match="cannot tell apart"):
        ml.mixedlm("y ~ f + homcs(0 + f | worker) + (1 | worker)", machines).fit()
