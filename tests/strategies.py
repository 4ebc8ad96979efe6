"""Hypothesis strategies for data with groups."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from hypothesis import strategies as st


@st.composite
def grouped_frames(
    draw: st.DrawFn, *, min_groups: int = 4, max_groups: int = 12
) -> pd.DataFrame:
    """Unbalanced frames ``y, x, group`` with an effect of the group in them.

    Hypothesis chooses the design and the size of the effects; the numbers come from a
    generator that it seeds, so that y is never degenerate.
    """
    sizes = draw(
        st.lists(st.integers(3, 8), min_size=min_groups, max_size=max_groups),
        label="rows per group",
    )
    effect_sd = draw(st.sampled_from([0.5, 1.0, 3.0]), label="sd between groups")
    slope_sd = draw(st.sampled_from([0.3, 1.0]), label="sd of slopes")
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1), label="seed"))
    codes = np.repeat(np.arange(len(sizes)), sizes)
    x = rng.normal(size=codes.size)
    intercepts = rng.normal(scale=effect_sd, size=len(sizes))
    slopes = rng.normal(loc=1.0, scale=slope_sd, size=len(sizes))
    y = intercepts[codes] + slopes[codes] * x + rng.normal(size=codes.size)
    return pd.DataFrame({"y": y, "x": x, "group": [f"g{code:02}" for code in codes]})


def shifts_and_scales() -> st.SearchStrategy[tuple[float, float]]:
    """Changes of the units of a column: (shift, scale), from harmless to extreme."""
    return st.tuples(
        st.sampled_from([0.0, 1.0, -50.0, 2000.0, 1e5]),
        st.sampled_from([1e-3, 0.1, 1.0, 10.0, 1e4]),
    )


def odd_columns(n_rows: int) -> st.SearchStrategy[pd.Series]:
    """A column of any dtype that a data frame may have, ordinary or hostile."""
    return st.one_of(
        *(
            kind(n_rows)
            for kind in (_floats, _integers, _labels, _categoricals, _nullable, _times)
        )
    )


@st.composite
def odd_frames(draw: st.DrawFn) -> pd.DataFrame:
    """Frames ``y, x, f, g, h`` with columns of any kind and any index."""
    n_rows = draw(
        st.sampled_from([0, 1, 2, 3, 6, *(20, 30, 30, 40, 40, 40, 50, 50)]),
        label="rows",
    )
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1), label="seed"))
    n_groups = draw(
        st.sampled_from([1, 2, 4, 4, 5, 5, 7, max(n_rows, 1)]), label="groups"
    )
    columns = {
        "y": pd.Series(rng.normal(size=n_rows)),
        "x": pd.Series(rng.normal(size=n_rows)),
        "f": pd.Series(rng.choice(list("ab"), n_rows)),
        "g": pd.Series(np.arange(n_rows) % n_groups),
        "h": pd.Series(rng.integers(0, 3, n_rows)),
    }
    for name in draw(st.lists(st.sampled_from("yxfgh"), max_size=2), label="odd ones"):
        columns[name] = draw(odd_columns(n_rows), label=name)
    frame = pd.DataFrame(columns)
    if draw(st.integers(0, 9), label="a column twice") == 0:
        frame = pd.concat([frame, frame[["x"]]], axis=1)
    frame.index = draw(_indexes(n_rows), label="index")
    return frame


@st.composite
def formulas(draw: st.DrawFn) -> str:
    """Formulas over ``y, x, f, g, h``; of most every piece is what people write."""
    odd = draw(st.integers(0, 3), label="odd pieces") == 0
    effects = [*_EFFECTS, *_ODD_EFFECTS] if odd else _EFFECTS
    operators = [*_OPERATORS, *_ODD_OPERATORS] if odd else _OPERATORS
    groups = [*_GROUPS, *_ODD_GROUPS] if odd else _GROUPS
    fixed = st.recursive(
        st.sampled_from(effects),
        lambda inner: st.one_of(
            st.tuples(inner, st.sampled_from(operators), inner).map(" ".join),
            inner.map("({})".format),
        ),
        max_leaves=3,
    )
    slopes = st.sampled_from(["1", "x", "0 + x", "f", "0 + f", "x - 1", "1 + x * f"])
    bar = st.builds(
        "{}({} {} {})".format,
        st.sampled_from(["", "", "us", "diag", *(["cs", "dog"] if odd else [])]),
        st.one_of(slopes, fixed) if odd else slopes,
        st.sampled_from(["|", "|", "||"]),
        st.sampled_from(groups),
    )
    responses = ["y", "y", "y - x", *(["np.log(y)", "f", "x + y"] if odd else [])]
    bars = draw(st.lists(bar, min_size=1, max_size=2), label="random terms")
    right = " + ".join([draw(fixed, label="fixed part"), *bars])
    return f"{draw(st.sampled_from(responses))} ~ {right}"


def formula_texts() -> st.SearchStrategy[str]:
    """Text that may be a formula: pieces of formulas in any order, and any text."""
    pieces = st.sampled_from(
        [*_EFFECTS, *_OPERATORS, *_ODD_OPERATORS, *_GROUPS, *_SYMBOLS, "y ~"]
    )
    spliced = st.builds(
        lambda text, at, new: text[: at % (len(text) + 1)] + new + text[at % 7 :],
        formulas(),
        st.integers(0, 100),
        pieces,
    )
    return st.one_of(st.lists(pieces, max_size=12).map(" ".join), spliced, st.text())


_EFFECTS = [
    *("1", "x", "x", "f", "C(f, Sum)", "C(h, Poly)", "factor(h)", "I(x ** 2)"),
    *("np.exp(x)", "scale(x)", "poly(x, 2)", "bs(x, df=4)", "Q('x')", "center(x)"),
    *("offset(x)", "h"),
]
_ODD_EFFECTS = [
    *("0", "-1", "g", "y", "z", "2", "I(x > 0)", "np.log(x)", "sqrt(x)", "bs(x, 3)"),
    *("x / 0", "C(x)", "I(f)", "np.ones(3)", "f.str.upper()", "x.values", "poly(x)"),
]
_OPERATORS = ["+", "+", "*", ":", "/"]
_ODD_OPERATORS = ["-", "**", "|", "~", "%in%", "=", ","]
_GROUPS = ["g", "g", "g", "h", "g:h", "h/g", "C(g)", "pd.cut(x, 5)", "Q('g')"]
_ODD_GROUPS = ["f", "x", "y", "z", "1", "g + h", "g | h", "(g)", "f:g:h", "", "g * h"]
_SYMBOLS = [
    *("(", ")", "[", "]", "{", "}", "|", "||", "~", "=", "==", ",", ";", ".", "^"),
    *('"', "'", "`", "\\", "\n", "\t", "#", "@", "!", "lambda", "import", "class"),
    *("1e999", "0x", "é", "\u200b", "𝒳", "\x00", "__import__", "None", "True"),
]


def _floats(n_rows: int) -> st.SearchStrategy[pd.Series]:
    """Constant, huge, tiny, missing and infinite numbers, in any mixture."""
    special = st.sampled_from([0.0, 1.0, -1.0, np.nan, np.inf, 1e308, 1e-308, 1e16])
    few = st.lists(special, min_size=1, max_size=3).map(
        lambda found: np.resize(found, n_rows)
    )
    any_number = st.lists(st.floats(width=64), min_size=n_rows, max_size=n_rows)
    scaled = st.builds(
        lambda scale, shift: shift + scale * np.sin(np.arange(n_rows) * 1.7),
        st.sampled_from([1e-300, 1e-160, 1e-12, 1.0, 1e12, 1e160, 1e300]),
        st.sampled_from([0.0, 1e8, -1e300]),
    )
    dtype = st.sampled_from(["float64", "float32", "object", "complex128"])
    with np.errstate(all="ignore"):
        return st.builds(_as_dtype, st.one_of(few, any_number, scaled), dtype)


def _as_dtype(values: Any, dtype: str) -> pd.Series:
    with np.errstate(all="ignore"):
        return pd.Series(np.asarray(values, dtype=float).astype(dtype))


def _integers(n_rows: int) -> st.SearchStrategy[pd.Series]:
    ranges = st.sampled_from([(0, 1), (0, 3), (-(2**63), 2**63 - 1), (0, 255)])
    dtype = st.sampled_from(["int64", "int64", "uint8", "bool", "uint64"])
    return ranges.flatmap(
        lambda ends: st.builds(
            lambda values, kind: pd.Series(np.array(values, dtype=np.int64)).astype(
                kind
            ),
            st.lists(st.integers(*ends), min_size=n_rows, max_size=n_rows),
            dtype,
        )
    )


def _labels(n_rows: int) -> st.SearchStrategy[pd.Series]:
    """Text with any characters, and Python objects that need not compare."""
    objects = st.one_of(
        st.text(max_size=3),
        st.sampled_from([None, np.nan, pd.NA, 1, 2.5, True, (1, 2), "a", "1", b"b"]),
    )
    few = st.lists(objects, min_size=1, max_size=4)
    return few.map(
        lambda found: pd.Series(
            [found[i % len(found)] for i in range(n_rows)], dtype=object
        )
    )


def _categoricals(n_rows: int) -> st.SearchStrategy[pd.Series]:
    return st.builds(
        lambda levels, ordered, step: pd.Series(
            pd.Categorical.from_codes(
                [(i * step) % (len(levels) + 1) - 1 for i in range(n_rows)],
                categories=levels,
                ordered=ordered,
            )
        ),
        st.sampled_from([["a"], ["b", "a"], ["u", "v", "w", "unused"], [3, 1], [True]]),
        st.booleans(),
        st.integers(0, 3),
    )


def _nullable(n_rows: int) -> st.SearchStrategy[pd.Series]:
    kinds = {
        "Int64": [1, 2, None, 7],
        "Float64": [0.5, None, 2.5, 3.0],
        "boolean": [True, False, None],
        "string": ["é", None, "", "b"],
        "int64[pyarrow]": [1, None, 3],
        "string[pyarrow]": ["a", None, "ß"],
        "double[pyarrow]": [1.5, None, 3.0],
    }
    return st.builds(
        lambda kind, start: pd.Series(
            [kinds[kind][(i + start) % len(kinds[kind])] for i in range(n_rows)],
            dtype=kind,
        ),
        st.sampled_from(sorted(kinds)),
        st.integers(0, 3),
    )


def _times(n_rows: int) -> st.SearchStrategy[pd.Series]:
    days = pd.Series(pd.date_range("2020-01-01", periods=n_rows, freq="D"))
    gaps = days.where(np.arange(n_rows) % 3 > 0)
    return st.sampled_from(
        [
            days,
            gaps,
            days.dt.tz_localize("UTC"),
            days - pd.Timestamp("2020-01-01"),
            days.dt.to_period("M"),
            days.dt.year,
        ]
    )


def _indexes(n_rows: int) -> st.SearchStrategy[pd.Index]:
    pairs = [(i // 2, "ab"[i % 2]) for i in range(n_rows)]
    return st.sampled_from(
        [
            pd.RangeIndex(n_rows),
            pd.RangeIndex(n_rows),
            pd.Index(["same"] * n_rows, dtype=object),
            pd.Index(np.linspace(1, 0, n_rows), name="x"),
            pd.date_range("2020-01-01", periods=n_rows),
            pd.Index([None, "a", 3] * n_rows, dtype=object)[:n_rows],
            pd.MultiIndex.from_tuples(pairs, names=["i", "y"])
            if n_rows
            else pd.RangeIndex(0),
        ]
    )
