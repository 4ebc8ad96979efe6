"""What ``+ - * / : **`` between variables mean: lists of terms, by patsy's rules.

A term is a tuple of expressions that are multiplied; the empty term is the intercept
and is kept apart. Two terms are equal if they have the same expressions in any order.

Held by tests/formula/test_formula_errors.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from multilevel.formula.tree import BARS, NUMBER, VARIABLE, Node, Source

Term: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EffectTerms:
    """A right-hand side, expanded.

    Attributes
    ----------
    intercept : bool
        Whether there is an intercept; implicit unless it is removed.
    terms : tuple of tuple of str
        Each term's expressions, in the order written.
    """

    intercept: bool
    terms: tuple[Term, ...]

    @property
    def expressions(self) -> tuple[str, ...]:
        """Every distinct expression, in order of appearance."""
        return tuple(dict.fromkeys(piece for term in self.terms for piece in term))

    def __str__(self) -> str:
        pieces = ["1" if self.intercept else "0", *map(":".join, self.terms)]
        return " + ".join(pieces)


@dataclass(frozen=True, slots=True)
class _Partial:
    """Value of a subtree: what it says about the intercept, and its terms."""

    intercept: bool
    removed: bool
    terms: tuple[Term, ...]


def expand_effects(node: Node, source: Source) -> EffectTerms:
    """The terms of a right-hand side, with the implicit intercept.

    Parameters
    ----------
    node : Node
        Tree without bars.
    source : Source
        Where the tree was read from.

    Returns
    -------
    EffectTerms

    Raises
    ------
    FormulaError
        For numbers other than 0 and 1, interactions with the intercept, bars.
    """
    value = _evaluate(node, source)
    return EffectTerms(not value.removed, value.terms)


def expand_groups(node: Node, source: Source) -> tuple[Term, ...]:
    """The grouping factors on the right of a bar; ``a/b`` gives ``a`` and ``a:b``."""
    for piece in node.walk():
        if piece.kind == NUMBER:
            raise source.error_at(
                piece,
                f"{piece.code} stands where a grouping factor is expected",
                "on the right of the bar goes the column whose values are the groups, "
                "as in (1 | school)",
            )
    terms = _evaluate(node, source).terms
    if not terms:
        raise source.error_at(node, "no grouping factor is left here")
    return terms


def _evaluate(node: Node, source: Source) -> _Partial:
    if node.kind == VARIABLE:
        if node.code in (".", "..."):
            raise source.error_at(
                node,
                "'.' (all other columns, in R) is not supported",
                "name the columns: y ~ a + b + (1 | g)",
            )
        return _Partial(False, False, ((node.code,),))
    if node.kind == NUMBER:
        return _number(node, source)
    if node.kind in BARS:
        raise source.error_at(
            node,
            "a random term inside another term",
            "random terms are added with +: y ~ x + (1 | g) + (1 | h)",
        )
    if node.kind == "~":
        raise source.error_at(node, "a formula has one '~' only")
    if len(node.args) == 1:
        return _signed(node, source)
    if node.kind == "-":
        return _difference(node, source)
    if node.kind == "**":
        return _power(node, source)
    left, right = (_evaluate(arg, source) for arg in node.args)
    if node.kind == "+":
        return _sum(left, right, adds_zero=_is_zero(node.args[1]))
    _refuse_intercepts(node, (left, right), source)
    return _COMBINATIONS[node.kind](left, right)


def _number(node: Node, source: Source) -> _Partial:
    if node.code not in ("0", "1"):
        raise source.error_at(
            node,
            f"the number {node.code} cannot stand alone",
            "1 is the intercept, 0 removes it; arithmetic is written I(2 * x), what "
            "is added with a coefficient of 1 as offset(x)",
        )
    return _Partial(node.code == "1", node.code == "0", ())


def _signed(node: Node, source: Source) -> _Partial:
    value = _evaluate(node.args[0], source)
    if node.kind == "+":
        return value
    if value.terms or not (value.intercept or value.removed):
        raise source.error_at(
            node,
            "a sign in front of a variable has no meaning in a formula",
            f"write I({source.piece(node).replace(' ', '')}) for the negative values",
        )
    return _Partial(value.removed, value.intercept, ())


def _is_zero(node: Node) -> bool:
    return node.kind == NUMBER and node.code == "0"


def _sum(left: _Partial, right: _Partial, *, adds_zero: bool) -> _Partial:
    """As in patsy: ``+ 0`` removes the intercept, ``+ (0 + b)`` does not."""
    terms = _distinct(left.terms + right.terms)
    if right.intercept or adds_zero:
        return _Partial(right.intercept, right.removed, terms)
    return _Partial(left.intercept, left.removed, terms)


def _difference(node: Node, source: Source) -> _Partial:
    left, right = (_evaluate(arg, source) for arg in node.args)
    # b:a takes a:b away.
    gone = {frozenset(term) for term in right.terms}
    terms = tuple(term for term in left.terms if frozenset(term) not in gone)
    if right.intercept:
        return _Partial(False, True, terms)
    if _is_zero(node.args[1]):
        return _Partial(True, False, terms)
    return _Partial(left.intercept, left.removed, terms)


def _interaction(left: _Partial, right: _Partial) -> _Partial:
    products = (_product(a, b) for a in left.terms for b in right.terms)
    return _Partial(False, False, _distinct(products))


def _crossing(left: _Partial, right: _Partial) -> _Partial:
    both = _interaction(left, right).terms
    return _Partial(False, False, _distinct(left.terms + right.terms + both))


def _nesting(left: _Partial, right: _Partial) -> _Partial:
    """``a/b`` is ``a + a:b``; ``(a + b)/c`` is ``a + b + a:b:c``, as in S."""
    parent = _product(*left.terms)
    inner = _interaction(_Partial(False, False, (parent,)), right).terms
    return _Partial(False, False, _distinct(left.terms + inner))


_COMBINATIONS = {":": _interaction, "*": _crossing, "/": _nesting}


def _power(node: Node, source: Source) -> _Partial:
    base, exponent = node.args
    if exponent.kind != NUMBER or not exponent.code.isdigit() or exponent.code == "0":
        raise source.error_at(
            exponent,
            "between terms, ** needs a whole number",
            f"for arithmetic write I({source.piece(node)})",
        )
    left = _evaluate(base, source)
    _refuse_intercepts(node, (left,), source)
    value = _Partial(False, False, left.terms)
    # (a + b)**100 is (a + b)**2: higher powers add nothing.
    for _ in range(min(len(left.terms), int(exponent.code)) - 1):
        value = _Partial(
            False, False, _distinct(value.terms + _interaction(left, value).terms)
        )
    return value


def _refuse_intercepts(
    node: Node, values: tuple[_Partial, ...], source: Source
) -> None:
    """Refuse the intercept in a product.

    What says that there is none, ``(0 + a):x``, says nothing outside its parentheses.
    """
    if any(value.intercept for value in values) or any(
        arg.kind == NUMBER for arg in node.args[: len(values)]
    ):
        raise source.error_at(
            node,
            f"0 or 1 cannot be combined by {node.kind!r}",
            f"for arithmetic write I({source.piece(node)})",
        )


def _product(*terms: Term) -> Term:
    # a:a is a: a term is a set, whose order is kept for its name.
    return tuple(dict.fromkeys(piece for term in terms for piece in term))


def _distinct(terms: Iterable[Term]) -> tuple[Term, ...]:
    """The first of each set of equal terms, in order."""
    first: dict[frozenset[str], Term] = {}
    for term in terms:
        first.setdefault(frozenset(term), term)
    return tuple(first.values())
