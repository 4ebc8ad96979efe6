"""Whether an expression's value in a row depends on other rows, as far as one can see.

Read off the syntax tree of an expression whose names are settled. Arithmetic,
comparisons and functions that are known to go row by row do; a number that a known
function computes from a whole column, ``x.mean()``, is wrapped so that it is learned in
the fit; of everything else, ``x.rank()`` or a function of the user's, nothing is known,
and new rows are checked (`whole_columns.py`).

Held by tests/design/test_gaps_in_expressions.py.
"""

from __future__ import annotations

import ast
import math
import types
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from multilevel.design import known_functions as known
from multilevel.design.dependence import (
    CONSTANT,
    LISTED,
    PART,
    ROWS,
    WHOLE,
    CallPieces,
    Dependence,
    joined,
)
from multilevel.design.learned import RememberedBins, RememberedValue


class RowReader:
    """Reads an expression from the inside out, wrapping what is learned.

    Parameters
    ----------
    bindings : mapping
        Name in the tree -> function or module.
    formula_functions : mapping
        The formula's own functions by name; ``C`` and ``I`` go row by row.
    handles_missing : bool
        Whether the expression says itself what becomes of missing values.

    Attributes
    ----------
    learned : dict
        Name in the tree -> makes what will learn there.
    """

    def __init__(
        self,
        bindings: Mapping[str, Any],
        formula_functions: Mapping[str, Any],
        *,
        handles_missing: bool,
    ) -> None:
        self.handles_missing = handles_missing
        self.bindings = bindings
        self.boxes = [formula_functions.get(name) for name in ("C", "I", "factor")]
        self.learned: dict[str, Callable[[], Any]] = {}
        self._is_root = True

    def read(self, tree: ast.Expression) -> tuple[ast.Expression, Dependence]:
        """The tree with what is learned wrapped, and what its value looks at."""
        body, found = self._read(tree.body)
        found = WHOLE if found == LISTED else found
        return ast.fix_missing_locations(ast.Expression(body)), found

    def _read(self, node: ast.expr) -> tuple[ast.expr, Dependence]:
        if isinstance(node, ast.Call):
            return self._call(node)
        self._is_root = False
        if isinstance(node, ast.Name):
            return node, ROWS if node.id.startswith("_column_") else CONSTANT
        if isinstance(node, ast.Constant):
            return node, CONSTANT
        if isinstance(node, ast.BinOp):
            return self._arithmetic(node)
        if isinstance(node, ast.UnaryOp):
            node.operand, found = self._read(node.operand)
            return node, joined(found)
        if isinstance(node, ast.Compare):
            return self._comparison(node)
        if isinstance(node, ast.Attribute):
            return self._attribute(node)
        if isinstance(node, ast.Subscript):
            return self._subscript(node)
        if isinstance(node, (ast.List, ast.Tuple)):
            node.elts, inside = self._read_all(node.elts)
            return node, LISTED if max(inside, default=CONSTANT) <= LISTED else WHOLE
        return self._other(node)

    def _read_all(
        self, nodes: list[ast.expr]
    ) -> tuple[list[ast.expr], list[Dependence]]:
        read = [self._read(node) for node in nodes]
        return [node for node, _ in read], [found for _, found in read]

    def _other(self, node: ast.expr) -> tuple[ast.expr, Dependence]:
        """A dict, a choice, a text with values: known if it is of constants only."""
        found = CONSTANT
        for name, value in ast.iter_fields(node):
            if isinstance(value, ast.expr):
                read, inside = self._read(value)
                setattr(node, name, read)
                found = max(found, inside)
            elif isinstance(value, list) and all(
                isinstance(v, ast.expr) for v in value
            ):
                read_all, kinds = self._read_all(value)
                setattr(node, name, read_all)
                found = max([found, *kinds])
        if isinstance(node, ast.Dict):
            found = max(found, LISTED)
        return node, found if found <= LISTED else WHOLE

    def _arithmetic(self, node: ast.BinOp) -> tuple[ast.expr, Dependence]:
        node.left, left = self._read(node.left)
        node.right, right = self._read(node.right)
        found = joined(left, right)
        # A product of matrices sums over rows.
        if isinstance(node.op, ast.MatMult) and found != CONSTANT:
            return node, WHOLE
        operator = known.EXACT_OPERATORS.get(type(node.op))
        is_written = isinstance(node.left, ast.Constant) and isinstance(
            node.right, ast.Constant
        )
        if operator is None or is_written:
            return node, found
        return _call_of(operator, node.left, node.right), found

    def _comparison(self, node: ast.Compare) -> tuple[ast.expr, Dependence]:
        node.left, left = self._read(node.left)
        node.comparators, others = self._read_all(node.comparators)
        found = joined(left, *others)
        if not self.handles_missing:
            node.left = _watched(node.left)
            node.comparators = [_watched(other) for other in node.comparators]
        # Not in and is, which compare whole objects, nor chains, whose `and` asks
        # a column for a single truth.
        by_value = (ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE)
        is_per_row = len(others) == 1 and isinstance(node.ops[0], by_value)
        return node, found if found == CONSTANT or is_per_row else WHOLE

    def _attribute(self, node: ast.Attribute) -> tuple[ast.expr, Dependence]:
        is_date_part = _is_accessor(node.value, "dt")
        node.value, found = self._read(node.value)
        if found <= LISTED:
            return node, found
        is_known = node.attr in known.ROW_ATTRIBUTES or is_date_part
        return node, found if is_known else WHOLE

    def _subscript(self, node: ast.Subscript) -> tuple[ast.expr, Dependence]:
        of_text = _is_accessor(node.value, "str")
        node.value, value = self._read(node.value)
        node.slice, place = self._read(node.slice)
        if value == CONSTANT and place == CONSTANT:
            return node, CONSTANT
        one_column = isinstance(node.slice, ast.Tuple) and (
            ast.unparse(node.slice.elts[0]) == ":"
        )
        is_per_row = value == ROWS and place <= LISTED and (of_text or one_column)
        # x[g == 0]: a value for some of the rows, good for a mean to be learned of.
        if value == place == ROWS:
            return node, PART
        return node, ROWS if is_per_row else WHOLE

    def _call(self, node: ast.Call) -> tuple[ast.expr, Dependence]:
        is_root, self._is_root = self._is_root, False
        function = self._object(node.func)
        # I(...) and C(...) around the intervals leave them all of the expression.
        is_box = function is not None and _is_among(function, self.boxes)
        self._is_root = is_root and is_box
        args: list[ast.expr] = []
        kinds: list[Dependence] = []
        takes_lists = _is_among(function, known.LIST_FUNCTIONS)
        for arg in node.args:
            if takes_lists and isinstance(arg, (ast.List, ast.Tuple)):
                arg.elts, inside = self._read_all(arg.elts)
                args.append(arg)
                kinds.append(joined(*inside))
            else:
                read, kind = self._read(arg)
                args.append(read)
                kinds.append(kind)
            self._is_root = False
        node.args = args
        options = []
        for option in node.keywords:
            option.value, kind = self._read(option.value)
            options.append(kind)
        names = frozenset(option.arg for option in node.keywords)
        found = CallPieces(tuple(kinds), tuple(options), names)
        if function is None:
            return self._method_call(node, found)
        return self._function_call(node, function, found, is_root=is_root)

    def _object(self, node: ast.expr) -> Any:
        """The function that a name or ``module.name`` stands for, None if neither."""
        if isinstance(node, ast.Name):
            return self.bindings.get(node.id, _STATEFUL)
        if isinstance(node, ast.Attribute):
            owner = self._object(node.value)
            if isinstance(owner, types.ModuleType):
                return getattr(owner, node.attr, _UNKNOWN)
        return None

    def _function_call(
        self, node: ast.Call, function: Any, found: CallPieces, *, is_root: bool
    ) -> tuple[ast.expr, Dependence]:
        name = getattr(function, "__name__", "")
        if name in known.ACCUMULATING and found.first >= ROWS:
            node.args[0] = _wide_enough(node.args[0], name)
        if isinstance(function, np.ufunc) and found.largest > LISTED:
            return _of_ufunc(node, function, found)
        if found.largest == WHOLE:
            return node, WHOLE
        if found.largest == PART:
            return self._of_part(node, function, found)
        if function is _STATEFUL:
            return node, ROWS
        if found.largest <= LISTED:
            return node, _of_constants(function, found.largest)
        if _is_among(function, known.CUTTING):
            if not found.is_of_first or "retbins" in found.names:
                return node, WHOLE
            return self._wrapped(node, lambda: RememberedBins(is_root)), ROWS
        if _is_among(function, known.REDUCTIONS):
            return self._reduction(node, function, found)
        return node, self._row_function(function, found)

    def _of_part(
        self, node: ast.Call, function: Any, found: CallPieces
    ) -> tuple[ast.expr, Dependence]:
        """What is computed from some of the rows is learned, or unknown."""
        is_known = _is_among(function, known.REDUCTIONS)
        return self._reduction(node, function, found) if is_known else (node, WHOLE)

    def _reduction(
        self, node: ast.Call, function: Any, found: CallPieces
    ) -> tuple[ast.expr, Dependence]:
        name = function.__name__
        # What follows is an axis, except for these.
        most = 2 if name.endswith(("quantile", "percentile")) else 1
        is_weighted = function is np.average and found.first == ROWS
        is_single = found.first in (ROWS, PART) and found.rest <= LISTED
        is_known = (is_single or is_weighted) and len(node.args) <= most
        if not is_known or found.is_shaped:
            return node, WHOLE
        kind = LISTED if found.rest == LISTED else CONSTANT
        return self._wrapped(node, RememberedValue), kind

    def _row_function(self, function: Any, found: CallPieces) -> Dependence:
        if found.is_shaped:
            return WHOLE
        if _is_among(function, known.LOOKUPS):
            return ROWS if found.is_of_first else WHOLE
        if _is_among(function, self.boxes):
            return found.first
        return found.joined if _is_among(function, known.ROW_FUNCTIONS) else WHOLE

    def _method_call(
        self, node: ast.Call, found: CallPieces
    ) -> tuple[ast.expr, Dependence]:
        """``x.mean()``, ``x.clip(0, 1)``, ``x.dt.floor("D")``, and what is unknown."""
        if not isinstance(node.func, ast.Attribute):
            node.func, _ = self._read(node.func)
            return node, WHOLE
        method = node.func.attr
        accessor = getattr(node.func.value, "attr", "")
        node.func.value, owner = self._read(node.func.value)
        if owner == found.largest == CONSTANT:
            return node, CONSTANT
        if method in known.ACCUMULATING and owner >= ROWS:
            node.func.value = _wide_enough(node.func.value, method)
        if owner == PART and method not in known.REDUCING_METHODS:
            return node, WHOLE
        if owner not in (ROWS, PART) or found.largest > ROWS or found.is_shaped:
            return node, WHOLE
        if accessor == "str":
            return node, ROWS if method in known.TEXT_METHODS else WHOLE
        if accessor == "dt":
            return node, ROWS
        return self._method_of_rows(node, node.func, found)

    def _method_of_rows(
        self, node: ast.Call, method_of: ast.Attribute, found: CallPieces
    ) -> tuple[ast.expr, Dependence]:
        method = method_of.attr
        if method in known.REDUCING_METHODS:
            # A positional argument is an axis, except for a quantile.
            is_known = found.largest <= LISTED and (
                not node.args or method == "quantile"
            )
            if not is_known:
                return node, WHOLE
            return self._wrapped(node, RememberedValue), found.largest
        kind = joined(ROWS, found.joined)
        operator = known.EXACT_METHODS.get(method)
        if operator and len(node.args) == 1 and not node.keywords:
            return _call_of(operator, method_of.value, node.args[0]), kind
        if method in known.LISTING_METHODS:
            return node, ROWS if found.largest <= LISTED else WHOLE
        return node, kind if method in known.ROW_METHODS else WHOLE

    def _wrapped(self, node: ast.Call, make: Callable[[], Any]) -> ast.expr:
        """``f(x, ...)`` as ``_learned_0(f, x, ...)``."""
        name = f"_learned_{len(self.learned)}"
        self.learned[name] = make
        args = [node.func, *node.args]
        return ast.Call(ast.Name(name, ast.Load()), args, node.keywords)


