from __future__ import annotations

import importlib.resources
import json
import time
from pathlib import Path

import pandas as pd
import pytest

from multilevel import datasets
from multilevel.datasets.catalogue import CATALOGUE
from multilevel.errors import DataError

REFERENCE = Path(__file__).parents[1] / "reference" / "data"
SCHEMA = json.loads((REFERENCE / "schema.json").read_text())
EXPORTED = {name.lower(): entry for name, entry in SCHEMA.items()}


@pytest.mark.parametrize("name", CATALOGUE)
def test_frame_is_what_the_catalogue_says(name: str) -> None:
    entry, frame = CATALOGUE[name], datasets.load(name)
    assert frame.shape == (entry.n_rows, len(entry.columns))
    assert list(frame) == [column.name for column in entry.columns]
    assert not frame.isna().any(axis=None)
    for column in entry.columns:
        assert isinstance(frame[column.name].dtype, pd.CategoricalDtype) == (
            column.is_factor
        )


@pytest.mark.parametrize("name", [name for name in CATALOGUE if name in EXPORTED])
def test_levels_are_in_the_order_of_the_exporting_package(name: str) -> None:
    frame = datasets.load(name)
    for column, spec in EXPORTED[name]["columns"].items():
        if spec["kind"] == "factor":
            assert frame[column].cat.ordered == spec["ordered"]
            assert len(frame[column].cat.categories) == spec["n_levels"]
        if spec.get("levels"):
            assert list(frame[column].cat.categories) == spec["levels"]


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_level_is_used(name: str) -> None:
    frame = datasets.load(name)
    for column in CATALOGUE[name].factors:
        assert frame[column.name].value_counts().min() > 0


def test_hsb_is_the_exported_table_under_its_own_names() -> None:
    ours = datasets.load("hsb")
    exported = pd.read_csv(REFERENCE / "Hsb82.csv.gz", dtype={"school": str})
    assert (ours["math"] == exported["mAch"]).all()
    assert (ours["school"].astype(str) == exported["school"]).all()
    assert (ours["female"] == (exported["sx"] == "Female")).all()
    assert (ours["minority"] == (exported["minrty"] == "Yes")).all()
    assert (ours.groupby("school", observed=True)["size"].nunique() == 1).all()


def test_hsb_loads_within_thirty_milliseconds() -> None:
    datasets.load("hsb")

    def seconds() -> float:
        # Processor time: how busy the machine is does not matter.
        start = time.process_time()
        datasets.load("hsb")
        return time.process_time() - start

    assert min(seconds() for _ in range(10)) < 0.030


def test_frames_are_independent() -> None:
    first = datasets.load("dyestuff")
    first["Yield"] = 0
    assert datasets.load("dyestuff")["Yield"].min() > 0


def test_capitals_do_not_matter() -> None:
    assert datasets.load("HSB").shape == datasets.load("hsb").shape


def test_unknown_name_is_refused_with_close_ones() -> None:
    with pytest.raises(DataError, match=r"'penicilin'.*did you mean 'penicillin'"):
        datasets.load("penicilin")
    with pytest.raises(DataError, match="there are hsb, sleepstudy"):
        datasets.describe("qqqqqqq")


@pytest.mark.parametrize("name", CATALOGUE)
def test_description_names_every_column_and_the_source(name: str) -> None:
    text = datasets.describe(name)
    assert max(map(len, text.splitlines())) <= 79
    assert "Source:" in text
    for column in CATALOGUE[name].columns:
        assert f"\n  {column.name} " in text


@pytest.mark.parametrize("name", CATALOGUE)
def test_example_formula_fits_the_columns(name: str) -> None:
    words = CATALOGUE[name].example.replace("|", " ").replace("/", " ").split()
    names = {word.strip("()") for word in words if word.strip("()").isidentifier()}
    assert names <= set(datasets.load(name))


def test_table_lists_every_data_set() -> None:
    table = datasets.table()
    assert list(table.index) == datasets.names() == list(CATALOGUE)
    assert table.loc["insteval", "rows"] == 73421


def test_data_take_little_room() -> None:
    folder = importlib.resources.files("multilevel.datasets") / "data"
    assert sum(len(file.read_bytes()) for file in folder.iterdir()) < 1_000_000
