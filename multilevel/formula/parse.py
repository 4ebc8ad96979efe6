"""Formula text to `ModelFormula`: patsy's parser with lme4's bars as operators.

Held by tests/formula/test_formula_errors.py and tests/formula/test_formula_parsing.py.
"""

from __future__ import annotations

import ast
import tokenize
from functools import lru_cache
from typing import Any

from patsy import PatsyError
from patsy.infix_parser import Operator
from patsy.parse_formula import parse_formula as parse_with_patsy

from multilevel.covariance.registry import STRUCTURES
from multilevel.errors import FormulaError
from multilevel.formula.algebra import EffectTerms, expand_effects
from multilevel.formula.expand import TermReader
from multilevel.formula.screen import (
    call_depths,
    join_double_bars,
    mask_quotes,
    refuse_r_spelling,
)
from multilevel.formula.terms import ModelFormula
from multilevel.formula.tree import BARS, NUMBER, VARIABLE, Node, Source

_BARS = [Operator("|", 2, 50), Operator("//", 2, 50)]
_LEAVES = {
    "PYTHON_EXPR": VARIABLE,
    "ZERO": NUMBER,
    "ONE": NUMBER,
    "NUMBER": NUMBER,
}
_EXAMPLE = "write, for example, y ~ x + (1 | g)"

# What patsy and Python's tokenizer raise, in one version or another, for text that is
# far from a formula: empty operands, odd quotes, null bytes, thousands of brackets.
_NOT_A_FORMULA = (
    AssertionError,
    LookupError,
    RecursionError,
    SyntaxError,
    ValueError,
    tokenize.TokenError,
)


def parse_formula(text: str) -> ModelFormula:
    """Read a mixed-model formula.

    Parameters
    ----------
    text : str
        ``response ~ fixed effects + (effects | grouping factor) + ...``.

    Returns
    -------
    ModelFormula

    Raises
    ------
    FormulaError
        With a caret under the place that cannot be read.

    Examples
    --------
    >>> formula = parse_formula("y ~ x + (x || school/class)")
    >>> [(term.effects, term.factor, term.structure) for term in formula.random]
    [('1 + x', 'school', 'diag'), ('1 + x', 'school:class', 'diag')]
    """
    if not isinstance(text, str):
        raise FormulaError(
            f"a formula is a text, not {type(text).__name__}", hint=_EXAMPLE
        )
    return _parse_cached(text, tuple(STRUCTURES))


def parse_formula_by_group(text: str) -> ModelFormula:
    """Read the formula of one regression for each group.

    Parameters
    ----------
    text : str
        A mixed-model formula, or nlme's short form ``response ~ effects | group``.

    Returns
    -------
    ModelFormula
        The short form as if it were ``response ~ effects + (1 | group)``.

    Raises
    ------
    FormulaError
        As `parse_formula`.

    Examples
    --------
    >>> formula = parse_formula_by_group("y ~ x | school")
    >>> formula.fixed, formula.random[0].factor
    ('x', 'school')
    """
    if isinstance(text, str) and "|" in text:
        source = Source(" ".join(text.splitlines()).replace("\t", " ").strip())
        tree = _read_tree(source, 0, len(source.text))
        right = tree.args[-1] if tree.kind == "~" and len(tree.args) == 2 else None
        if right is not None and right.kind == "|" and not right.parenthesized:
            effects, group = map(source.piece, right.args)
            left = source.piece(tree.args[0])
            return parse_formula(f"{left} ~ {effects} + (1 | {group})")
    return parse_formula(text)


@lru_cache(maxsize=512)
def _parse_cached(text: str, structures: tuple[str, ...]) -> ModelFormula:
    # On one line, as errors show it: carets are counted in this text.
    source = Source(" ".join(text.splitlines()).replace("\t", " ").strip())
    if not source.text:
        raise FormulaError("the formula is empty", hint=_EXAMPLE)
    tree = _read_tree(source, 0, len(source.text))
    left, right = _sides(tree, source)
    responses = _response_columns(left, source)
    reader = TermReader(
        source, lambda start, end: _read_tree(source, start, end), structures
    )
    parts = reader.split(right)
    if not parts.random:
        raise source.error_at(
            right,
            "the formula has no random term",
            "add one, such as (1 | group); for a model without any use "
            "statsmodels.formula.api.ols or glm",
        )
    for _, node in parts.fixed:
        expand_effects(node, source)
    return ModelFormula(
        text=source.text,
        response=" ".join(source.piece(left).split()),
        fixed=parts.fixed_text(source),
        random=parts.random,
        offsets=parts.offsets,
        responses=responses,
        subtracted=parts.subtracted,
    )


@lru_cache(maxsize=2048)
def effect_terms(text: str) -> EffectTerms:
    """The expanded terms of a right-hand side without bars.

    Parameters
    ----------
    text : str
        As `ModelFormula.fixed` or `BarTerm.effects`.

    Returns
    -------
    EffectTerms

    Examples
    --------
    >>> effect_terms("a*b").terms
    (('a',), ('b',), ('a', 'b'))
    >>> effect_terms("0 + log(x)")
    EffectTerms(intercept=False, terms=(('log(x)',),))
    """
    source = Source(text)
    return expand_effects(_read_tree(source, 0, len(text)), source)


