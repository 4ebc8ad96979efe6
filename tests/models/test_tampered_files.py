"""Files whose numbers, arrays or members were changed: a checked fit or an error."""

from __future__ import annotations

import copy
import io
import json
import tracemalloc
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from saved_archives import file_of, members_of, rewritten

import multilevel as ml
from multilevel.errors import DataError


def leaves(tree, path=()):
    """Path and value of everything in a document that is no container."""
    if isinstance(tree, dict | list) and tree:
        pairs = tree.items() if isinstance(tree, dict) else enumerate(tree)
        for key, value in pairs:
            yield from leaves(value, (*path, key))
    else:
        yield path, tree


def put_at(tree, path, value):
    for key in path[:-1]:
        tree = tree[key]
    tree[path[-1]] = value


ODD = [
    *(None, -1, 10**30, 0.5, "x", [], {}, True, [[]]),
    ["float", "nan"],
    {"label": ["float", "nan"]},
    {"record": ["Nothing", {}]},
    {"array": "array0"},
    {"tuple": []},
]


@pytest.mark.parametrize("kind", ["linear", "generalized"])
def test_a_changed_document_is_a_fit_or_a_data_error(saved, tmp_path, kind):
    members = members_of(saved[kind])
    header = json.loads(members["fit.json"])
    rng = np.random.default_rng(5)
    places = list(leaves(header))
    refused = 0
    for number in range(150):
        path, _ = places[rng.integers(len(places))]
        path = path[: rng.integers(1, len(path) + 1)]
        changed = copy.deepcopy(header)
        put_at(changed, path, ODD[rng.integers(len(ODD))])
        members["fit.json"] = json.dumps(changed)
        file = file_of(members, tmp_path / f"{number}.fit")
        try:
            result = ml.load(file)
        except DataError:
            refused += 1
        else:
            assert np.isfinite(result.llf)
            str(result.summary())
    assert refused > 100


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kind", ["linear", "generalized"])
def test_no_array_may_hold_what_is_not_finite(saved, tmp_path, kind, value):
    members = members_of(saved[kind])
    for name, content in members.items():
        if not name.endswith(".npy"):
            continue
        array = np.load(io.BytesIO(content))
        if array.dtype.kind != "f" or not array.size:
            continue
        array = array.copy(order="K")
        array.flat[array.size // 2] = value
        buffer = io.BytesIO()
        np.save(buffer, array)
        path = file_of({**members, name: buffer.getvalue()}, tmp_path / "bad.fit")
        with pytest.raises(DataError):
            ml.load(path)


@pytest.mark.parametrize(
    ("record", "field", "value"),
    [
        ("LMMFit", "sigma", {"label": ["float", "-0x1.0p+0"]}),
        ("LMMFit", "sigma", 0),
        ("LMMFit", "criterion", "REMLL"),
        ("LMMFit", "n_parameters", 99),
        ("LMMFit", "is_singular", 1),
        ("OptimizationReport", "converged", "yes"),
        ("OptimizationReport", "message", 3),
        ("DroppedRows", "n", -1),
        ("DroppedRows", "total", 10**12),
        ("RandomTermDesign", "factor_index", 7),
        ("RandomTermDesign", "structure", "none"),
        ("RandomTermDesign", "effects", {"tuple": []}),
        ("ModelDesign", "exog_names", {"tuple": ["a", "a"]}),
        ("ModelDesign", "index", {"index": {"range": [0, 10**12, 1], "names": [0]}}),
        ("ModelDesign", "encoding", None),
        ("ModelDesign", "formula", None),
    ],
)  # fmt: skip
def test_every_field_is_checked(saved, tmp_path, record, field, value):
    def records_in(tree):
        if isinstance(tree, dict) and "record" in tree:
            yield tree["record"]
        for below in tree.values() if isinstance(tree, dict) else tree:
            if isinstance(below, dict | list):
                yield from records_in(below)

    def change(header):
        for name, parts in records_in(header["document"]):
            if name == record:
                assert field in parts
                parts[field] = value

    path = rewritten(saved["linear"], tmp_path / "bad.fit", change)
    with pytest.raises(DataError):
        ml.load(path)


def test_levels_that_are_only_counted_take_no_memory(saved, tmp_path):
    def change(header):
        text = json.dumps(header)
        start = text.index('"levels": {"index"')
        end = text.index("}}", text.index('"names"', start)) + 2
        counted = '"levels": {"index": {"range": [0, 1000000000, 1], "names": [0]}}'
        header.clear()
        header.update(json.loads(text[:start] + counted + text[end:]))

    path = rewritten(saved["linear"], tmp_path / "bad.fit", change)
    with pytest.raises(DataError, match="counts more labels"):
        ml.load(path)


@pytest.mark.parametrize(
    "family",
    [
        {"name": "nothing"},
        {"name": "poisson", "link_name": "__class__"},
        {"name": "binomial", "alpha": None, "link": "np", "link_parameters": {}},
        {
            "name": "binomial",
            "alpha": None,
            "link": "Logit",
            "link_parameters": {"x": 1},
        },
        {"name": 3},
        {},
    ],
)
def test_a_family_is_one_of_the_known_ones(saved, tmp_path, family):
    def change(header):
        pairs = [
            [k, {"dict": [list(p) for p in v.items()]} if isinstance(v, dict) else v]
            for k, v in family.items()
        ]
        header["document"]["options"] = {"dict": [["family", {"dict": pairs}]]}

    path = rewritten(saved["generalized"], tmp_path / "bad.fit", change)
    with pytest.raises(DataError):
        ml.load(path)


def npy(header, data=b""):
    text = header.encode() + b" " * (118 - len(header)) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data


@pytest.mark.parametrize(
    "content",
    [
        npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,)}"),
        npy(
            "{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", b"cos\nsystem\n."
        ),
        npy("{'descr': '<c16', 'fortran_order': False, 'shape': (1,)}", b"\0" * 16),
        npy("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,)}"),
        npy("{'descr': '<U999999999', 'fortran_order': False, 'shape': (9,)}"),
        npy("{'descr': '<f8', 'shape': ()}"),
        b"",
        b"\x93NUMPY\x03\x00",
    ],
)
def test_an_array_is_what_its_header_says(saved, tmp_path, content):
    members = {**members_of(saved["linear"]), "array0.npy": content}
    with pytest.raises(DataError):
        ml.load(file_of(members, tmp_path / "bad.fit"))


