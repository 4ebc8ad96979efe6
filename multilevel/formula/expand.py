"""The right side taken apart: fixed effects, random terms, offsets.

Held by tests/formula/test_formula_errors.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

from multilevel.covariance.registry import structure_of_bar
from multilevel.errors import FormulaError
from multilevel.formula.algebra import EffectTerms, expand_effects, expand_groups
from multilevel.formula.screen import mask_quotes
from multilevel.formula.terms import BarTerm
from multilevel.formula.tree import BARS, VARIABLE, Node, Source

_CALL = re.compile(r"\s*([A-Za-z_][A-Za-z_0-9]*)\s*\((.*)\)\s*$", re.DOTALL)
_NOT_A_WRAPPER = ("I", "C", "Q", "factor")
# Words of lme4 2.x and glmmTMB.
_KNOWN_STRUCTURES = frozenset(
    "us diag cs ar1 homdiag homcs hetar1 homtoep toep ou exp gau mat rr propto".split()
)


@dataclass(frozen=True, slots=True)
class SplitFormula:
    """The parts of a right-hand side.

    Attributes
    ----------
    fixed : tuple of (sign, Node)
        What is left for the fixed effects; sign is ``"+"`` or ``"-"``.
    random : tuple of BarTerm
        Expanded.
    offsets : tuple of str
        Expressions inside ``offset(...)``.
    subtracted : tuple of str
        Every expression that stands behind a minus sign, anywhere.
    """

    fixed: tuple[tuple[str, Node], ...]
    random: tuple[BarTerm, ...]
    offsets: tuple[str, ...]
    subtracted: tuple[str, ...]

    def fixed_text(self, source: Source) -> str:
        """The fixed part as one right-hand side; ``"1"`` if nothing is written."""
        text = ""
        for sign, node in self.fixed:
            joint = {"+": " + ", "-": " - "}[sign] if text else sign.strip("+")
            text += joint + source.piece(node)
        return text or "1"


@dataclass(frozen=True, slots=True)
class TermReader:
    """Splits a right-hand side; knows the covariance structures there are.

    Attributes
    ----------
    source : Source
        The formula.
    read : callable
        ``read(start, end)`` gives the tree of that piece of the text.
    structures : collection of str
        Registered names.
    """

    source: Source
    read: Callable[[int, int], Node]
    structures: Collection[str]

    def split(self, node: Node) -> SplitFormula:
        """Separate the terms of a sum by what they are."""
        fixed: list[tuple[str, Node]] = []
        random: list[tuple[BarTerm, EffectTerms]] = []
        offsets: list[str] = []
        for sign, piece in self._summands(node):
            bars = self._bars(piece)
            offset = _argument_of(piece, "offset")
            if (bars or offset) and sign == "-":
                raise self.source.error_at(
                    piece, "a random term or an offset cannot be subtracted"
                )
            random += bars
            if bars:
                continue
            if offset:
                offsets.append(offset)
            else:
                self._refuse_buried(piece)
                fixed.append((sign, piece))
        self._refuse_repeated(random)
        terms = tuple(term for term, _ in random)
        subtracted = tuple(dict.fromkeys(self._subtracted(node)))
        return SplitFormula(
            fixed=tuple(fixed),
            random=terms,
            offsets=tuple(offsets),
            subtracted=subtracted,
        )

    def _subtracted(self, node: Node) -> Iterator[str]:
        """Expressions behind a minus; they leave no trace in the terms."""
        for piece in node.walk():
            if piece.kind == "-" and len(piece.args) == 2:
                gone = piece.args[1].walk()
                yield from (leaf.code for leaf in gone if leaf.kind == VARIABLE)
            inner = self._inside_wrapper(piece) if piece.kind == VARIABLE else None
            if inner is not None:
                yield from self._subtracted(inner[1])

    def _summands(self, node: Node) -> list[tuple[str, Node]]:
        has_bar = any(piece.kind in BARS for piece in node.walk())
        is_sum = node.kind == "+" or (node.kind == "-" and len(node.args) == 2)
        if is_sum and (has_bar or not node.parenthesized):
            *left, right = node.args
            first = self._summands(left[0]) if left else []
            rest = [("-", right)] if node.kind == "-" else self._summands(right)
            return [*first, *rest]
        return [("+", node)]

    def _bars(self, node: Node) -> list[tuple[BarTerm, EffectTerms]]:
        """The random terms that a summand stands for, each with its effects."""
        if node.kind in BARS:
            if not node.parenthesized:
                raise self.source.error_at(
                    node,
                    "a random term needs parentheses around it",
                    f"write ({self.source.piece(node)}); fixed effects stand outside "
                    "of it, as in x + (x | g)",
                )
            return self._expanded(node, structure_of_bar(node.kind), node)
        if node.kind == VARIABLE:
            return self._wrapped_bars(node)
        return []

    def _wrapped_bars(self, node: Node) -> list[tuple[BarTerm, EffectTerms]]:
        """Terms of ``ar1(0 + t | g)``, which patsy reads as one Python expression."""
        found = self._inside_wrapper(node)
        if found is None:
            return []
        wrapper, inner = found
        if inner.kind not in BARS:
            raise self.source.error_at(
                node, f"{wrapper}(...) takes one random term, as {wrapper}(x | g)"
            )
        independent = structure_of_bar("||")
        if inner.kind == "||" and wrapper != independent:
            raise self.source.error_at(
                node,
                f"'||' asks for independent effects, {wrapper}() for something else",
                f"write {wrapper}(... | ...) or {independent}(... | ...)",
            )
        return self._expanded(inner, wrapper, node)

    def _inside_wrapper(self, node: Node) -> tuple[str, Node] | None:
        """The name of a call around a bar, and what it holds."""
        match = _CALL.match(self.source.piece(node))
        if not match or match[1] in _NOT_A_WRAPPER:
            return None
        start = node.start + match.start(2)
        # Inside further brackets, or beside a comma, a bar is Python's own `or`.
        if not _has_own_bar(mask_quotes(Source(match[2]))):
            return None
        self._refuse_unregistered(match[1], node)
        return match[1], self.read(start, start + len(match[2]))

    def _refuse_unregistered(self, name: str, node: Node) -> None:
        if name in self.structures:
            return
        start, end = node.start, node.start + len(name)
        registered = ", ".join(f"{known}()" for known in self.structures)
        if name in _KNOWN_STRUCTURES:
            raise self.source.error(
                f"the covariance structure {name}() is not available",
                start,
                end,
                f"those that are: {registered}",
            )
        raise self.source.error(
            f"a random term stands inside a call, {name}()",
            start,
            end,
            f"two terms are joined as {name} + (x | g); calls that may stand around a "
            f"random term are {registered}; a logical 'or' is written I(a | b)",
        )

    def _expanded(
        self, bar: Node, structure: str, whole: Node
    ) -> list[tuple[BarTerm, EffectTerms]]:
        effects_node, groups_node = bar.args
        effects = expand_effects(effects_node, self.source)
        groups = expand_groups(groups_node, self.source)
        self._check_effects(effects, effects_node, groups)
        place = (structure, whole.start, whole.end)
        return [
            (BarTerm(str(effects), group, ":".join(group), *place), effects)
            for group in groups
        ]

    def _check_effects(
        self, effects: EffectTerms, node: Node, groups: tuple[tuple[str, ...], ...]
    ) -> None:
        if not (effects.intercept or effects.terms):
            raise self.source.error_at(
                node,
                "nothing varies in this random term",
                "write (1 | g) for an intercept per group, (0 + x | g) for a slope",
            )
        for expression in effects.expressions:
            if expression.startswith("offset("):
                raise self.source.error_at(node, "an offset cannot vary by group")
            if any(expression in group for group in groups):
                raise self.source.error_at(
                    node,
                    f"the grouping factor {expression!r} also stands left of the bar",
                    f"write (1 | {expression}) for an intercept per {expression}",
                )

    def _refuse_buried(self, node: Node) -> None:
        for piece in node.walk():
            if piece is not node and self._bars(piece):
                raise self.source.error_at(
                    piece,
                    "a random term cannot be multiplied or nested",
                    "random terms are added: y ~ x + (1 | g)",
                )
            if _argument_of(piece, "offset"):
                raise self.source.error_at(
                    piece,
                    "an offset cannot be multiplied or nested",
                    "offsets are added: y ~ x + offset(z) + (1 | g)",
                )

    def _refuse_repeated(self, terms: list[tuple[BarTerm, EffectTerms]]) -> None:
        seen: set[tuple[frozenset[str], frozenset[str]]] = set()
        for term, effects in terms:
            for effect in [()] * effects.intercept + list(effects.terms):
                key = (frozenset(term.groups), frozenset(effect))
                if key in seen:
                    raise _repetition(self.source, ":".join(effect), term)
                seen.add(key)


def _repetition(source: Source, effect: str, term: BarTerm) -> FormulaError:
    if not effect:
        name = "an intercept"
        hint = (
            f"write (0 + x | {term.factor}) for a slope that is independent of the "
            "intercept"
        )
    else:
        name = f"{effect!r}"
        hint = "leave it in one of the two terms"
    return source.error(
        f"{name} per {term.factor!r} is in two random terms: no data tell them apart",
        term.start,
        term.end,
        hint,
    )


def _argument_of(node: Node, function: str) -> str | None:
    """``"log(n)"`` of ``offset(log(n))``; None for anything else."""
    match = _CALL.match(node.code) if node.kind == VARIABLE else None
    return match[2].strip() if match and match[1] == function else None


def _has_own_bar(inside: str) -> bool:
    """Whether a bar, and no comma, stands outside all further brackets."""
    depth = 0
    found = False
    for character in inside:
        depth += (character in "([{") - (character in ")]}")
        if depth < 0 or (character == "," and not depth):
            return False
        found = found or (character == "|" and not depth)
    return found
