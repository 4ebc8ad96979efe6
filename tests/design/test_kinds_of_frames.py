"""Whatever holds the columns, the design is the same."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from frame_of_all_kinds import design_of, frame
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

FORMULA = "y ~ center(x)*f + b + h + (x | g) + (1 | h:g)"


def _polars(data):
    polars = pytest.importorskip("polars")
    return polars.from_pandas(data)


def _polars_lazy(data):
    return _polars(data).lazy()


def _arrow(data):
    pyarrow = pytest.importorskip("pyarrow")
    return pyarrow.Table.from_pandas(data)


def _dict_of_polars(data):
    frame = _polars(data.astype({"f": str}))
    return {name: frame[name] for name in frame.columns}


KINDS = {
    "dict of polars": _dict_of_polars,
    "dict of arrays": lambda data: {name: data[name].array for name in data},
    "dict of lists": lambda data: {name: data[name].tolist() for name in data},
    "dict of series": lambda data: {name: data[name] for name in data},
    "polars": _polars,
    "polars lazy": _polars_lazy,
    "pyarrow": _arrow,
    "pandas with arrow types": lambda data: data.convert_dtypes(
        dtype_backend="pyarrow"
    ),
    "pandas with nullable types": lambda data: data.convert_dtypes(),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_design_does_not_depend_on_the_kind_of_data(kind):
    if "arrow" in kind:
        pytest.importorskip("pyarrow")
    data = frame(200)
    design, other = design_of(FORMULA, KINDS[kind](data)), design_of(FORMULA, data)
    assert design.exog_names == other.exog_names
    assert_allclose(design.exog, other.exog, atol=1e-12)
    assert_array_equal(design.y, other.y)
    for factor, same in zip(design.factors, other.factors, strict=True):
        assert_array_equal(factor.codes, same.codes)
        assert list(factor.levels) == list(same.levels)
    for term, same in zip(design.terms, other.terms, strict=True):
        assert_allclose(term.columns, same.columns, atol=1e-12)


@pytest.mark.parametrize("kind", ["polars", "pyarrow", "pandas with nullable types"])
def test_missing_values_are_found_in_every_kind_of_data(kind):
    data = frame(200).convert_dtypes()
    data.loc[[0, 1], "x"] = None
    data.loc[2, "h"] = None
    data.loc[3, "g"] = None
    with pytest.warns(UserWarning, match="rows dropped"):
        design = design_of(FORMULA, KINDS[kind](data))
    assert design.dropped.causes == {"x": 2, "h": 1, "g": 1}


def test_other_packages_are_not_imported_for_pandas():
    code = (
        "import sys, pandas as pd\n"
        "from multilevel.design.model_design import build_design\n"
        "from multilevel.formula.parse import parse_formula\n"
        "data = pd.DataFrame({'y': [1., 2, 4, 3], 'x': [0, 1, 1, 0]})\n"
        "data['g'] = [1, 1, 2, 2]\n"
        "build_design(parse_formula('y ~ x + (1 | g)'), data)\n"
        "build_design(parse_formula('y ~ x + (1 | g)'), dict(data))\n"
        "print([m for m in ('narwhals', 'scipy.stats', 'statsmodels.api') "
        "if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@given(st.permutations(range(40)))
def test_permuting_rows_permutes_the_design(order):
    data = frame(40)
    data["g"] = data["g"] % 3
    formula = "y ~ x*b + standardize(z) + (1 | g) + (1 | h)"
    design, other = design_of(formula, data), design_of(formula, data.iloc[order])
    assert design.exog_names == other.exog_names
    assert_allclose(other.exog, design.exog[order], atol=1e-12)
    assert_array_equal(other.y, design.y[order])
    assert_array_equal(other.index, design.index[order])
    for factor, same in zip(design.factors, other.factors, strict=True):
        assert_array_equal(same.codes, factor.codes[order])
        assert list(factor.levels) == list(same.levels)


@given(st.permutations(["p", "q", "r", "s"]))
def test_renaming_levels_changes_names_only(names):
    data = frame()
    renamed = data.assign(g=data["g"].map(dict(enumerate(names * 2))) + "!")
    codes = design_of("y ~ x + (1 | g)", renamed).factors[0]
    labels = [codes.levels[code] for code in codes.codes]
    assert labels == list(renamed["g"])


def test_a_wide_frame_is_not_copied():
    data = frame()
    wide = pd.concat([data, pd.DataFrame(np.zeros((60, 2000))).add_prefix("c")], axis=1)
    assert design_of("y ~ x + (1 | g)", wide).nobs == 60


def test_weights_may_be_a_column_of_another_package():
    data = frame()
    polars = _polars(data)
    design = design_of("y ~ x + (1 | g)", polars, weights=polars["z"])
    assert_array_equal(design.weights, data["z"])
