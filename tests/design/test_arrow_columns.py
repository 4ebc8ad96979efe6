"""Columns of Arrow's types, in pandas, polars and pyarrow, in every role."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import multilevel as ml
from multilevel.design.plain_columns import plain_column
from multilevel.errors import DataError

pa = pytest.importorskip("pyarrow")

TEXTS: dict[str, Callable[[list[str]], Any]] = {
    "dictionary": lambda texts: pa.array(texts).dictionary_encode(),
    "large dictionary": lambda texts: pa.DictionaryArray.from_arrays(
        pa.array([sorted(set(texts)).index(text) for text in texts], pa.int64()),
        pa.array(sorted(set(texts)), pa.large_string()),
    ),
    "two chunks": lambda texts: pa.chunked_array(
        [pa.array(part).dictionary_encode() for part in (texts[:7], texts[7:])]
    ),
    "repeated dictionary": lambda texts: pa.DictionaryArray.from_arrays(
        pa.array(range(len(texts)), pa.int32()), pa.array(texts)
    ),
    "string": lambda texts: pa.array(texts, pa.string()),
    "large_string": lambda texts: pa.array(texts, pa.large_string()),
    "string_view": lambda texts: pa.array(texts, pa.string_view()),
    "run_end_encoded": lambda texts: pa.RunEndEncodedArray.from_arrays(
        pa.array(range(1, len(texts) + 1), pa.int32()), pa.array(texts)
    ),
}
NO_LABELS: dict[str, Callable[[list[str]], Any]] = {
    "struct": lambda texts: pa.array([{"a": text} for text in texts]),
    "list": lambda texts: pa.array([[text] for text in texts]),
    "map": lambda texts: pa.array(
        [[(text, 1)] for text in texts], pa.map_(pa.string(), pa.int64())
    ),
    "binary": lambda texts: pa.array([text.encode() for text in texts], pa.binary()),
}


def arrow_series(values: Any) -> pd.Series:
    is_chunked = isinstance(values, pa.ChunkedArray)
    chunks = values if is_chunked else pa.chunked_array([values])
    return pd.Series(pd.arrays.ArrowExtensionArray(chunks))


def sample(n: int = 90) -> dict[str, Any]:
    rng = np.random.default_rng(2)
    g, f = rng.integers(0, 8, n), rng.integers(0, 3, n)
    # Sorted first, so that sorting and order of appearance give the same levels.
    g[:8], f[:3] = range(8), range(3)
    y = rng.normal(size=8)[g] + f + rng.normal(size=n)
    label = ["low" if value < 1 else "top" for value in y]
    groups = [f"g{code}" for code in g]
    return {"y": y, "b": label, "g": groups, "f": [*np.array([*"abc"])[f]]}


@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.parametrize("frame_of", [pd.DataFrame, pa.table, dict])
def test_text_of_arrow_is_text_in_every_role(kind, frame_of):
    plain = pd.DataFrame(sample())
    columns = {name: TEXTS[kind](list(plain[name])) for name in ("g", "f")}
    if frame_of is pd.DataFrame:
        columns = {name: arrow_series(values) for name, values in columns.items()}
    data = frame_of({"y": plain["y"].to_numpy(), **columns})
    expected = ml.mixedlm("y ~ f + (1 | g)", plain).fit()
    result = ml.mixedlm("y ~ f + (1 | g)", data).fit()
    assert result.llf == pytest.approx(expected.llf, abs=1e-9)
    assert list(result.params.index) == list(expected.params.index)
    assert list(result.random_effects["g"].index) == [f"g{j}" for j in range(8)]
    assert_allclose(result.predict(data), expected.predict(plain))
    assert_allclose(expected.predict(data), result.predict(plain))


@pytest.mark.parametrize("kind", ["dictionary", "string_view", "large_string"])
def test_text_of_arrow_is_a_binary_response_and_groups_of_arrays(kind):
    plain = pd.DataFrame(sample())
    data = plain.assign(b=arrow_series(TEXTS[kind](list(plain["b"]))))
    expected = ml.mixedglm("b ~ f + (1 | g)", plain, family="binomial").fit()
    result = ml.mixedglm("b ~ f + (1 | g)", data, family="binomial").fit()
    assert abs(result.llf) == pytest.approx(abs(expected.llf), abs=1e-8)
    groups = arrow_series(TEXTS[kind](list(plain["g"])))
    arrays = [
        ml.MixedLM(plain["y"], np.ones(len(plain)), random=[ml.RandomTerm(given)]).fit()
        for given in (groups, plain["g"])
    ]
    assert arrays[0].llf == pytest.approx(arrays[1].llf)


@pytest.mark.parametrize("kind", ["dictionary", "string_view", "run_end_encoded"])
def test_missing_text_of_arrow_is_missing(kind):
    plain = pd.DataFrame(sample())
    texts = [*plain["f"][:-1], None]
    data = plain.assign(f=arrow_series(TEXTS[kind](texts)))
    with pytest.warns(ml.errors.DroppedRowsWarning, match="1 of 90"):
        model = ml.mixedlm("y ~ f + (1 | g)", data)
    assert model.exog_names == ["Intercept", "f[T.b]", "f[T.c]"]


@pytest.mark.parametrize("kind", NO_LABELS)
@pytest.mark.parametrize("role", ["f", "g", "y", "weights", "groups", "new"])
def test_what_is_no_label_is_refused_by_name(kind, role):
    plain = pd.DataFrame(sample())
    odd = arrow_series(NO_LABELS[kind](list(plain["f"])))
    formula = "y ~ f + (1 | g)"
    use = {
        "weights": lambda: ml.mixedlm(formula, plain, weights=odd),
        "groups": lambda: ml.MixedLM(plain["y"], None, random=[ml.RandomTerm(odd)]),
        "new": lambda: ml.mixedlm(formula, plain).fit().predict(plain.assign(f=odd)),
    }.get(role, lambda: ml.mixedlm(formula, plain.assign(**{role: odd})))
    with pytest.raises(DataError, match=f"'{role}'|groups of|'f'"):
        use()


@pytest.mark.parametrize("kind", ["struct", "list", "map"])
@pytest.mark.parametrize("role", ["f", "g", "y"])
def test_records_in_a_table_are_refused_by_name(kind, role):
    columns = sample()
    columns[role] = NO_LABELS[kind](columns["f"])
    with pytest.raises(DataError, match=f"'{role}'"):
        ml.mixedlm("y ~ f + (1 | g)", pa.table(columns))


def test_an_ordered_dictionary_keeps_its_order():
    codes = pa.array([0, 1, 2, 1], pa.int8())
    values = pa.DictionaryArray.from_arrays(codes, ["low", "mid", "high"], ordered=True)
    found = plain_column(arrow_series(values), "x")
    assert list(found.cat.categories) == ["low", "mid", "high"]


def test_extension_arrays_of_polars_are_read():
    polars = pytest.importorskip("polars")
    plain = pd.DataFrame(sample())
    frame = polars.DataFrame(sample()).with_columns(
        polars.col("g").cast(polars.Categorical),
        polars.col("f").cast(polars.Enum(["a", "b", "c"])),
    )
    data = frame.to_pandas(use_pyarrow_extension_array=True)
    expected = ml.mixedlm("y ~ f + (1 | g)", plain).fit()
    for given in (data, frame):
        result = ml.mixedlm("y ~ f + (1 | g)", given).fit()
        assert result.llf == pytest.approx(expected.llf, abs=1e-9)
        assert_allclose(result.predict(given), expected.predict(plain))
