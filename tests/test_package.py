"""The package as a whole: light import, public names, version."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys

import pytest

import multilevel

DEPENDENCIES = "pandas patsy statsmodels.base.model narwhals tqdm".split()
OPTIONAL = "matplotlib polars pyarrow dask duckdb jinja2".split()
HEAVY = ["pandas", "patsy", "statsmodels", "scipy", "narwhals", "tqdm", *OPTIONAL]


def loaded_after(statement: str) -> set[str]:
    """Names of all modules in memory after a statement in a new interpreter."""
    code = f"import sys\n{statement}\nprint(*sys.modules)"
    command = [sys.executable, "-c", code]
    return set(subprocess.check_output(command, text=True).split())


def test_import_loads_no_heavy_package() -> None:
    assert loaded_after("import multilevel") & set(HEAVY) == set()


def test_first_model_loads_only_what_the_dependencies_load_themselves() -> None:
    ours = loaded_after("import multilevel; multilevel.mixedlm")
    # pandas imports pyarrow where it is there, and statsmodels imports scipy.stats.
    theirs = loaded_after(f"import {', '.join(DEPENDENCIES)}")
    unwanted = {*OPTIONAL, "statsmodels.api", "statsmodels.formula.api", "scipy.stats"}
    assert unwanted & (ours - theirs) == set()
    assert "statsmodels.api" not in ours


@pytest.mark.parametrize("name", multilevel.__all__)
def test_public_name_is_there(name: str) -> None:
    assert getattr(multilevel, name) is not None
    assert name in dir(multilevel)


def test_unknown_attribute_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'mixdlm'"):
        multilevel.mixdlm  # noqa: B018 - the access is what is tested


def test_version_is_the_installed_one() -> None:
    assert importlib.metadata.version("multilevel") == multilevel.__version__
