"""What a model or a result hands out, and what it was given, does not change it."""

from __future__ import annotations

import inspect
import warnings

import numpy as np
import pandas as pd
import pytest

import multilevel as ml

FREE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
# They draw, write, or hand out another package's objects.
LEFT_OUT = {"save", "load", "pooled", "initialize", "remove_data", "model", "plot"}


def linear():
    sleep = ml.datasets.load("sleepstudy")
    return ml.mixedlm("Reaction ~ Days + (Days | Subject)", sleep, weights="Days").fit()


def linear_from_arrays():
    sleep = ml.datasets.load("sleepstudy")
    exog = np.column_stack([np.ones(180), sleep["Days"]])
    term = ml.RandomTerm(sleep["Subject"].to_numpy(), exog, name="Subject")
    return ml.MixedLM(sleep["Reaction"].to_numpy(), exog, [term]).fit()


def aliased():
    sleep = ml.datasets.load("sleepstudy").assign(twice=lambda d: 2.0 * d["Days"])
    return ml.mixedlm("Reaction ~ Days + twice + (1 | Subject)", sleep).fit()


def generalized():
    formula = "cbind(incidence, size - incidence) ~ period + (1 | herd)"
    cbpp = ml.datasets.load("cbpp")
    return ml.mixedglm(formula, cbpp, family="binomial").fit()


def pickled():
    import pickle

    return pickle.loads(pickle.dumps(linear()))


FITS = [linear, linear_from_arrays, aliased, generalized, pickled]


def handed_out(thing):
    """Name -> what a public attribute, or a method without arguments, gives."""
    found = {}
    names = set(dir(thing)) | set(dir(getattr(thing, "_results", thing)))
    for name in sorted(names):
        if name.startswith("_") or name in LEFT_OUT or name.startswith("plot_"):
            continue
        try:
            value = getattr(thing, name)
            if callable(value):
                parameters = inspect.signature(value).parameters
                if any(
                    p.default is p.empty and p.kind not in FREE
                    for p in parameters.values()
                ):
                    continue
                value = value(seed=1) if "seed" in parameters else value()
        except Exception:  # what statsmodels has and a mixed model has not
            continue
        if value is not thing:
            found[name] = value
    return found


def numbers_in(value, depth=0):
    """Everything in a value that could be different after a change."""
    if isinstance(value, pd.DataFrame | pd.Series | pd.Index):
        return str(value.to_numpy().tolist())
    if isinstance(value, np.ndarray):
        return str(value.tolist()) if value.dtype == object else value.tobytes()
    if isinstance(value, dict):
        return {str(k): numbers_in(v, depth + 1) for k, v in value.items()}
    if isinstance(value, tuple | list):
        return [numbers_in(v, depth + 1) for v in value]
    if isinstance(value, str | int | float | bool | type(None)):
        return repr(value)
    return (
        repr(value) if depth < 1 and type(value).__repr__ is not object.__repr__ else ""
    )


def spoil(value, depth=0):
    """Try to change whatever can be changed in a value."""
    if depth > 7:
        return
    if isinstance(value, np.ndarray) and value.size and value.dtype.kind in "fiu":
        if value.flags.writeable:
            value.flat[0] = 99
    elif isinstance(value, pd.Series | pd.DataFrame) and value.size:
        try:
            array = value.to_numpy(copy=False)
            if array.flags.writeable:
                spoil(array, depth)
            value.iloc[0] = 99
        except (ValueError, TypeError):
            pass
    elif isinstance(value, dict):
        for below in list(value.values()):
            spoil(below, depth + 1)
        if depth < 2:  # the dicts of the records inside a design are its own
            value.clear()
    elif isinstance(value, list):
        value.clear()
    elif isinstance(value, tuple):
        for below in value:
            spoil(below, depth + 1)
    elif type(value).__module__.startswith("multilevel") and not callable(value):
        slots = getattr(type(value), "__slots__", ())
        for name in [*getattr(value, "__dict__", {}), *slots]:
            if isinstance(name, str) and not name.startswith("_"):
                spoil(getattr(value, name, None), depth + 2)