def _read_tree(source: Source, start: int, end: int) -> Node:
    """The tree of ``text[start:end]``, with positions in the whole text."""
    # Blanks in front, so that all positions are those of the whole text.
    blank = " " * start
    part = Source(blank + source.text[start:end])
    masked = mask_quotes(part)
    depths = call_depths(masked, source)
    refuse_r_spelling(masked, depths, source)
    code = join_double_bars(masked, depths, part.text)
    # patsy strips the text, which shifts all its positions by the leading blanks.
    shift = len(code) - len(code.lstrip())
    try:
        tree = parse_with_patsy(code.strip(), extra_operators=_BARS)
    except PatsyError as error:
        raise _in_plain_words(error, source, shift) from None
    except _NOT_A_FORMULA:
        raise source.error(
            "this cannot be read as a formula", start, end, _EXAMPLE
        ) from None
    node = _own_node(tree, shift)
    # patsy adds the "~" that a mere right-hand side lacks.
    return node.args[0] if len(node.args) == 1 and tree.token is None else node


def _own_node(tree: Any, shift: int) -> Node:
    args = tuple(_own_node(arg, shift) for arg in tree.args)
    kind = _LEAVES.get(tree.type, "||" if tree.type == "//" else tree.type)
    inner = [tree.token.origin] if tree.token is not None else []
    inner += [arg.origin for arg in tree.args]
    start, end = tree.origin.start, tree.origin.end
    return Node(
        kind=kind,
        code=tree.token.extra if kind in (VARIABLE, NUMBER) else "",
        start=start + shift,
        end=end + shift,
        parenthesized=start < min(origin.start for origin in inner),
        args=args,
    )


def _sides(tree: Node, source: Source) -> tuple[Node, Node]:
    if tree.kind != "~":
        raise source.error_at(tree, "the formula has no '~'", _EXAMPLE)
    if len(tree.args) == 1:
        raise source.error_at(tree, "there is no response on the left of '~'", _EXAMPLE)
    left, right = tree.args
    for node in (*left.walk(), *right.walk()):
        if node.kind == "~":
            raise source.error_at(node, "a formula has one '~' only", _EXAMPLE)
    for node in left.walk():
        if node.kind in (*BARS, ":"):
            raise source.error_at(
                node, "a term stands on the left of '~', where the response belongs"
            )
    return left, right


def _response_columns(left: Node, source: Source) -> tuple[str, ...]:
    """One expression per column; on this side all but ``+`` is arithmetic."""
    if left.kind == "+" and len(left.args) == 2 and not left.parenthesized:
        columns = tuple(
            column for arg in left.args for column in _response_columns(arg, source)
        )
    elif left.kind == VARIABLE:
        columns = _columns_of_cbind(left.code)
    else:
        columns = (" ".join(source.piece(left).split()),)
    if len(columns) > 2:
        raise source.error_at(
            left,
            f"the left side has {len(columns)} columns",
            "one response, or successes + failures; a sum is written I(a + b)",
        )
    if left.kind == NUMBER:
        raise source.error_at(left, f"the response is the number {left.code}")
    return columns


def _columns_of_cbind(code: str) -> tuple[str, ...]:
    if not code.startswith("cbind("):
        return (code,)
    try:
        call = ast.parse(code, mode="eval").body
    except SyntaxError:
        return (code,)
    if isinstance(call, ast.Call) and not call.keywords:
        return tuple(ast.get_source_segment(code, arg) or "" for arg in call.args)
    return (code,)


def _in_plain_words(error: PatsyError, source: Source, shift: int) -> FormulaError:
    """patsy's complaint, with what to do about it."""
    said = error.message.split("\n")[0]
    start = error.origin.start + shift if error.origin else 0
    end = error.origin.end + shift if error.origin else len(source.text)
    piece = source.text[start:end]
    before = source.text[:start].rstrip()
    if "expected a noun" in said:
        return _missing_operand(said, piece, before, source, start, end)
    if "expected an operator" in said:
        return source.error(
            f"an operator is missing before {piece!r}",
            start,
            end,
            "terms are joined by +, : or *; a random term is (x | g)",
        )
    if "comments" in said:
        return source.error("'#' begins a comment, not allowed here", start, end)
    return source.error(f"this cannot be read: {said}", start, end, _EXAMPLE)


def _missing_operand(
    said: str, piece: str, before: str, source: Source, start: int, end: int
) -> FormulaError:
    if "ended" in said:
        return source.error(
            f"the formula ends after {piece!r}, where something must follow",
            start,
            end,
            _EXAMPLE,
        )
    if piece in ("|", "||"):
        return source.error(
            "nothing stands on the left of the bar",
            start,
            end,
            "write (1 | g) for an intercept per group, (x | g) for a slope too",
        )
    if piece == ")" and before.endswith("|"):
        return source.error(
            "the random term has no grouping factor",
            start,
            end,
            "name the column whose values are the groups, as in (1 | school)",
        )
    if piece == ")" and before.endswith("("):
        return source.error("these parentheses are empty", start - 1, end)
    return source.error(f"a variable is missing before {piece!r}", start, end, _EXAMPLE)