# What `RowReader._object` finds for a transform that remembers, and for nothing.
_STATEFUL = object()
_UNKNOWN = object()


def _is_among(function: Any, functions: Iterable[Any]) -> bool:
    return any(function is found for found in functions)


def _of_ufunc(
    node: ast.Call, function: np.ufunc, found: CallPieces
) -> tuple[ast.expr, Dependence]:
    goes_by_row = function.nout == 1 and function.signature is None
    if found.names or not goes_by_row:
        return node, WHOLE
    operator = known.EXACT_UFUNCS.get(function)
    if operator and len(node.args) == (1 if operator == "_square" else 2):
        return _call_of(operator, *node.args), found.joined
    return _call_of("_in_doubles", node.func, *node.args), found.joined


def _of_constants(function: Any, largest: Dependence) -> Dependence:
    """Of a call that no column enters, such as ``np.log(2)`` or ``Treatment(1)``."""
    if hasattr(function, "code_without_intercept"):
        return CONSTANT
    if _is_among(function, known.LISTING_FUNCTIONS):
        return LISTED
    is_math = getattr(math, getattr(function, "__name__", ""), None) is function
    of_one_value = is_math or _is_among(function, known.SCALAR_FUNCTIONS)
    if of_one_value or isinstance(function, np.ufunc):
        return largest
    return WHOLE


def _is_accessor(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == name


def _watched(node: ast.expr) -> ast.expr:
    """Something that is compared; columns themselves have been looked at before."""
    if isinstance(node, (ast.Name, ast.Constant)):
        return node
    return _call_of("_compared", node)


def _wide_enough(node: ast.expr, name: str) -> ast.expr:
    """The argument of a sum or product, in a type that holds it."""
    if name in known.SUMS:
        return _call_of("_summable", node)
    return _call_of("_multipliable", node) if name in known.PRODUCTS else node


def _call_of(name: str, *args: ast.expr) -> ast.Call:
    return ast.Call(ast.Name(name, ast.Load()), list(args), [])
