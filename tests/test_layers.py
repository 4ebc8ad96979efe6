"""The layout enforces itself: imports point one way and files stay readable."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

LAYERS = (
    "errors option_values methods array_types display datasets covariance formula "
    "design likelihood optimize prediction inference comparison diagnostics simulation "
    "streaming reporting plots results models cli"
).split()
# The order of the rooms within a layer.
ROOMS = {
    "likelihood": (
        "algebra rows products elimination linear families generalized".split()
    ),
    "optimize": "common linear generalized identification".split(),
}
PACKAGE = Path(__file__).parents[1] / "multilevel"
FILES = sorted(path for path in PACKAGE.rglob("*.py") if not path.stem.startswith("__"))
TESTS = Path(__file__).parent
# Tests of the package as a whole, by what they try on it.
WHOLE_PACKAGE = {"fuzz", "invariance", "reference", "stress"}

# Where a third party may be imported at all; packages not listed are free.
PERMITTED = {
    "patsy": {
        "formula/parse.py",
        "design/fixed_effects.py",
        "design/patsy_view.py",  # what statsmodels reads
    },
    "narwhals": {"design/frames.py"},
    "tqdm": {"optimize/", "inference/", "simulation/", "diagnostics/", "cli/"},
    "threadpoolctl": {"optimize/"},
    "matplotlib": {"plots/"},
    "jinja2": {"reporting/html_report.py"},
    "pyarrow": {"cli/"},
    "duckdb": {"streaming/sql_products.py"},
    "dask": {"streaming/dask_products.py"},
    "polars": set(),
}


def place_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def layer_of(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imported_modules(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def imported_on_import(tree: ast.Module) -> Iterator[str]:
    """Modules imported by the file's own top level, type checking aside."""
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from imported_modules(node)


def imported_layers(path: Path) -> Iterator[str]:
    modules = imported_modules(ast.parse(path.read_text(encoding="utf-8")))
    parts = (module.split(".") for module in modules)
    yield from (part[1] for part in parts if part[0] == "multilevel" and len(part) > 1)


def is_for_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


class WithoutTypeChecking(ast.NodeTransformer):
    """Leaves out what is imported for annotations only."""

    def visit_If(self, node: ast.If) -> ast.AST | None:
        return None if is_for_type_checking(node) else self.generic_visit(node)


def imported_files(path: Path) -> set[Path]:
    """Files of the package that a file imports, in functions too."""
    tree = WithoutTypeChecking().visit(ast.parse(path.read_text(encoding="utf-8")))
    modules = set(imported_modules(tree))
    modules |= {module.rpartition(".")[0] for module in modules}
    places = {PACKAGE.parent / (module.replace(".", "/") + ".py") for module in modules}
    return places & set(FILES)


def third_parties(path: Path) -> set[str]:
    modules = imported_modules(ast.parse(path.read_text(encoding="utf-8")))
    return {module.split(".")[0] for module in modules}


@pytest.mark.parametrize("path", FILES, ids=place_of)
def test_imports_point_one_way(path: Path) -> None:
    here = LAYERS.index(layer_of(path))
    named = [layer for layer in imported_layers(path) if layer in LAYERS]
    assert [layer for layer in named if LAYERS.index(layer) > here] == []


def test_imports_form_no_circle() -> None:
    """The graph is sorted, or the error names the circle."""
    TopologicalSorter({path: imported_files(path) for path in FILES}).prepare()


def rooms_of(parts: tuple[str, ...]) -> tuple[str, str] | None:
    """Layer and room, of a module's path within the package."""
    return parts[:2] if len(parts) > 2 and parts[0] in ROOMS else None


@pytest.mark.parametrize("path", FILES, ids=place_of)
def test_imports_within_a_layer_point_one_way(path: Path) -> None:
    here = rooms_of(path.relative_to(PACKAGE).parts)
    if here is None:
        assert layer_of(path) not in ROOMS, "a file of this layer belongs into a room"
        return
    layer, room = here
    order = ROOMS[layer]
    modules = imported_modules(ast.parse(path.read_text(encoding="utf-8")))
    named = [m.split(".")[2] for m in modules if m.startswith(f"multilevel.{layer}.")]
    assert [other for other in named if order.index(other) > order.index(room)] == []


