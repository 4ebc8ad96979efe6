"""Files and pickles: what comes back is what went in."""

from __future__ import annotations

import copy
import datetime
import decimal
import json
import os
import pickle
import warnings
import zipfile
from dataclasses import fields, is_dataclass

import numpy as np
import pandas as pd
import pytest

import multilevel as ml
from multilevel.errors import DataError, FitError


@pytest.fixture(scope="module")
def sleep():
    return ml.datasets.load("sleepstudy")


@pytest.fixture(scope="module")
def result(sleep):
    formula = "np.log(Reaction) ~ poly(Days, 2) + (Days | Subject)"
    return ml.mixedlm(formula, sleep, weights=1.0 + sleep["Days"]).fit(ddf="residual")


def saved_and_read(result, folder):
    path = folder / "fit.zip"
    result.save(path)
    return ml.load(path)


def pickled(result, folder):
    return pickle.loads(pickle.dumps(result))


def copied(result, folder):
    return copy.deepcopy(result)


@pytest.mark.parametrize("through", [saved_and_read, pickled, copied])
def test_everything_comes_back(result, sleep, tmp_path, through):
    again = through(result, tmp_path)
    assert type(again) is type(result)
    assert str(again.summary()) == str(result.summary())
    assert again.llf == result.llf
    assert again.ddf_method == "residual"
    pd.testing.assert_series_equal(again.params, result.params)
    pd.testing.assert_series_equal(again.fittedvalues, result.fittedvalues)
    new = sleep.head(7)
    pd.testing.assert_series_equal(again.predict(new), result.predict(new))
    params = result.full_params
    assert again.model.loglike(params) == result.model.loglike(params)


@pytest.mark.parametrize("ddf", ["normal", "residual"])
def test_degrees_of_freedom_of_a_generalized_model_come_back(tmp_path, ddf):
    data = ml.datasets.load("cbpp")
    formula = "cbind(incidence, size - incidence) ~ period + (1 | herd)"
    result = ml.mixedglm(formula, data, family="binomial").fit().with_ddf(ddf)
    again = saved_and_read(result, tmp_path)
    assert again.ddf_method == ddf
    pd.testing.assert_series_equal(again.pvalues, result.pvalues)


@pytest.mark.parametrize("through", [saved_and_read, pickled])
def test_a_model_from_arrays_comes_back(sleep, tmp_path, through):
    exog = np.column_stack([np.ones(180), sleep["Days"]])
    groups = ml.RandomTerm(sleep["Subject"], exog, name="Subject", structure="diag")
    result = ml.MixedLM(sleep["Reaction"], exog, [groups]).fit(reml=False)
    again = through(result, tmp_path)
    assert again.llf == result.llf
    assert again.formula == result.formula
    pd.testing.assert_frame_equal(
        again.random_effects["Subject"], result.random_effects["Subject"]
    )


def test_many_kinds_of_columns_come_back(tmp_path):
    rng = np.random.default_rng(0)
    index = pd.MultiIndex.from_product([["a", "b"], range(30)], names=["site", "day"])
    frame = pd.DataFrame(
        {
            "y": rng.normal(size=60),
            "kind": pd.Categorical(["low", "mid", "high"] * 20, ["low", "mid", "high"]),
            "flag": rng.random(60) < 0.5,
            "count": pd.array([1, 2, 3, 4, None] * 12, dtype="Int64"),
            "when": pd.date_range("2020-01-01", periods=60),
            "my column": rng.normal(size=60),
            "group": np.repeat([f"g{i}" for i in range(12)], 5).astype(object),
        },
        index=index,
    )
    formula = "y ~ kind + flag + count + Q('my column') + when.dt.month + (1 | group)"
    with pytest.warns(ml.errors.DroppedRowsWarning, match="count"):
        model = ml.mixedlm(formula, frame)
    result = model.fit()
    again = saved_and_read(result, tmp_path)
    assert again.n_dropped == 12
    pd.testing.assert_series_equal(again.resid, result.resid)


def test_later_changes_of_the_data_do_not_reach_the_file(sleep, tmp_path):
    frame = sleep.copy()
    result = ml.mixedlm("Reaction ~ Days + (1 | Subject)", frame).fit()
    frame.loc[:, "Reaction"] = 0.0
    assert saved_and_read(result, tmp_path).llf == result.llf


def test_the_file_holds_no_pickle(result, tmp_path):
    result.save(tmp_path / "fit.zip")
    with zipfile.ZipFile(tmp_path / "fit.zip") as archive:
        header = json.loads(archive.read("fit.json"))
        for name in archive.namelist():
            if name.endswith(".npy"):
                with archive.open(name) as file:
                    np.lib.format.read_array(file, allow_pickle=False)
    assert (header["format"], header["version"]) == ("multilevel fit", 3)


