"""What an expression of a stranger may hold: a closed list of functions and syntax.

Names of columns, numbers, text as an argument, arithmetic, comparisons, and calls of
the functions and methods below, which only compute. Everything else is refused before
any of it is compiled: other attributes, subscripts, lambdas, names of the caller.

Held by tests/models/test_hostile_files.py.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Hashable, Mapping
from types import MappingProxyType

from multilevel.errors import DataError

LONGEST = 20_000
"""Characters of an expression."""

DEEPEST = 40
"""How deep its syntax may be nested."""

FUNCTIONS: Mapping[str, int] = MappingProxyType(
    {
        **dict.fromkeys(("log", "log2", "log10", "log1p", "exp", "sqrt", "abs"), 1),
        **dict.fromkeys(("I", "Q", "center"), 1),
        **dict.fromkeys(("C", "factor", "round", "Treatment", "Sum", "Poly"), 3),
        **dict.fromkeys(("Helmert", "Diff"), 1),
        **dict.fromkeys(("standardize", "scale", "poly", "cr", "cc"), 4),
        **dict.fromkeys(("bs", "te"), 6),
    }
)
"""Name -> most arguments by position."""

MODULE_FUNCTIONS: Mapping[str, int] = MappingProxyType(
    {
        **{
            f"np.{name}": 1
            for name in (
                "abs absolute sign floor ceil trunc rint square sqrt cbrt exp exp2 "
                "expm1 log log2 log10 log1p sin cos tan arcsin arccos arctan sinh cosh "
                "tanh arcsinh arccosh arctanh deg2rad rad2deg isnan isfinite isinf "
                "nan_to_num mean median std var sum min max nanmean nanmedian nanstd "
                "nanvar nansum nanmin nanmax cumsum logical_not"
            ).split()
        },
        **{
            f"np.{name}": 2
            for name in (
                "minimum maximum fmin fmax hypot arctan2 mod fmod add subtract "
                "multiply divide true_divide logical_and logical_or logical_xor "
                "round around "
                "greater greater_equal less less_equal equal not_equal "
                "quantile percentile nanquantile nanpercentile isin"
            ).split()
        },
        **dict.fromkeys(("np.where", "np.clip"), 3),
        **dict.fromkeys(("pd.cut", "pd.qcut"), 3),
        **dict.fromkeys(("pd.isna", "pd.notna", "pd.Categorical"), 1),
        "pd.to_numeric": 1,
    }
)
"""The same for functions of numpy and pandas."""

METHODS: Mapping[str, int] = MappingProxyType(
    {
        **{
            name: 0
            for name in (
                "abs isna notna isnull notnull mean median sum min max count nunique "
                "cumsum cummin cummax ffill bfill sqrt lower upper title strip"
            ).split()
        },
        **dict.fromkeys(("round", "fillna", "shift", "diff", "rank", "std", "var"), 1),
        **dict.fromkeys(("quantile", "isin", "pct_change", "startswith"), 1),
        **dict.fromkeys(("endswith", "len", "astype", "dayofyear"), 1),
        **dict.fromkeys(("clip", "where", "mask", "between"), 2),
    }
)
"""Methods of a column; most arguments by position."""

ATTRIBUTES = frozenset(
    "dt str cat codes year month day hour minute second dayofweek dayofyear quarter "
    "weekday days seconds is_month_start is_month_end".split()
)
"""What a column may be asked for without a call."""

CONSTANTS = frozenset({"np.nan", "np.inf", "np.pi", "np.e"})
_CONTRASTS = frozenset({"Treatment", "Sum", "Poly", "Helmert", "Diff"})
_TYPES = frozenset({"float", "int", "str", "bool", "category", "float64", "int64"})
_OPTIONS = frozenset(
    "levels reference omit scores df degree knots lower_bound upper_bound constraints "
    "include_intercept center rescale ddof raw bins q right labels include_lowest "
    "precision duplicates ordered categories decimals method ascending pct na_option "
    "lower upper inclusive periods value other errors na".split()
)
# Here a number says how many; elsewhere it is a value.
_COUNTING = frozenset({"poly", "bs", "cr", "cc", "te", "pd.cut", "pd.qcut"})
_MOST = 1000
_LARGEST_POWER = 100
_OPERATORS = (
    ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow, ast.BitAnd,
    ast.BitOr, ast.USub, ast.UAdd, ast.Invert, ast.Not, ast.And, ast.Or, ast.Eq,
    ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Load,
)  # fmt: skip


def refuse_unlisted(code: str, columns: Collection[Hashable]) -> None:
    """Refuse an expression that does more than the closed list allows.

    Nothing is compiled, evaluated or looked up.

    Parameters
    ----------
    code : str
        The expression.
    columns : collection
        Names of the columns that it may use.

    Raises
    ------
    DataError
        With the piece that is not on the list.

    Examples
    --------
    >>> refuse_unlisted("np.log(x + 1)", ["x"])
    >>> refuse_unlisted("__import__('os').system('ls')", ["x"])
    Traceback (most recent call last):
    multilevel.errors.DataError: "__import__('os').system" is not on the closed list ...
    """
    if code in columns or code.replace(" ", "") in columns:
        return
    _Check(code, frozenset(columns)).expression(_tree(code, columns))


def _tree(code: str, columns: Collection[Hashable]) -> ast.expr:
    if len(code) > LONGEST:
        raise DataError(f"{code[:60]!r}... has {len(code)} characters, over {LONGEST}")
    depth = 0
    for character in code:
        depth += (character in "([{") - (character in ")]}")
        if depth > DEEPEST:
            raise DataError(f"{code[:60]!r}... is nested too deeply")
    try:
        tree = _parsed(code, columns)
        _refuse_depth(tree)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise DataError(f"{code[:60]!r} is no expression that can be read") from None
    return tree.body


def _parsed(code: str, columns: Collection[Hashable]) -> ast.Expression:
    """The syntax tree; columns named like keywords stand as names of their own."""
    try:
        return ast.parse(code, mode="eval")
    except SyntaxError:
        import keyword

        for word in keyword.kwlist:
            if word in columns:
                code = re.sub(rf"(?<![\w.]){word}(?!\w)", f"_keyword_{word}", code)
        return ast.parse(code, mode="eval")


def _refuse_depth(tree: ast.AST) -> None:
    # Level by level: a recursive walk would fail on what it is to find out.
    level = [tree]
    for _ in range(4 * DEEPEST):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        if not level:
            return
    raise RecursionError


class _Check:
    """Walks through an expression, piece by piece."""

    def __init__(self, code: str, columns: frozenset[Hashable]) -> None:
        self.code = code
        self.columns = columns

    def refuse(
        self, node: ast.AST, why: str = "is not on the closed list"
    ) -> DataError:
        piece = ast.unparse(node)
        return DataError(
            f"{piece[:60]!r} {why} of what a formula may hold (in {self.code[:60]!r})"
        )

    def expression(self, node: ast.expr) -> None:
        """A piece that gives a value for each row, or a number."""
        if isinstance(node, ast.Name):
            self._column(node)
        elif isinstance(node, ast.Constant):
            self._number(node)
        elif isinstance(node, ast.Attribute):
            self._attribute(node)
        elif isinstance(node, ast.Call):
            self._call(node)
        elif isinstance(node, ast.BinOp):
            self._operation(node)
        elif isinstance(node, ast.UnaryOp):
            self._operator(node, node.op)
            self.expression(node.operand)
        elif isinstance(node, ast.BoolOp):
            for value in node.values:
                self.expression(value)
        elif isinstance(node, ast.Compare):
            for operator in node.ops:
                self._operator(node, operator)
            for side in (node.left, *node.comparators):
                if not _is_text(side):
                    self.expression(side)
        else:
            raise self.refuse(node)

    def _operator(self, node: ast.AST, operator: ast.AST) -> None:
        if not isinstance(operator, _OPERATORS):
            raise self.refuse(node)

    def _column(self, node: ast.Name) -> None:
        name = node.id.removeprefix("_keyword_")
        if node.id not in self.columns and name not in self.columns:
            raise self.refuse(node)

    def _number(self, node: ast.Constant) -> None:
        # Text, which could be repeated or formatted, is an argument only.
        if type(node.value) not in (int, float, bool, type(None)):
            raise self.refuse(node)
        if type(node.value) is int and abs(node.value) > 2**63:
            raise self.refuse(node, "is a number too large for the closed list")

    def _operation(self, node: ast.BinOp) -> None:
        self._operator(node, node.op)
        self.expression(node.left)
        self.expression(node.right)
        if isinstance(node.op, ast.Pow):
            power = _constant(node.right)
            if power is None or abs(power) > _LARGEST_POWER or _is_fixed(node.left):
                raise self.refuse(
                    node,
                    "is no power of a column by a small number, as the closed list",
                )
        if isinstance(node.op, ast.Mult) and any(
            type(value) is int and abs(value) > 10**6
            for value in map(_constant, (node.left, node.right))
        ):
            raise self.refuse(
                node,
                "multiplies by a large whole number (write it with "
                "a point), which is not on the closed list",
            )

    def _attribute(self, node: ast.Attribute) -> None:
        dotted = ast.unparse(node)
        if dotted in self.columns or dotted in CONSTANTS:
            return
        if node.attr not in ATTRIBUTES or isinstance(node.value, ast.Constant):
            raise self.refuse(node)
        self.expression(node.value)

    def _call(self, node: ast.Call) -> None:
        name = ast.unparse(node.func) if _is_dotted(node.func) else ""
        if isinstance(node.func, ast.Name):
            most = FUNCTIONS.get(name)
        elif name in MODULE_FUNCTIONS and not self._is_column_method(name):
            most = MODULE_FUNCTIONS[name]
        elif isinstance(node.func, ast.Attribute):
            most = METHODS.get(node.func.attr)
            if most is not None:
                self.expression(node.func.value)
        else:
            most = None
        if most is None or len(node.args) > most:
            raise self.refuse(node.func if most is None else node)
        if name == "Q":
            self._quoted(node)
            return
        is_astype = isinstance(node.func, ast.Attribute) and node.func.attr == "astype"
        for position, value in enumerate(node.args):
            counts = name in _COUNTING and position > 0
            self._argument(value, counts=counts, is_type=is_astype)
        for option in node.keywords:
            if option.arg not in _OPTIONS:
                raise self.refuse(node)
            self._argument(option.value, counts=name in _COUNTING, is_type=False)

    def _is_column_method(self, name: str) -> bool:
        return name.split(".")[0] in self.columns

    def _quoted(self, node: ast.Call) -> None:
        is_name = len(node.args) == 1 and isinstance(node.args[0], ast.Constant)
        if not is_name or node.keywords or node.args[0].value not in self.columns:  # type: ignore[attr-defined]
            raise self.refuse(node)

    def _argument(self, node: ast.expr, *, counts: bool, is_type: bool) -> None:
        """A column, a number, text, or a list of these; a contrast's name."""
        if is_type:
            named = (
                node.id if isinstance(node, ast.Name) else getattr(node, "value", "")
            )
            if named not in _TYPES:
                raise self.refuse(node)
        elif _is_text(node):
            return
        elif isinstance(node, ast.List | ast.Tuple):
            for entry in node.elts:
                self._argument(entry, counts=False, is_type=False)
        elif isinstance(node, ast.Name) and node.id in _CONTRASTS:
            return
        else:
            value = _constant(node)
            if counts and value is not None and not -_MOST <= value <= _MOST:
                raise self.refuse(node, "is a count too large for the closed list")
            self.expression(node)


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _is_dotted(node: ast.AST) -> bool:
    while isinstance(node, ast.Attribute):
        node = node.value
    return isinstance(node, ast.Name)


def _constant(node: ast.AST) -> float | int | None:
    """The number, with its sign, if the piece is one."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        value = _constant(node.operand)
        return None if value is None else -value
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return node.value  # type: ignore[return-value]
    return None


def _is_fixed(node: ast.AST) -> bool:
    """Whether a piece holds numbers only, which Python would compute exactly."""
    return not any(isinstance(part, ast.Name) for part in ast.walk(node))