@pytest.mark.parametrize(
    "path", sorted(PACKAGE.glob("optimize/generalized/*.py")), ids=place_of
)
def test_fits_of_generalized_models_need_no_linear_ones(path: Path) -> None:
    """The order of the rooms would allow it; what both need is in common."""
    linear = PACKAGE / "optimize/linear"
    assert [f for f in imported_files(path) if f.parent == linear] == []


@pytest.mark.parametrize(
    "folder", sorted({path.parent for path in FILES}), ids=place_of
)
def test_every_folder_is_a_package(folder: Path) -> None:
    assert (folder / "__init__.py").is_file()


def test_tests_mirror_the_package() -> None:
    folders = {path.parent.relative_to(TESTS) for path in TESTS.rglob("test_*.py")}
    homeless = {
        folder.as_posix()
        for folder in folders
        if not (PACKAGE / folder / "__init__.py").is_file()
        and folder.as_posix() not in WHOLE_PACKAGE
    }
    assert homeless == set()


CONTRIBUTING = (TESTS.parent / "docs" / "contributing.rst").read_text(encoding="utf-8")


def test_the_picture_of_layers_is_true() -> None:
    shown = [
        f"{layer} ({', '.join(ROOMS[layer])})" if layer in ROOMS else layer
        for layer in LAYERS
    ]
    assert ", ".join(shown) in " ".join(CONTRIBUTING.split())


def test_places_where_things_go_are_there() -> None:
    section = CONTRIBUTING.split("Where things go")[1]
    places = re.findall(r"``([a-z_]+/[a-z_/]*(?:\.py)?)``", section)
    places = [place for place in places if place.split("/")[0] in LAYERS]
    assert len(places) > 10
    assert [place for place in places if not (PACKAGE / place).exists()] == []


@pytest.mark.parametrize("path", FILES, ids=place_of)
def test_modules_name_the_tests_that_hold_them(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    last = docstring.rpartition("\n\n")[2]
    assert last.startswith("Held by ")
    named = re.findall(r"tests/[a-z_/]+\.py", last)
    assert named
    assert [name for name in named if not (TESTS.parent / name).is_file()] == []


@pytest.mark.parametrize("path", FILES, ids=place_of)
def test_files_stay_readable(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


def lines_of_body(function: ast.FunctionDef) -> int:
    """Lines that a function has without its docstring."""
    body = function.body
    if ast.get_docstring(function) is not None:
        body = body[1:]
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


@pytest.mark.parametrize("path", sorted(PACKAGE.glob("results/*.py")), ids=place_of)
def test_results_are_a_facade(path: Path) -> None:
    """They ask functions of other layers, and neither loop nor compute at length."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    assert [node for node in nodes if isinstance(node, ast.For | ast.While)] == []
    functions = [node for node in nodes if isinstance(node, ast.FunctionDef)]
    assert [f.name for f in functions if lines_of_body(f) > 14] == []


@pytest.mark.parametrize("path", FILES, ids=place_of)
def test_third_parties_stay_in_their_files(path: Path) -> None:
    place = place_of(path)
    strays = {
        name
        for name in third_parties(path) & PERMITTED.keys()
        if not any(place.startswith(permitted) for permitted in PERMITTED[name])
    }
    assert strays == set()


@pytest.mark.parametrize("path", FILES, ids=place_of)
def test_numerical_layers_import_only_numpy_and_scipy(path: Path) -> None:
    outside = third_parties(path) & {"pandas", "patsy", "statsmodels", "narwhals"}
    if layer_of(path) in ("covariance", "likelihood"):
        assert outside == set()


@pytest.mark.parametrize("path", FILES, ids=place_of)
def test_import_stays_light(path: Path) -> None:
    heavy = ("statsmodels.api", "statsmodels.formula.api", "scipy.stats")
    modules = set(imported_on_import(ast.parse(path.read_text(encoding="utf-8"))))
    assert [m for m in modules if m.startswith(heavy)] == []


AFTER_THE_FIT = "prediction inference comparison diagnostics reporting".split()


@pytest.mark.parametrize(
    "path", [path for path in FILES if layer_of(path) in AFTER_THE_FIT], ids=place_of
)
def test_what_follows_a_fit_takes_no_results_object(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    arguments = {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    attributes = {n.attr for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
    assert arguments & {"result", "results"} == set()
    assert attributes & {"fit_record", "ddf_method"} == set()
