"""What the names in a formula's expressions stand for.

A name is, in this order, a column of the data, a function that the caller's module
defines, one of the formula's own functions, another function or a module of the caller,
a builtin function. Any other variable of the caller
is refused: with it, the same formula on the same data would not mean the same model.

Held by tests/design/test_gaps_in_expressions.py and tests/design/test_bad_data.py.
"""

from __future__ import annotations

import ast
import builtins
import difflib
import keyword
import re
import types
from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd

from multilevel.design.dependence import ROWS
from multilevel.design.expressions import Expression, Scope
from multilevel.design.row_dependence import RowReader
from multilevel.errors import FormulaError

# Names by which an expression says that it deals with missing values itself.
_MISSING_AWARE = frozenset(
    "bfill combine_first ffill fillna interpolate isfinite isna isnan isnull mask "
    "nan_to_num notna notnull where".split()
)
# Syntax that brings in names of its own.
_BINDERS = (
    ast.Lambda,
    ast.ListComp,
    ast.SetComp,
    ast.DictComp,
    ast.GeneratorExp,
    ast.NamedExpr,
)
_R_EQUIVALENTS = {
    "ns": "cr(x, df=3), or bs(x, df=3), is a spline",
    "s": "cr(x, df=3), or bs(x, df=3), is a spline",
    "ifelse": "np.where(condition, a, b) chooses",
    "relevel": "C(f, Treatment('base')) sets the base level",
    "as.factor": "factor(x) makes a categorical",
    "as.integer": "x.astype(int) converts",
    "as.numeric": "x.astype(float) converts",
    "interaction": "a:b is the interaction",
    "cut": "pd.cut(x, 4) makes intervals",
}


def resolve(code: str, scope: Scope) -> Expression:
    """Settle what the names of an expression stand for.

    Parameters
    ----------
    code : str
        A Python expression, or the name of a column as it is.
    scope : Scope
        The names there are.

    Raises
    ------
    FormulaError
        For a name that stands for nothing, or for a variable of the caller.
    """
    squeezed = code.replace(" ", "")
    for name in (code, squeezed):
        # patsy puts blanks into "1st"; but "x y" must not be the column "xy".
        if name in scope.columns and (name == code or name in scope.text):
            return Expression(
                code=code,
                column=name,
                columns=(name,),
                checked_columns=(name,),
                program="",
                bindings={},
                sources={},
                stateful={},
            )
    tree, quoted = _parse(code, scope)
    names = _NameResolver(code, scope, quoted)
    tree = ast.fix_missing_locations(names.visit(tree))
    used = tuple(dict.fromkeys(names.sources.values()))
    column = _only_column(tree, names.sources)
    # fillna and its like are asked for where values are missing: their rows stay.
    checked = () if names.missing_aware else _unshifted_columns(tree, names.sources)
    reader = RowReader(
        names.bindings, scope.functions, handles_missing=names.missing_aware
    )
    tree, dependence = reader.read(tree)
    return Expression(
        code=code,
        column=column,
        columns=used,
        checked_columns=checked,
        program=ast.unparse(tree),
        bindings=names.bindings,
        sources=names.sources,
        stateful=names.stateful,
        learned={name: make() for name, make in reader.learned.items()},
        is_row_wise=dependence <= ROWS,
    )


def _only_column(tree: ast.Expression, sources: dict[str, Hashable]) -> Hashable | None:
    """The column, if ``Q("...")`` or a quoted keyword is all there is."""
    return sources.get(tree.body.id) if isinstance(tree.body, ast.Name) else None


def _unshifted_columns(
    tree: ast.AST, sources: Mapping[str, Hashable]
) -> tuple[Hashable, ...]:
    """The columns of which a row's own value matters: not x in ``x.shift(1)``."""
    found: dict[Hashable, None] = {}
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop(0)
        if isinstance(node, ast.Name) and node.id in sources:
            found[sources[node.id]] = None
        children = list(ast.iter_child_nodes(node))
        if isinstance(node, ast.Call) and _is_shift(node.func):
            children = [*node.args, *node.keywords]
        waiting += children
    return tuple(found)


def _is_shift(function: ast.expr) -> bool:
    """Whether it is ``x.shift`` or ``x.groupby(g).shift``."""
    if not isinstance(function, ast.Attribute) or function.attr != "shift":
        return False
    owner = function.value
    if isinstance(owner, ast.Call) and isinstance(owner.func, ast.Attribute):
        owner = owner.func.value if owner.func.attr == "groupby" else owner
    return isinstance(owner, ast.Name)