def test_a_function_that_changed_is_noticed(sleep, tmp_path):
    divisor = 10.0

    def rescaled(x):
        return x / divisor

    result = ml.mixedlm("Reaction ~ rescaled(Days) + (1 | Subject)", sleep).fit()
    result.save(tmp_path / "fit.zip")
    divisor = 100.0
    with pytest.raises(DataError, match=r"rescaled.*differs"):
        ml.load(tmp_path / "fit.zip", trust=True)
    divisor = 10.0
    again = ml.load(tmp_path / "fit.zip", trust=True)
    pd.testing.assert_series_equal(again.predict(sleep), result.predict(sleep))


def test_a_function_that_is_gone_is_named(sleep, tmp_path):
    def save_with_local_function():
        def halved(x):
            return x / 2.0

        formula = "Reaction ~ halved(Days) + (1 | Subject)"
        assert halved(2.0) == 1.0
        ml.mixedlm(formula, sleep).fit().save(tmp_path / "fit.zip")

    save_with_local_function()
    with pytest.raises(DataError, match=r"halved.*trust=True"):
        ml.load(tmp_path / "fit.zip")
    with pytest.raises(DataError, match="halved"):
        ml.load(tmp_path / "fit.zip", trust=True)


def test_other_files_are_refused(tmp_path):
    text = tmp_path / "notes.txt"
    text.write_text("no archive")
    with pytest.raises(DataError, match="not a saved multilevel fit"):
        ml.load(text)
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("fit.json", '{"format": "something else"}')
    with pytest.raises(DataError, match="not a saved multilevel fit"):
        ml.load(tmp_path / "other.zip")
    with pytest.raises(FileNotFoundError):
        ml.load(tmp_path / "absent.zip")


def test_a_file_of_a_later_version_says_so(result, tmp_path):
    path = tmp_path / "fit.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("fit.json", '{"format": "multilevel fit", "version": 99}')
    with pytest.raises(DataError, match="update multilevel"):
        ml.load(path)


def test_objects_that_are_no_data_are_refused(sleep, tmp_path):
    class Odd:
        pass

    frame = sleep.set_axis([Odd() for _ in range(len(sleep))])
    result = ml.mixedlm("Reaction ~ Days + (1 | Subject)", frame).fit()
    with pytest.raises(DataError, match="an? Odd cannot be saved"):
        result.save(tmp_path / "odd.fit")
    assert list(tmp_path.iterdir()) == []


def test_statsmodels_own_file_format_is_refused(result, tmp_path):
    with pytest.raises(FitError, match=r"multilevel\.load"):
        type(result._results).load(tmp_path / "any")


def test_load_of_a_result_reads_no_pickle(result, tmp_path):
    path = tmp_path / "fit.pkl"
    path.write_bytes(pickle.dumps(result))
    with pytest.raises(FitError, match=r"multilevel\.load"):
        result.load(path)
    with pytest.raises(DataError, match="not a saved multilevel fit"):
        ml.load(path)


def parts_of(value):
    """The same values in dicts and lists, to be compared."""
    if isinstance(value, type) or callable(value) and not is_dataclass(value):
        return getattr(value, "__name__", str(value))
    if is_dataclass(value):
        return [[f.name, parts_of(getattr(value, f.name))] for f in fields(value)]
    if isinstance(value, dict):
        return [[parts_of(k), parts_of(v)] for k, v in value.items()]
    if isinstance(value, tuple | list):
        return [parts_of(entry) for entry in value]
    if isinstance(value, np.ndarray | pd.Index | pd.Series):
        return [str(value.dtype), np.asarray(value).tolist()]
    return vars(value) if hasattr(value, "memorize_chunk") else value


