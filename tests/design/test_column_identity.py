"""A column is what it holds, not what it is called."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from patsy.contrasts import ContrastMatrix

import multilevel as ml


def sample(seed: int = 3, n_groups: int = 20, n_each: int = 12) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(n_groups), n_each)
    f = rng.integers(0, 3, len(g))
    x = rng.normal(size=len(g))
    own = rng.normal(size=(n_groups, 3)) * [1.0, 0.5, 1.5]
    y = 1 + f + 0.5 * x + own[g, f] + 0.5 * rng.normal(size=n_groups)[g] * x
    return pd.DataFrame(
        {"y": y + rng.normal(size=len(g)), "g": g, "x": x, "f": np.array([*"abc"])[f]}
    )


def fitted(
    formula: str, data: pd.DataFrame, *, reml: bool = False
) -> ml.MixedLMResults:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ml.errors.SingularFitWarning)
        return ml.mixedlm(formula, data).fit(reml=reml)


class SameSuffixes:
    """A contrast of a user, whose two codings are called the same."""

    def code_with_intercept(self, levels: list[object]) -> ContrastMatrix:
        suffixes = [f".{number}" for number in range(len(levels))]
        return ContrastMatrix(np.eye(len(levels))[:, ::-1], suffixes)

    def code_without_intercept(self, levels: list[object]) -> ContrastMatrix:
        whole = self.code_with_intercept(levels)
        matrix = np.eye(len(levels))[:, 1:]
        return ContrastMatrix(matrix, whole.column_suffixes[:-1])


def test_a_column_called_intercept_is_not_the_random_intercept():
    data = sample()
    named = fitted("y ~ Intercept + (1 | g)", data.rename(columns={"x": "Intercept"}))
    plain = fitted("y ~ x + (1 | g)", data)
    assert named.llf == pytest.approx(plain.llf, abs=1e-9)
    assert list(named.params.index) == ["Intercept", "Intercept#2"]
    assert list(named.random_effects["g"]) == ["Intercept"]
    assert_allclose(named.coefficients["g"], plain.coefficients["g"], atol=1e-7)
    assert_allclose(
        named.t_test("Intercept#2 = 0").tvalue, plain.t_test("x = 0").tvalue, rtol=1e-6
    )


def test_a_random_slope_called_intercept_is_told_apart_from_the_intercept():
    data = sample()
    renamed = data.rename(columns={"x": "Intercept"})
    named = fitted("y ~ Intercept + (1 | g) + (0 + Intercept | g)", renamed)
    plain = fitted("y ~ x + (1 | g) + (0 + x | g)", data)
    assert named.llf == pytest.approx(plain.llf, abs=1e-9)
    assert list(named.random_effects["g"]) == ["Intercept", "Intercept#2"]
    assert_allclose(named.coefficients["g"], plain.coefficients["g"], atol=1e-6)
    assert len(set(named.variance_components.to_frame(se=True)["effect1"])) == 3


@pytest.mark.parametrize("fixed", ["f", "0 + f", "C(f, Diff)", "C(f, same)"])
@pytest.mark.parametrize(
    "random", ["0 + f", "C(f, Sum)", "0 + C(f, Diff)", "0 + C(f, same)", "C(f, same)"]
)
def test_the_coding_of_the_random_columns_does_not_change_the_fit(fixed, random):
    data = sample()
    same = SameSuffixes()  # found by the formula
    assert same.code_with_intercept([1, 2]).column_suffixes == [".0", ".1"]
    plain = fitted("y ~ f + (0 + f | g)", data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ml.errors.SingularFitWarning)
        other = ml.mixedlm(f"y ~ {fixed} + ({random} | g)", data).fit(reml=False)
    assert other.llf == pytest.approx(plain.llf, abs=1e-6)
    assert_allclose(other.fittedvalues, plain.fittedvalues, atol=1e-3)
    new = data[["f", "g"]].drop_duplicates()
    assert_allclose(other.predict(new), plain.predict(new), atol=1e-3)
    assert other.coefficients["g"].columns.is_unique
    assert other.random_effects["g"].columns.is_unique


@pytest.mark.parametrize("pair", [(1, "1"), (True, "True"), (2.5, "2.5")])
def test_levels_that_print_alike_are_two_levels(pair):
    data = sample()
    codes = {"a": pair[0], "b": pair[1], "c": "z"}
    data["o"] = pd.Series([codes[level] for level in data["f"]], dtype=object)
    plain = fitted("y ~ 0 + f + (0 + f | g)", data)
    other = fitted("y ~ 0 + o + (0 + o | g)", data)
    assert other.llf == pytest.approx(plain.llf, abs=1e-8)
    assert set(other.params.index) == {f"o[{pair[0]}]", f"o['{pair[0]}']", "o[z]"}
    assert_allclose(
        other.params[[f"o[{pair[0]}]", f"o['{pair[0]}']", "o[z]"]],
        plain.params,
        atol=1e-6,
    )
    new = pd.DataFrame({"o": pd.Series([*codes.values()], dtype=object)})
    assert_allclose(other.predict(new, random="none"), plain.params, atol=1e-6)


def test_groups_that_print_alike_are_told_apart():
    data = sample()
    parts = {"a": ("u:v", "w"), "b": ("u", "v:w"), "c": ("u", "x")}
    data["p"] = [parts[level][0] for level in data["f"]]
    data["q"] = [parts[level][1] for level in data["f"]]
    result = fitted("y ~ x + (1 | p:q)", data)
    expected = fitted("y ~ x + (1 | f)", data)
    modes = result.random_effects["p:q"]["Intercept"]
    assert modes.index.is_unique
    assert set(modes.index) == {"u:v:w", "u:v:w#2", "u:x"}
    assert_allclose(
        sorted(modes), sorted(expected.random_effects["f"]["Intercept"]), atol=1e-6
    )
    assert_allclose(result.predict(data), expected.predict(data), atol=1e-6)


def test_arrays_add_fixed_and_random_parts_of_the_same_column_only():
    data = sample()
    exog = np.column_stack([np.ones(len(data)), data["x"]])
    random = [ml.RandomTerm(data["g"].to_numpy(), name="g")]
    result = ml.MixedLM(data["y"].to_numpy(), exog, random=random).fit()
    expected = fitted("y ~ x + (1 | g)", data, reml=True).coefficients["g"]
    assert list(result.coefficients["g"]) == ["const", "x1"]
    assert_allclose(result.coefficients["g"], expected, atol=1e-6)


def test_arrays_of_one_name_and_other_values_are_not_added():
    data = sample()
    exog = pd.DataFrame({"const": 1.0, "x1": data["x"]})
    slope = pd.DataFrame({"x1": np.cos(np.arange(len(data)))})
    random = [ml.RandomTerm(data["g"]), ml.RandomTerm(data["g"], slope)]
    result = ml.MixedLM(data["y"], exog, random=random).fit()
    table = result.coefficients["group"]
    assert list(table) == ["const", "x1", "x1#2"]
    assert_allclose(table["x1"], result.params["x1"])
    assert_allclose(table["x1#2"], result.random_effects["group"]["x1#2"])


def test_fixed_arrays_of_one_name_are_told_apart():
    data = sample()
    exog = pd.DataFrame({"const": 1.0, "x": data["x"], "z": data["x"] ** 2})
    exog.columns = ["const", "x", "x"]
    result = ml.MixedLM(data["y"], exog, random=[ml.RandomTerm(data["g"])]).fit()
    assert list(result.params.index) == ["const", "x", "x#2"]
    assert result.t_test("x#2 = 0").tvalue == pytest.approx(result.tvalues["x#2"])
    assert list(result.conf_int().index) == ["const", "x", "x#2"]


def test_the_constant_is_known_by_its_values():
    data = sample().rename(columns={"x": "Intercept"})
    without = fitted("y ~ 0 + Intercept + (1 | g)", data)
    assert without.model.k_constant == 0
    assert without.model.data.const_idx is None
    assert fitted("y ~ Intercept + (1 | g)", data).model.data.const_idx == 0


NAMES = ["Intercept", "x", "f", "f[T.b]", "x#2", "a:b", "const", "np", "1", "sigma"]


@settings(max_examples=15, deadline=None)
@given(
    names=st.lists(st.sampled_from(NAMES), min_size=2, max_size=2, unique=True),
    levels=st.lists(
        st.sampled_from([1, "1", True, "True", 0, "0", "a", "a:b", "#2", 2.5]),
        min_size=3, max_size=3, unique_by=(lambda level: (hash(level), str(level))),
    ),
    coding=st.sampled_from(["", ", Sum", ", Diff", ", Helmert", ", Poly"]),
)  # fmt: skip
def test_names_and_codings_do_not_change_what_is_fitted(names, levels, coding):
    if len({hash(level) for level in levels}) < 3:
        return
    data = sample(n_groups=8, n_each=9)
    plain = fitted("y ~ f + x + (1 | g)", data)
    other = data[["y", "g"]].copy()
    other[names[0]] = data["x"]
    relabelled = dict(zip("abc", levels, strict=True))
    other[names[1]] = pd.Series([relabelled[f] for f in data["f"]], dtype=object)
    categories = f"C(Q({names[1]!r}){coding})"
    result = fitted(f"y ~ {categories} + Q({names[0]!r}) + (1 | g)", other)
    assert result.llf == pytest.approx(plain.llf, abs=1e-7)
    assert_allclose(result.fittedvalues, plain.fittedvalues, atol=1e-5)
    assert_allclose(result.predict(other), plain.predict(data), atol=1e-5)
    assert_allclose(result.params.iloc[-1], plain.params["x"], atol=1e-6)
    assert result.params.index.is_unique


def test_intercept_is_the_constant_wherever_the_model_has_it():
    data = sample().rename(columns={"x": "Intercept"})
    result = fitted("y ~ 0 + Intercept + (1 | g)", data)
    assert list(result.params.index) == ["Intercept#2"]
    assert list(result.random_effects["g"]) == ["Intercept"]
    result = fitted("y ~ 0 + f + (0 + Intercept | g) + (1 | g)", data)
    assert list(result.random_effects["g"]) == ["Intercept#2", "Intercept"]
    without = fitted("y ~ 0 + Intercept + (0 + Intercept | g)", data)
    assert list(without.params.index) == ["Intercept"]
    assert list(without.random_effects["g"]) == ["Intercept"]


def test_terms_are_tested_where_a_column_is_called_intercept():
    data = sample()
    named = fitted("y ~ Intercept + (1 | g)", data.rename(columns={"x": "Intercept"}))
    terms = named.wald_test_terms().table
    assert list(terms.index) == ["Intercept", "Intercept#2"]
    plain = fitted("y ~ x + (1 | g)", data).wald_test_terms().table
    assert_allclose(terms["pvalue"].astype(float), plain["pvalue"].astype(float))


def test_groups_of_one_and_of_the_text_one_print_apart():
    data = sample()
    data["g"] = data["g"].astype(object).replace({3: "4"})
    result = fitted("y ~ x + (1 | g)", data)
    modes = result.random_effects["g"]["Intercept"]
    assert "'4'" in str(modes)
    assert modes["4"] != modes[4]
    new = pd.DataFrame({"x": 0.0, "g": pd.Series([4, "4"], dtype=object)})
    assert_allclose(result.predict(new) - result.params["Intercept"], modes[[4, "4"]])


@pytest.mark.parametrize("name", ["weights", "offset"])
def test_missing_values_of_a_column_and_of_an_array_of_one_name_both_count(name):
    data = sample().rename(columns={"x": name})
    data.loc[3, name] = np.nan
    given = np.ones(len(data))
    given[8] = np.nan
    with pytest.warns(ml.errors.DroppedRowsWarning, match="2 of 240"):
        model = ml.mixedlm(f"y ~ {name} + (1 | g)", data, **{name: given})
    assert model.nobs == len(data) - 2
    assert np.isfinite(model.exog).all()


def test_missing_values_of_columns_that_print_alike_all_count():
    data = sample().assign(z=lambda d: d["x"] ** 2)
    data.loc[3, "x"] = data.loc[8, "z"] = np.nan
    data = data.rename(columns={"x": 0, "z": "0"})
    with pytest.warns(ml.errors.DroppedRowsWarning, match="2 of 240"):
        model = ml.mixedlm("y ~ Q(0) + Q('0') + (1 | g)", data)
    assert np.isfinite(model.exog).all()


@pytest.mark.parametrize("other", ["effects", "response", "groups", "weights"])
def test_missing_values_of_arrays_of_one_name_all_count(other):
    data = sample()
    slope = "weights" if other == "weights" else "x1"
    exog = pd.DataFrame({"const": 1.0, slope: data["x"]})
    exog.loc[3, slope] = np.nan
    gap = np.where(np.arange(len(data)) == 8, np.nan, 1.0)
    random, y, options = [ml.RandomTerm(data["g"])], data["y"], {}
    if other == "effects":
        effects = pd.DataFrame({"x1": data["x"] ** 2 * gap})
        random.append(ml.RandomTerm(data["g"], effects))
    elif other == "response":
        y = (y * gap).rename("x1")
    elif other == "groups":
        random = [ml.RandomTerm((data["g"] * gap).rename("g"), name="x1")]
    else:
        options = {"weights": gap}
    with pytest.warns(ml.errors.DroppedRowsWarning, match="2 of 240"):
        model = ml.MixedLM(y, exog, random=random, **options)
    assert model.nobs == len(data) - 2
    assert np.isfinite(model.exog).all()


@pytest.mark.parametrize("random", ["0 + C(f, Diff)", "C(f, Sum)", "0 + C(f, same)"])
def test_the_coding_of_a_generalized_model_does_not_change_the_fit(random):
    same = SameSuffixes()  # found by the formula
    assert same.code_with_intercept([1, 2]).column_suffixes == [".0", ".1"]
    data = sample().assign(b=lambda d: (d["y"] > 2).astype(int))
    results = []
    for formula in ("b ~ f + (0 + f | g)", f"b ~ C(f, Diff) + ({random} | g)"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ml.errors.SingularFitWarning)
            results.append(ml.mixedglm(formula, data, family="binomial").fit())
    assert results[1].llf == pytest.approx(results[0].llf, abs=1e-5)
    assert_allclose(results[1].predict(data), results[0].predict(data), atol=2e-3)


def test_columns_are_called_the_intercept_in_errors_only_if_they_are():
    data = sample().rename(columns={"x": "Interception"}).assign(one="a")
    with pytest.raises(
        ml.errors.DataError, match=r"Leave \(0 \+ Interception \| one\)"
    ):
        ml.mixedlm("y ~ f + (0 + Interception | one)", data)


@pytest.mark.parametrize("fixed", ["f", "0 + f", "C(f, Diff)", "x + C(f, Sum)", "f*x"])
@pytest.mark.parametrize(
    "random",
    [
        "(0 + f | g)",
        "(C(f, Helmert) | g)",
        "(C(f, Diff) || g)",
        "(f | g) + (0 + x | g)",
    ],
)
def test_coefficients_of_a_group_give_its_fitted_values(fixed, random):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = ml.mixedlm(f"y ~ {fixed} + {random}", sample()).fit()
    design = result.model.design
    alone = [
        column
        for term in design.terms
        for column, shared in zip(term.columns.T, term.shared, strict=True)
        if shared not in design.kept
    ]
    columns = np.column_stack([design.X, *alone])
    table = result.coefficients["g"].to_numpy()
    assert table.shape[1] == columns.shape[1]
    fitted_values = (columns * table[design.factors[0].codes]).sum(axis=1)
    assert_allclose(fitted_values, result.fittedvalues, rtol=1e-8)