def _parse(code: str, scope: Scope) -> tuple[ast.Expression, dict[str, str]]:
    """The syntax tree, and stand-ins for columns named like Python's keywords."""
    try:
        return ast.parse(code, mode="eval"), {}
    except SyntaxError:
        words = [w for w in keyword.kwlist if w in scope.columns]
    quoted = {f"_keyword_{word}": word for word in words}
    for stand_in, word in quoted.items():
        code = re.sub(rf"(?<![\w.]){word}(?!\w)", stand_in, code)
    try:
        return ast.parse(code, mode="eval"), quoted
    except SyntaxError:
        raise _not_an_expression(code, scope) from None


def _not_an_expression(code: str, scope: Scope) -> FormulaError:
    for r_name, advice in _R_EQUIVALENTS.items():
        if code.startswith(r_name + "("):
            return scope.error(f"{r_name}() is R, not Python", [code], advice)
    words = code.split()
    between = all(re.fullmatch(r"[\w.]+", word) for word in words) and len(words) > 1
    return scope.error(
        f"{code!r} is neither a column nor a Python expression",
        [code],
        f"an operator may be missing, as in {' + '.join(words)}"
        if between
        else "terms are joined by +, and an odd column name is quoted as Q('the name')",
    )


class _NameResolver(ast.NodeTransformer):
    """Replaces every name by a key of what it stands for."""

    def __init__(self, code: str, scope: Scope, quoted: dict[str, str]) -> None:
        self.code = code
        self.scope = scope
        self.quoted = quoted
        self.bindings: dict[str, Any] = {}
        self.sources: dict[str, Hashable] = {}
        self.stateful: dict[str, type] = {}
        self.missing_aware = False
        self.called: ast.expr | None = None

    def visit_Name(self, node: ast.Name) -> ast.expr:  # noqa: N802
        name = self.quoted.get(node.id, node.id)
        if name in self.scope.columns:
            return self._column(name)
        return self._binding(name, self._found(name))

    def visit_Call(self, node: ast.Call) -> ast.expr:  # noqa: N802
        # Inside an argument a column may be named as a function is; before "(" not.
        if isinstance(node.func, ast.Name):
            name = node.func.id
            if name == "Q" and name in self.scope.functions:
                return self._quoted_column(node)
            value = self._function(name)
            # Transforms written for patsy are known by its
            # protocol, whoever wrote them.
            kind = getattr(value, "__patsy_stateful_transform__", value)
            if hasattr(kind, "memorize_chunk"):
                key = f"_stateful_{len(self.stateful)}"
                self.stateful[key] = kind
                node.func = ast.Name(key, ast.Load())
            else:
                node.func = self._binding(name, value)
        else:
            self.called = node.func if node.args or node.keywords else None
            node.func = self.visit(node.func)
        node.args = [self.visit(arg) for arg in node.args]
        node.keywords = [self.visit(option) for option in node.keywords]
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:  # noqa: N802
        # np.where chooses by a condition, and of nothing none is true.
        module = self._module_before(node)
        is_module = module is not None or self._is_module(node.value)
        chooses = node.attr == "where" and is_module
        if node.attr in _MISSING_AWARE and not chooses:
            self.missing_aware = True
        dotted = ast.unparse(node)
        if dotted in self.scope.columns and dotted.split(".")[0] not in (
            self.scope.columns
        ):
            return self._column(dotted)
        node.value = module if module is not None else self.visit(node.value)
        return node

    def _is_module(self, node: ast.expr) -> bool:
        if not isinstance(node, ast.Name) or node.id in self.scope.columns:
            return False
        spaces = (self.scope.functions, self.scope.environment)
        return any(isinstance(s.get(node.id), types.ModuleType) for s in spaces)

    def _module_before(self, node: ast.Attribute) -> ast.Name | None:
        """``np`` of ``np.log(z)``, also if a column is called so; None for a column.

        A column's own methods remain where the module has none of that name, and
        where they are called without arguments.
        """
        name = node.value.id if isinstance(node.value, ast.Name) else ""
        if name not in self.scope.columns:
            return None
        spaces = (self.scope.functions, self.scope.environment)
        module = next((space[name] for space in spaces if name in space), None)
        if not isinstance(module, types.ModuleType) or not hasattr(module, node.attr):
            return None
        if node is not self.called and hasattr(pd.Series, node.attr):
            return None
        return self._binding(name, module)

    def generic_visit(self, node: ast.AST) -> ast.AST:
        if isinstance(node, _BINDERS):
            raise self.scope.error(
                "a formula cannot hold a lambda, a loop or an assignment",
                [self.code],
                "compute the column first, or call a function of your own",
            )
        return super().generic_visit(node)

    def _column(self, name: Hashable) -> ast.Name:
        key = (
            f"_column_{list(self.sources.values()).index(name)}"
            if (name in self.sources.values())
            else f"_column_{len(self.sources)}"
        )
        self.sources[key] = name
        return ast.Name(key, ast.Load())

    def _binding(self, name: str, value: Any) -> ast.Name:
        self.bindings[f"_name_{name}"] = value
        return ast.Name(f"_name_{name}", ast.Load())

    def _quoted_column(self, node: ast.Call) -> ast.expr:
        name = node.args[0] if len(node.args) == 1 and not node.keywords else None
        if not isinstance(name, ast.Constant):
            raise self.scope.error(
                "Q() takes the name of one column in quotes",
                [self.code],
                "write Q('the name')",
            )
        if name.value not in self.scope.columns:
            raise self.scope.error(
                f"the data have no column {name.value!r}",
                [ast.unparse(node), self.code],
                _suggestion(str(name.value), self.scope),
            )
        return self._column(name.value)

    def _function(self, name: str) -> Any:
        if name in self.scope.columns and not self._is_function(name):
            raise self.scope.error(
                f"{name!r} is a column, not a function",
                [name],
                f"an operator may be missing between {name} and the parenthesis",
            )
        return self._found(name)

    def _is_function(self, name: str) -> bool:
        spaces = (self.scope.functions, self.scope.environment, vars(builtins))
        return any(callable(space.get(name)) for space in spaces)

    def _found(self, name: str) -> Any:
        """The function or module of that name."""
        if name in self.scope.functions and not self._is_redefined(name):
            return self.scope.functions[name]
        if name in self.scope.environment:
            value = self.scope.environment[name]
            is_contrast = hasattr(value, "code_without_intercept")
            if callable(value) or isinstance(value, types.ModuleType) or is_contrast:
                return value
            raise self.scope.error(
                f"{name!r} is not a column of the data but a variable of your program "
                f"({type(value).__name__}); a formula sees the columns only",
                [name],
                f"put it into a column, data[{name!r}] = {name}, or write its value",
            )
        if hasattr(builtins, name):
            return getattr(builtins, name)
        raise self._unknown(name)

    def _is_redefined(self, name: str) -> bool:
        """Whether the caller's own module defines a function of that name.

        One that was merely imported, as ``from math import log``, does not count.
        """
        here = self.scope.environment.get("__name__", None)
        value = self.scope.environment.get(name)
        is_function = isinstance(value, types.FunctionType)
        return is_function and getattr(value, "__module__", "") == here

    def _unknown(self, name: str) -> FormulaError:
        is_call = re.search(rf"(?<![\w.]){re.escape(name)}\s*\(", self.code)
        if is_call:
            hint = _R_EQUIVALENTS.get(name, "define it, or import it, before the model")
            return self.scope.error(f"there is no function {name}()", [name], hint)
        return self.scope.error(
            f"the data have no column {name!r}", [name], _suggestion(name, self.scope)
        )


def _suggestion(name: str, scope: Scope) -> str | None:
    """Close matches among the columns, or the columns themselves if they are few."""
    texts = {str(column): column for column in scope.columns}
    by_lower = {text.lower(): text for text in texts}
    close = difflib.get_close_matches(name.lower(), by_lower, n=3, cutoff=0.6)
    if name in texts:  # the column's name is no text: 0 for '0'
        return (
            f"the column's name is {texts[name]!r}, not text; write Q({texts[name]!r})"
        )
    if close:
        alternatives = " or ".join(repr(by_lower[match]) for match in close)
        return f"did you mean {alternatives}?"
    if not texts:
        return "the data have no columns"
    listed = ", ".join(list(texts)[:8]) + (", ..." if len(texts) > 8 else "")
    odd = [column for column in scope.columns if not isinstance(column, str)]
    if odd:
        listed += f"; names that are not text are written Q({odd[0]!r}), or renamed"
    return f"the columns are {listed}"
