"""A fit is read from a file again, whoever wrote it.

Held by tests/models/test_saved_fit.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from multilevel.design.design_record import ModelDesign
from multilevel.errors import DataError
from multilevel.formula.environment import caller_namespace
from multilevel.inference.denominator_df import DDF_METHODS
from multilevel.likelihood.families.registry import FAMILIES
from multilevel.methods import names_for
from multilevel.models.given_family import family_from_document
from multilevel.models.mixedglm import MixedGLM
from multilevel.models.mixedlm import MixedLM
from multilevel.models.saved_checks import refuse_wrong_design, refuse_wrong_fit
from multilevel.models.saved_fit import PARTS, record_kinds
from multilevel.optimize.generalized.fit_record import GLMMFit
from multilevel.optimize.linear.fit_record import LMMFit
from multilevel.results.saved.container import Container
from multilevel.results.saved.replaced_file import file_path
from multilevel.results.saved.values import Reader


def load(path: str | Path, trust: bool = False) -> Any:
    """Read a fit that a result's `save` wrote; nothing is fitted or computed again.

    No code of the file is run, whoever wrote it: the formula's expressions, which
    predictions for new rows need, may only call a closed list of functions.

    Parameters
    ----------
    path : str or Path
    trust : bool
        Allow everything that a formula may hold: functions of your own, which must be
        defined where `load` is called, and any Python. Only for files whose origin you
        know.

    Returns
    -------
    MixedLMResults or MixedGLMResults

    Raises
    ------
    DataError
        If the file is no saved fit, is damaged, or its formula calls what is not on
        the closed list.

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
    environment = caller_namespace() if trust else {}
    with open(file_path(path), "rb") as file:
        try:
            return _result_in(file, environment, trust=trust)
        # A damaged file can fail anywhere in zipfile, numpy and pandas.
        except Exception as error:
            why = str(error) if isinstance(error, DataError) else "it is damaged"
            raise DataError(
                f"{str(path)!r} is not a saved multilevel fit that can be read: {why}"
            ) from error


def _result_in(
    file: IO[bytes], environment: Mapping[str, object], *, trust: bool
) -> Any:
    """The results object of an open file, checked."""
    container = Container.of(file)
    document = container.document()
    if not isinstance(document, dict) or document.keys() != PARTS:
        raise DataError("its document has other parts")
    text = document["formula"]
    if not isinstance(text, str):
        raise DataError("its formula is no text")
    kinds = record_kinds(text, environment, trust=trust)
    reader = Reader(kinds, container.array, sum(container.sizes.values()))
    options, design, fit = (
        reader.value(document[part]) for part in ("options", "design", "fit")
    )
    container.refuse_unread()
    if not isinstance(design, ModelDesign):
        raise DataError("its design is none")
    if (design.formula.text if design.formula else "") != text:
        raise DataError("it has two formulas")
    refuse_wrong_design(design)
    refuse_wrong_fit(fit, design)
    ddf = document["ddf"]
    if document["model"] == "MixedLM" and isinstance(fit, LMMFit):
        _refuse_other(ddf, names_for(DDF_METHODS, "linear"))
        return MixedLM._of(design).result_of(fit, ddf)
    if document["model"] == "MixedGLM" and isinstance(fit, GLMMFit):
        _refuse_other(ddf, names_for(DDF_METHODS, "generalized"))
        family = family_from_document(options["family"])
        model = MixedGLM._with_family(design, family)
        _refuse_other(model.family.name, FAMILIES)
        return model.result_of(fit, ddf)
    raise DataError("its model is of no known kind")


def _refuse_other(word: Any, known: Any) -> None:
    if not isinstance(word, str) or word not in known:
        raise DataError(f"it names {word!r:.40}")