@pytest.mark.parametrize("fitted", FITS, ids=lambda fit: fit.__name__)
def test_what_is_handed_out_changes_nothing(fitted):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = fitted()
        things = {"result": result, "model": result.model, "data": result.model.data}
        before = {
            (who, name): numbers_in(value)
            for who, thing in things.items()
            for name, value in handed_out(thing).items()
        }
        for thing in things.values():
            for value in handed_out(thing).values():
                spoil(value)
        changed = [
            f"{who}.{name}"
            for who, thing in things.items()
            for name, value in handed_out(thing).items()
            if numbers_in(value) != before[who, name]
        ]
    assert not changed
    assert len(before) > 60


@pytest.mark.parametrize("role", ["weights", "offset"])
def test_an_array_that_was_given_can_be_changed_later(role):
    sleep = ml.datasets.load("sleepstudy")
    given = np.linspace(1.0, 2.0, 180)
    model = ml.mixedlm("Reaction ~ Days + (1 | Subject)", sleep, **{role: given})
    result = model.fit()
    llf, fitted = result.llf, result.fittedvalues
    given[:] = 50.0
    assert model.fit().llf == llf
    pd.testing.assert_series_equal(result.fittedvalues, fitted)


def test_arrays_that_were_given_can_be_changed_later():
    sleep = ml.datasets.load("sleepstudy")
    given = {
        "endog": sleep["Reaction"].to_numpy(copy=True),
        "exog": np.column_stack([np.ones(180), sleep["Days"]]),
        "groups": sleep["Subject"].astype(str).to_numpy(dtype=object, copy=True),
        "effects": np.asfortranarray(np.column_stack([np.ones(180), sleep["Days"]])),
        "weights": np.linspace(1.0, 2.0, 180),
        "offset": np.linspace(0.0, 2.0, 180),
    }
    term = ml.RandomTerm(given["groups"], given["effects"])
    model = ml.MixedLM(
        given["endog"], given["exog"], [term], given["weights"], given["offset"]
    )
    result = model.fit()
    kept = {name: numbers_in(value) for name, value in handed_out(result).items()}
    for array in given.values():
        array[:] = 3
    assert model.fit().llf == result.llf
    for name, value in handed_out(result).items():
        assert numbers_in(value) == kept[name], name


@pytest.mark.parametrize("kind", ["pandas", "dict", "polars", "pyarrow"])
def test_a_data_frame_that_was_given_can_be_changed_later(kind):
    sleep = ml.datasets.load("sleepstudy")
    columns = {
        "y": sleep["Reaction"].to_numpy(copy=True),
        "x": sleep["Days"].to_numpy(dtype=float, copy=True),
        "g": sleep["Subject"].astype(int).to_numpy(copy=True),
    }
    if kind == "pandas":
        data = pd.DataFrame(columns, copy=False)
    elif kind == "dict":
        data = columns
    elif kind == "polars":
        data = pytest.importorskip("polars").DataFrame(columns)
    else:
        data = pytest.importorskip("pyarrow").table(columns)
    formula = "y ~ x + I((x - np.mean(x)) ** 2) + cumulated(x) + (x | g)"

    def cumulated(values):
        return values.cumsum()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = ml.mixedlm(formula, data, weights="y", offset="x").fit()
        llf, fitted = result.llf, result.fittedvalues
        for values in columns.values():
            values[:] = 7
        assert result.llf == llf
        pd.testing.assert_series_equal(result.fittedvalues, fitted)
        whole = result.model.design.encoding.whole
        assert not any((v == 7).all() for v in whole.columns.values())
        assert result.model.fit().llf == llf


def test_coefficients_and_predictions_stay_together():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = linear()
    before = result.predict()
    modes = result.random_effects["Subject"]
    modes["Days"] = 0
    result.random_effects.clear()
    pd.testing.assert_series_equal(result.predict(), before)
    assert (result.random_effects["Subject"]["Days"] != 0).all()
    with pytest.raises(ValueError, match="read-only"):
        result.theta[0] = 99
    with pytest.raises(ValueError, match="read-only"):
        result.model.exog[0] = 99