def test_every_field_of_the_records_comes_back(sleep, tmp_path):
    frame = sleep.assign(z=np.linspace(0, 1, 180), c=["u", "v", "w"] * 60)
    frame.loc[3, "z"] = np.nan
    formula = (
        "Reaction ~ bs(Days, 4) + C(c, Sum)*center(z) + I(z**2 - np.mean(z))"
        " + offset(np.log1p(Days)) + (scale(z) | Subject:c) + (1 | pd.cut(Days, 3))"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = ml.mixedlm(formula, frame, offset="z").fit()
    again = saved_and_read(result, tmp_path)
    kept, read = parts_of(result.model.design), parts_of(again.model.design)
    np.testing.assert_equal(read, kept)
    np.testing.assert_equal(parts_of(again.fit_record), parts_of(result.fit_record))


@pytest.mark.parametrize(
    "name", ["line\nbreak", "a\ttab", "back\\slash", 'it\'s "so"', "non\xa0breaking"]
)
def test_a_column_whose_name_needs_an_escape_comes_back(sleep, tmp_path, name):
    frame = sleep.rename(columns={"Days": name})
    result = ml.mixedlm(f"Reaction ~ Q({name!r}) + (1 | Subject)", frame).fit()
    again = saved_and_read(result, tmp_path)
    pd.testing.assert_series_equal(again.predict(frame), result.predict(frame))


def tz_days(n):
    return pd.date_range("2020-03-01", periods=n, tz="Europe/Vienna").to_series()


LABELS = {
    "dates": lambda n: [datetime.date(2020, 1, 1 + i) for i in range(n)],
    "datetimes": lambda n: pd.date_range("2020-01-01", periods=n, unit="s"),
    "zones": tz_days,
    "tuples": lambda n: [(i, "a") for i in range(n)],
    "periods": lambda n: pd.period_range("2020-01", periods=n, freq="M"),
    "intervals": lambda n: pd.interval_range(0, n),
    "decimals": lambda n: [decimal.Decimal(i) / 3 for i in range(n)],
    "durations": lambda n: pd.to_timedelta(range(n), unit="h"),
    "bytes": lambda n: [b"a%d" % i for i in range(n)],
    "sparse": lambda n: pd.arrays.SparseArray(range(n)),
    "categories": lambda n: pd.Categorical([f"g{i}" for i in range(n)], ordered=True),
    "nullable": lambda n: pd.array(range(n), dtype="Int16"),
    "text": lambda n: pd.array([f"g{i}" for i in range(n)], dtype="string"),
    "mixed": lambda n: [1, "1", True, 2.5, None, *range(7, 7 + n)][:n],
}


@pytest.mark.parametrize("kind", LABELS)
def test_groups_of_every_kind_come_back(tmp_path, kind):
    rng = np.random.default_rng(1)
    column = pd.Series(LABELS[kind](12)).reset_index(drop=True)
    frame = pd.DataFrame(
        {"y": rng.normal(size=96), "g": column.iloc[np.arange(96) % 12].array}
    )
    frame["y"] += np.arange(96) % 12
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ml.errors.DroppedRowsWarning)
        result = ml.mixedlm("y ~ 1 + (1 | g)", frame).fit()
    again = saved_and_read(result, tmp_path)
    kept, read = result.model.design.factors[0], again.model.design.factors[0]
    pd.testing.assert_index_equal(read.levels, kept.levels, exact=True)
    assert list(map(type, read.levels)) == list(map(type, kept.levels))
    pd.testing.assert_series_equal(
        again.predict(frame.iloc[:4]), result.predict(frame.iloc[:4])
    )


@pytest.mark.parametrize("kind", LABELS)
def test_row_labels_of_every_kind_come_back(sleep, tmp_path, kind):
    n = 28 if kind == "dates" else len(sleep)
    frame = sleep.head(n).set_index(pd.Index(LABELS[kind](n), tupleize_cols=False))
    result = ml.mixedlm("Reaction ~ Days + (1 | Subject)", frame).fit()
    again = saved_and_read(result, tmp_path)
    pd.testing.assert_index_equal(
        again.fittedvalues.index, result.fittedvalues.index, exact=True
    )


def test_a_fit_with_estimates_that_diverge_comes_back(tmp_path):
    g, c, t = (part.ravel() for part in np.indices((12, 4, 3)))
    rng = np.random.default_rng(3)
    mean = np.exp(1.0 + 0.3 * c - 0.2 * t + 0.5 * rng.normal(size=len(g)))
    y = rng.poisson(mean) * ~(((c == 2) & (t == 1)) | ((c == 3) & (t == 0)))
    frame = pd.DataFrame({"y": y, "g": g, "c": c.astype(str), "t": t.astype(str)})
    with pytest.warns(ml.errors.ConvergenceWarning):
        result = ml.mixedglm("y ~ c * t + (1 | g)", frame, family="poisson").fit()
    again = saved_and_read(result, tmp_path)
    assert not again.converged
    pd.testing.assert_series_equal(again.bse, result.bse)


@pytest.mark.parametrize("place", [None, 1.5, [], True, "a\0b"], ids=repr)
def test_what_is_no_place_of_a_file_is_shown(sleep, place):
    result = ml.mixedlm("Reaction ~ Days + (1 | Subject)", sleep).fit()
    with pytest.raises(DataError, match="is no place of a file"):
        result.save(place)
    with pytest.raises(DataError, match="is no place of a file"):
        ml.load(place)


def test_a_number_is_not_an_open_file_to_be_closed(tmp_path):
    with open(tmp_path / "open", "wb") as file:
        with pytest.raises(DataError, match="is no place of a file"):
            ml.load(file.fileno())
        os.fstat(file.fileno())


def test_a_place_in_bytes_and_one_without_a_folder(sleep, tmp_path):
    result = ml.mixedlm("Reaction ~ Days + (1 | Subject)", sleep).fit()
    place = os.fsencode(tmp_path / "bytes.fit")
    result.save(place)
    assert ml.load(place).llf == result.llf
    with pytest.raises(FileNotFoundError) as caught:
        result.save(tmp_path / "none" / "sleep.fit")
    assert caught.value.filename == str(tmp_path / "none")
