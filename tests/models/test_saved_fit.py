"""Files and pickles: what comes back is what went in."""

from __future__ import annotations

import json
import pickle
import zipfile

import numpy as np
import pandas as pd
import pytest

import multilevel as ml
from multilevel.errors import DataError, FitError
from multilevel.results.archive import read_archive, write_archive


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


@pytest.mark.parametrize("through", [saved_and_read, pickled])
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
    with pytest.warns(ml.errors.DroppedRowsWarning, match="count"):
        again = saved_and_read(result, tmp_path)
    assert again.n_dropped == 12
    pd.testing.assert_series_equal(again.resid, result.resid)


def test_only_columns_of_the_formula_are_in_the_file(result, tmp_path):
    result.save(tmp_path / "fit.zip")
    document = read_archive(tmp_path / "fit.zip")
    names = [name for name, _ in document["source"]["columns"]["columns"]]
    assert sorted(names) == ["Days", "Reaction", "Subject"]


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
    assert (header["format"], header["version"]) == ("multilevel fit", 1)


def test_a_function_that_changed_is_noticed(sleep, tmp_path):
    divisor = 10.0

    def rescaled(x):
        return x / divisor

    result = ml.mixedlm("Reaction ~ rescaled(Days) + (1 | Subject)", sleep).fit()
    result.save(tmp_path / "fit.zip")
    divisor = 100.0
    with pytest.raises(DataError, match="rescaled"):
        ml.load(tmp_path / "fit.zip")


def test_a_function_that_is_gone_is_named(sleep, tmp_path):
    def save_with_local_function():
        def halved(x):
            return x / 2.0

        formula = "Reaction ~ halved(Days) + (1 | Subject)"
        assert halved(2.0) == 1.0
        ml.mixedlm(formula, sleep).fit().save(tmp_path / "fit.zip")

    save_with_local_function()
    with pytest.raises(ml.errors.FormulaError, match="halved"):
        ml.load(tmp_path / "fit.zip")


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
    with pytest.raises(DataError, match="Update multilevel"):
        ml.load(path)


def test_objects_that_are_no_data_are_refused(tmp_path):
    odd = {"column": pd.Series([{1}, {2}], name="sets")}
    with pytest.raises(DataError, match="sets"):
        write_archive(tmp_path / "odd.zip", odd)


def test_statsmodels_own_file_format_is_refused(result, tmp_path):
    with pytest.raises(FitError, match=r"multilevel\.load"):
        type(result._results).load(tmp_path / "any")
