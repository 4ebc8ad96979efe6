"""A fit is written to a file: what goes in. How files look: `results/saved`.

Held by tests/models/test_saved_fit.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from multilevel import __version__
from multilevel.design.design_record import ModelDesign
from multilevel.models.saved_checks import refuse_wrong_design, refuse_wrong_fit
from multilevel.optimize.generalized.fit_record import GLMMFit
from multilevel.optimize.linear.fit_record import LMMFit
from multilevel.results.saved.container import write_container
from multilevel.results.saved.expressions import expression_kinds
from multilevel.results.saved.record_types import records_within
from multilevel.results.saved.values import RecordKind, Writer

PARTS = frozenset({"multilevel", "model", "formula", "options", "design", "fit", "ddf"})
"""Of the document."""


def write_fit(path: str | Path, model: Any, fit: LMMFit | GLMMFit, ddf: str) -> None:
    """Write a fit and its design; an older file stays until the new one is whole.

    Parameters
    ----------
    path : str or Path
    model : MixedModel
    fit : LMMFit or GLMMFit
    ddf : str

    Raises
    ------
    DataError
        If labels of rows or groups are objects that are no data.
    """
    design = model.design
    refuse_wrong_design(design)
    refuse_wrong_fit(fit, design)
    writer = Writer(record_kinds("", {}, trust=False))
    document = {
        "multilevel": __version__,
        "model": type(model).__name__,
        "formula": "" if design.formula is None else design.formula.text,
        "options": writer.tree(model.saved_options()),
        "design": writer.tree(design),
        "fit": writer.tree(fit),
        "ddf": ddf,
    }
    write_container(path, document, writer.arrays)


def record_kinds(
    text: str, environment: Mapping[str, object], *, trust: bool
) -> dict[str, RecordKind]:
    """How the records of a design and a fit are written and read, by class name."""
    records = records_within(ModelDesign, LMMFit, GLMMFit)
    plain = {name: RecordKind(record) for name, record in records.items()}
    return {**plain, **expression_kinds(text, environment, trust=trust)}
