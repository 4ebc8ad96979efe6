"""Settings of the documentation: ``sphinx-build -W docs docs/_build/html``."""

from __future__ import annotations

from pathlib import Path

from sphinx.application import Sphinx

import multilevel
from multilevel.datasets.catalogue import CATALOGUE
from multilevel.datasets.records import Column, DataSet

project = "multilevel"
author = "The multilevel developers"
copyright = "2026, The multilevel developers"
release = multilevel.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "numpydoc",
]
exclude_patterns = ["_build"]
templates_path = ["_templates"]
html_theme = "alabaster"
html_theme_options = {"description": "Mixed-effects models", "page_width": "70em"}

# What statsmodels and Python define is documented there.
FOREIGN_BASES = "LikelihoodModelResults, LikelihoodModel, BaseException, object"
autodoc_default_options = {"members": True, "inherited-members": FOREIGN_BASES}
autodoc_typehints = "none"
numpydoc_show_class_members = False

DATASETS_PAGE = Path(__file__).parent / "guide" / "datasets.rst"


def write_datasets_page(_: Sphinx) -> None:
    """Write the page of the embedded data sets, so that it cannot drift."""
    title = "Embedded data sets"
    intro = "``ml.datasets.load(name)`` returns a pandas data frame."
    parts = [
        f"{title}\n{'=' * len(title)}\n\n{intro}\n",
        *map(section, CATALOGUE.values()),
    ]
    text = "\n".join(parts)
    if not DATASETS_PAGE.exists() or DATASETS_PAGE.read_text(encoding="utf-8") != text:
        DATASETS_PAGE.write_text(text, encoding="utf-8")


def section(entry: DataSet) -> str:
    """Title, text and columns of one data set."""
    lines = [entry.name, "-" * len(entry.name), "", f"**{entry.title}.** {entry.about}"]
    lines += [
        "",
        f"{entry.n_rows:,} rows.",
        "",
        ".. list-table::",
        "   :header-rows: 1",
        "",
    ]
    rows = [("column", "meaning", "unit or levels")]
    rows += [(f"``{c.name}``", c.meaning, scale(c)) for c in entry.columns]
    for row in rows:
        lines += [f"   * - {row[0]}", *(f"     - {cell}" for cell in row[1:])]
    lines += ["", f"Source: {entry.source}", "", f"Exported from {entry.provenance}"]
    return "\n".join([*lines, "", f"Example: ``{entry.call}``", ""])


def scale(column: Column) -> str:
    """Unit of a measurement or levels of a factor."""
    if column.levels is None:
        return column.unit or "\\ "
    if len(column.levels) <= 6 and column.levels:
        return (" < " if column.ordered else ", ").join(column.levels)
    return "many levels" if not column.levels else f"{len(column.levels)} levels"


def setup(app: Sphinx) -> None:
    """Generate what is generated."""
    app.connect("builder-inited", write_datasets_page)
