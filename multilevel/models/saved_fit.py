"""Fits in files: the data and the estimates, and no code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from multilevel import __version__
from multilevel.design.model_design import ModelDesign
from multilevel.errors import DataError
from multilevel.models.model_source import ArraySource, FormulaSource
from multilevel.optimize.fit_record import LMMFit, OptimizationReport
from multilevel.optimize.glm_fit_record import GLMMFit
from multilevel.results.archive import read_archive, write_archive


def write_fit(
    path: str | Path,
    model: Any,
    source: FormulaSource | ArraySource,
    fit: LMMFit | GLMMFit,
    ddf_method: str,
) -> None:
    """Write a fit and what its model was built from.

    Parameters
    ----------
    path : str or Path
    model : MixedModel
    source : FormulaSource or ArraySource
    fit : LMMFit or GLMMFit
    ddf_method : str
    """
    document = {
        "multilevel": __version__,
        "model": type(model).__name__,
        "source": source.as_document(),
        "options": model.saved_options(),
        "design": design_marks(model.design),
        "fit": _as_document(fit),
        "ddf": ddf_method,
    }
    write_archive(path, document)


def load(path: str | Path) -> Any:
    """Read a fit that a result's `save` wrote; nothing is fitted again.

    The model is built again from the columns in the file. Functions of your own that
    the formula calls must exist where `load` is called, as for the first fit.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    MixedLMResults or MixedGLMResults

    Raises
    ------
    DataError
        If the file is no saved fit, or the design that its formula gives now differs
        from the one that was fitted.

    Examples
    --------
    >>> import tempfile
    >>> import multilevel as ml
    >>> data = ml.datasets.load("sleepstudy")
    >>> result = ml.mixedlm("Reaction ~ Days + (1 | Subject)", data).fit()
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     result.save(f"{folder}/sleep.fit")
    ...     again = ml.load(f"{folder}/sleep.fit")
    >>> again.llf == result.llf
    True
    """
    document = read_archive(path)
    model = _rebuilt_model(document)
    _reject_other_design(model.design, document["design"])
    return model.result_of(_fit_of(document), document["ddf"])


def design_marks(design: ModelDesign) -> dict[str, Any]:
    """Numbers by which a design is recognised: names, rows, column sums."""
    return {
        "exog_names": list(design.exog_names),
        "kept": np.asarray(design.kept),
        "sums": np.array([design.y.sum(), *design.exog.sum(axis=0)]),
        "sizes": np.array([np.abs(design.y).sum(), *np.abs(design.exog).sum(axis=0)]),
        "levels": [len(factor.levels) for factor in design.factors],
    }


def _rebuilt_model(document: Mapping[str, Any]) -> Any:
    """The model that the document's source describes."""
    # Imported here: the models import this file.
    from multilevel.models.given_family import family_from_document
    from multilevel.models.mixedglm import MixedGLM
    from multilevel.models.mixedlm import MixedLM

    options: dict[str, Any] = {}
    kind: Any = MixedLM
    if document["model"] == "MixedGLM":
        options = {"family": family_from_document(document["options"]["family"])}
        kind = MixedGLM
    source = document["source"]
    if source["kind"] == "arrays":
        given = ArraySource.from_document(source)
        return kind(
            given.endog,
            given.exog,
            given.random,
            weights=given.weights,
            offset=given.offset,
            missing=given.missing,
            **options,
        )
    wanted = FormulaSource.from_document(source)
    return kind.from_formula(
        wanted.formula,
        wanted.frame(),
        weights=wanted.weights,
        offset=wanted.offset,
        missing=wanted.missing,
        **options,
    )


def _reject_other_design(design: ModelDesign, marks: Mapping[str, Any]) -> None:
    """Refuse a design that is not the one the estimates belong to."""
    now = design_marks(design)
    same = all(np.array_equal(now[k], marks[k]) for k in ("exog_names", "levels"))
    if not same or not np.array_equal(now["kept"], marks["kept"]):
        raise DataError(
            "the formula in the file does not give the design that was fitted; a "
            "function that it calls may have changed"
        )
    apart = np.abs(now["sums"] - marks["sums"]) > 1e-9 * marks["sizes"]
    if apart.any():
        names = [design.response, *design.exog_names]
        raise DataError(
            f"the column {names[int(np.argmax(apart))]!r} that the formula in the file "
            "gives differs from the one that was fitted; a function that it calls may "
            "have changed"
        )


def _as_document(record: Any) -> Any:
    """A frozen record as a dict, nested ones and tuples included."""
    if is_dataclass(record):
        names = [field.name for field in fields(record)]
        return {name: _as_document(getattr(record, name)) for name in names}
    return [_as_document(x) for x in record] if isinstance(record, tuple) else record


def _fit_of(document: Mapping[str, Any]) -> LMMFit | GLMMFit:
    """The estimates in a document."""
    record: Any = GLMMFit if document["model"] == "MixedGLM" else LMMFit
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in document["fit"].items()
    }
    values["report"] = OptimizationReport(**values["report"])
    fit: LMMFit | GLMMFit = record(**values)
    return fit
