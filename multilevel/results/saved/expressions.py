"""Expressions of a formula in a file: their text, and where their functions are from.

Nothing of a file is compiled before `refuse_unlisted` has seen it, unless the reader
trusts the file. What the names stand for is settled anew, and must be what it was.

Held by tests/models/test_hostile_files.py and tests/models/test_saved_fit.py.
"""

from __future__ import annotations

import builtins
import hashlib
import inspect
import re
import types
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np

from multilevel.design.expressions import (
    Expression,
    FittedExpression,
    Scope,
)
from multilevel.design.fixed_effects import formula_functions
from multilevel.design.name_resolution import resolve
from multilevel.errors import DataError, FormulaError
from multilevel.formula.closed_list import refuse_unlisted
from multilevel.results.saved.values import RecordKind

_OWN = "multilevel"
_TRUST = (
    "if you know where the file comes from, load it with trust=True, which looks up "
    "functions where load is called"
)


def expression_kinds(
    text: str, environment: Mapping[str, object], *, trust: bool
) -> dict[str, RecordKind]:
    """How expressions are written and read.

    Parameters
    ----------
    text : str
        The formula, for errors; empty for writing.
    environment : mapping
        The names of whoever loads, which only a trusted file sees.
    trust : bool

    Returns
    -------
    dict
        Class name -> kind.
    """

    def read(parts: dict[str, Any]) -> Expression:
        return _expression_of(parts, text, environment if trust else {}, trust=trust)

    return {
        "Expression": RecordKind(Expression, _expression_parts, read),
        "FittedExpression": RecordKind(FittedExpression, _fitted_parts, _fitted_of),
    }


def _expression_parts(expression: Expression) -> dict[str, Any]:
    return {
        "code": expression.code,
        "column": expression.column,
        "columns": expression.columns,
        "functions": _origins(expression),
    }


def _expression_of(
    parts: dict[str, Any], text: str, environment: Mapping[str, object], *, trust: bool
) -> Expression:
    code, columns, functions = parts["code"], parts["columns"], parts["functions"]
    if type(code) is not str or type(columns) is not tuple:
        raise DataError("an expression of it is none")
    if not trust:
        foreign = [name for name, origin in functions.items() if origin != _OWN]
        if foreign:
            raise DataError(
                f"{code[:80]!r} in the formula calls {foreign[0]!r:.40}, a function "
                f"that is not this package's own; {_TRUST}"
            )
        try:
            refuse_unlisted(code, columns)
        except DataError as error:
            raise DataError(f"{error}; {_TRUST}") from None
    # The column may be known by the whole text, which has to stand in the formula.
    scope = Scope(
        text=f"{text} {code}",
        columns=dict.fromkeys(columns),
        functions=formula_functions(),
        environment=environment,
    )
    try:
        expression = resolve(code, scope)
    except FormulaError as error:
        raise DataError(f"{code!r} in the formula: {error.message}") from None
    if (expression.column, expression.columns) != (parts["column"], columns):
        raise DataError(f"{code[:80]!r} uses other columns than the file says")
    changed = [n for n, o in _origins(expression).items() if functions.get(n) != o]
    if changed or len(functions) != len(_origins(expression)):
        raise DataError(
            f"{code!r} in the formula calls {', '.join(changed)}, which differs from "
            "what the model was fitted with; load it where the same function is defined"
        )
    return expression


def _origins(expression: Expression) -> dict[str, str]:
    """Function, module or transform that is used -> where it is from."""
    own = formula_functions()
    kinds = [getattr(f, "__patsy_stateful_transform__", f) for f in own.values()]
    origins = {}
    for key, value in expression.bindings.items():
        name = key.removeprefix("_name_")
        is_own = own.get(name) is value
        is_builtin = name not in own and vars(builtins).get(name) is value
        origins[name] = _OWN if is_own or is_builtin else fingerprint(value)
    for key, kind in expression.stateful.items():
        is_own = any(kind is known for known in kinds)
        name = f"{kind.__name__} {key.rpartition('_')[2]}"
        origins[name] = _OWN if is_own else fingerprint(kind)
    return origins


def fingerprint(value: Any) -> str:
    """Name and source of a function, by which a changed one is noticed.

    Plain values that the function takes from around it count as its source.
    """
    if isinstance(value, types.ModuleType):
        return f"module {value.__name__}"
    name = getattr(value, "__qualname__", type(value).__qualname__)
    try:
        source = inspect.getsource(value)
    except (OSError, TypeError):
        source = ""
    for cell in getattr(value, "__closure__", None) or ():
        content = cell.cell_contents
        if isinstance(content, int | float | str | tuple):
            source += repr(content)
    digest = hashlib.sha256(source.encode("utf-8", "replace")).hexdigest()[:16]
    return f"{name} {digest}"


def _fitted_parts(fitted: FittedExpression) -> dict[str, Any]:
    parts = {found.name: getattr(fitted, found.name) for found in fields(fitted)}
    learned = {name: _learned(value) for name, value in fitted.transforms.items()}
    return {**parts, "transforms": learned}


def _learned(transform: Any) -> dict[str, Any]:
    """The fields of what has learned; a class is known by the expression."""
    parts = {found.name: getattr(transform, found.name) for found in fields(transform)}
    if parts.pop("kind", None) is not None and parts["transform"] is not None:
        parts["transform"] = dict(vars(parts["transform"]))
    return parts


def _fitted_of(parts: dict[str, Any]) -> FittedExpression:
    expression, learned = parts["expression"], parts["transforms"]
    if not isinstance(expression, Expression):
        raise DataError("an expression of it is none")
    fitted = expression.unlearned()
    if parts.keys() != {found.name for found in fields(fitted)}:
        raise DataError("an expression of it has other fields")
    if learned.keys() != fitted.transforms.keys():
        raise DataError(f"what {expression.code[:80]!r} has learned is not in it")
    for name, transform in fitted.transforms.items():
        _teach(transform, learned[name])
    return replace(fitted, **{**parts, "transforms": fitted.transforms})


def _teach(transform: Any, learned: dict[str, Any]) -> None:
    """Give back what has been learned."""
    names = {found.name for found in fields(transform)} - {"kind"}
    if learned.keys() != names:
        raise DataError("what a transform of it has learned has other names")
    for name, value in learned.items():
        if name == "transform" and value is not None:
            if not all(
                type(n) is str and re.fullmatch(r"_?[a-z]\w*", n) for n in value
            ):
                raise DataError("what a transform of it has learned has no names")
            if any(_has_nan(part) for part in value.values()):
                raise DataError("what a transform of it has learned is not a number")
            done = object.__new__(transform.kind)
            vars(done).update(value)
            transform.transform = done
        else:
            setattr(transform, name, value)


def _has_nan(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(_has_nan(entry) for entry in value)
    is_float = isinstance(value, float) or (
        isinstance(value, np.ndarray) and value.dtype.kind == "f"
    )
    return is_float and bool(np.isnan(value).any())