def test_a_zip_bomb_is_refused_before_it_is_read(saved, tmp_path):
    members = members_of(saved["linear"])
    bomb = npy("{'descr': '<f8', 'fortran_order': False, 'shape': (25000000,)}")
    members["array0.npy"] = bomb + bytes(200_000_000)
    path = file_of(members, tmp_path / "bomb.fit")
    del members
    tracemalloc.start()
    with pytest.raises(DataError, match="packed too tightly"):
        ml.load(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000_000


@pytest.mark.parametrize(
    "name", ["../up.npy", "/etc/x", "a\\b.npy", "more.npy", "x.pkl"]
)
def test_members_that_no_fit_has_are_refused(saved, tmp_path, name):
    members = {**members_of(saved["linear"]), name: b"x"}
    with pytest.raises(DataError, match="members"):
        ml.load(file_of(members, tmp_path / "bad.fit"))


def test_a_member_that_stands_twice_is_refused(saved, tmp_path):
    members = list(members_of(saved["linear"]).items())
    with pytest.warns(UserWarning, match="Duplicate"):
        path = file_of([*members, members[-1]], tmp_path / "bad.fit")
    with pytest.raises(DataError, match="twice"):
        ml.load(path)


@pytest.mark.parametrize(
    "document",
    [
        "[" * 100_000,
        '{"a":' * 100_000,
        '{"format": "multilevel fit", "version": 0}',
        '{"format": "multilevel fit", "version": true}',
        '{"format": "multilevel fit", "version": "2"}',
        '{"format": "multilevel fit", "version": 2}',
        '{"format": "multilevel fit", "version": 2, "document": []}',
        '{"format": "multilevel fit", "version": NaN}',
        "9" * 100_000,
        b"\xff\xfe",
        "",
    ],
)
def test_a_document_of_another_kind_is_refused(saved, tmp_path, document):
    members = {**members_of(saved["linear"]), "fit.json": document}
    with pytest.raises(DataError):
        ml.load(file_of(members, tmp_path / "bad.fit", zipfile.ZIP_STORED))


@settings(max_examples=60, deadline=None)
@given(
    place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7), cut=st.booleans()
)
def test_a_damaged_file_is_a_fit_or_a_data_error(
    saved, tmp_path_factory, place, bit, cut
):
    content = bytearray(saved["linear"])
    position = int(place * len(content))
    content[position] ^= 1 << bit
    path = tmp_path_factory.mktemp("flips") / "a.fit"
    path.write_bytes(content[:position] if cut else content)
    try:
        result = ml.load(path)
    except DataError:
        return
    assert np.isfinite(result.llf)
