"""What a formula that cannot be read is answered with: message, caret, hint."""

from __future__ import annotations

import pytest

from multilevel.covariance import registry
from multilevel.errors import FormulaError
from multilevel.formula.parse import effect_terms, parse_formula

# formula, part of the message, the text above the carets, part of the hint
MISTAKES = [
    ("y ~ x", "no random term", "x", "(1 | group)"),
    ("~ x + (1|g)", "no response", "~ x + (1|g)", "y ~ x"),
    ("x + (1|g)", "no '~'", "x + (1|g)", "y ~ x"),
    ("y ~ x ~ z + (1|g)", "one '~' only", "y ~ x", ""),
    ("y ~ (x | )", "no grouping factor", ")", "(1 | school)"),
    ("y ~ (1||)", "no grouping factor", ")", "(1 | school)"),
    ("y ~ ( | g)", "left of the bar", "|", "(1 | g)"),
    ("y ~ (x | g", "'(' is never closed", "(", "')'"),
    ("y ~ log(x + (1|g)", "'(' is never closed", "(", "')'"),
    ("y ~ x | g)", "')' was never opened", ")", "'('"),
    ("y ~ (x | g]", "closed by ']'", "(x | g]", "')'"),
    ("y ~ x | g", "needs parentheses", "x | g", "write (x | g)"),
    ("y ~ log(x | g)", "inside a call, log()", "log", "us(), diag()"),
    ("y ~ ar1(0 + x | g)", "ar1() is not available", "ar1", "us(), diag()"),
    ("y ~ x (1 | g)", "inside a call, x()", "x", "x + (x | g)"),
    ("y ~ x^2 + (1|g)", "'^'", "^", "I(x**2)"),
    ("y ~ I(x^2) + (1|g)", "'^'", "^", "I(x**2)"),
    ("y ~ (x.1 ^ 2 | g)", "'^'", "^", "I(x.1**2)"),
    ("y ~ (a+b)^2 + (1|g)", "'^'", "^", "(a + b)**2"),
    ("y ~ . + (1|g)", "'.'", ".", "name the columns"),
    ("y ~ (.|g)", "'.'", ".", "name the columns"),
    ("y ~ (1|g) + (x|g)", "an intercept per 'g'", "(x|g)", "(0 + x | g)"),
    ("y ~ (0+x|g) + (x|g)", "'x' per 'g'", "(x|g)", "one of the two"),
    ("y ~ (1|a/b) + (1|b:a)", "an intercept per 'b:a'", "(1|b:a)", ""),
    ("y ~ (g|g)", "grouping factor 'g' also", "g", "(1 | g)"),
    ("y ~ x*(1|g)", "cannot be multiplied", "(1|g)", "are added"),
    ("y ~ x:diag(1|g)", "cannot be multiplied", "diag(1|g)", "are added"),
    ("y ~ x - (1|g)", "cannot be subtracted", "(1|g)", ""),
    ("y ~ x - offset(z) + (1|g)", "cannot be subtracted", "offset(z)", ""),
    ("y ~ offset(x):z + (1|g)", "cannot be multiplied", "offset(x)", "are added"),
    ("y ~ (offset(x) | g)", "cannot vary", "offset(x)", ""),
    ("y ~ `a b` + (1|g)", "backticks", "`", 'Q("'),
    ("y ~ 'a + (1|g)", "never closed", "'a + (1|g)", ""),
    ("y ~ x +", "ends after '+'", "+", ""),
    ("y ~ * x + (1|g)", "missing before '*'", "*", ""),
    ("y ~ (1|g) (1|h)", "operator is missing", "(", "joined by"),
    ("y ~ () + (1|g)", "empty", "()", ""),
    ("y ~ 2*x + (1|g)", "number 2", "2", "I(2 * x)"),
    ("y ~ x + 3 + (1|g)", "number 3", "3", "offset"),
    ("y ~ x:1 + (1|g)", "cannot be combined", "x:1", "I("),
    ("y ~ -x + (1|g)", "sign", "-x", "I(-x)"),
    ("y ~ x**z + (1|g)", "whole number", "z", "I(x**z)"),
    ("y ~ x + (1|1)", "1 stands where", "1", "(1 | school)"),
    ("y ~ (0|g)", "nothing varies", "0", "(1 | g)"),
    ("y ~ x + diag(0 | g)", "nothing varies", "0", "(1 | g)"),
    ("y ~ x + diag(z * | g)", "left of the bar", "|", ""),
    ("y ~ (1 | g | h)", "inside another", "1 | g", "(1 | g) + (1 | h)"),
    ("y ~ x // 2 + (1|g)", "'//'", "//", "I(x // 2)"),
    ("y ~ a %in% b + (1|g)", "%in%", "%in%", "a:b"),
    ("y ~ x # c + (1|g)", "comment", "# c + (1|g)", ""),
    ("y ~ d$x + (1|g)", "'$'", "$", "columns"),
    ("1 ~ (1|g)", "number 1", "1", ""),
    ("a+b+c ~ (1|g)", "3 columns", "a+b+c", "I(a + b)"),
    ("y | g ~ x", "left of '~'", "y | g", ""),
    ("a:b ~ (1|g)", "left of '~'", "a:b", ""),
]


@pytest.mark.parametrize(("text", "message", "marked", "hint"), MISTAKES)
def test_the_place_of_a_mistake_is_shown(text, message, marked, hint):
    with pytest.raises(FormulaError) as caught:
        parse_formula(text)
    error = caught.value
    assert message in error.message
    assert error.text[error.start : error.end] == marked
    assert hint in (error.hint or "")
    first, formula, carets, *rest = str(error).split("\n")
    assert first == error.message
    assert formula == f"    {text}"
    assert carets == " " * (4 + error.start) + "^" * len(marked)


@pytest.mark.parametrize("text", ["", "   ", "\n"])
def test_an_empty_formula_is_refused(text):
    with pytest.raises(FormulaError, match="empty"):
        parse_formula(text)


def test_something_other_than_text_is_refused():
    with pytest.raises(FormulaError, match="not list"):
        parse_formula(["y ~ x"])


@pytest.mark.parametrize("wrapper", ["cs", "ar1", "homcs"])
def test_double_bars_contradict_other_structures(wrapper, monkeypatch):
    monkeypatch.setitem(registry._ROWS, wrapper, registry.STRUCTURES["us"])
    with pytest.raises(FormulaError, match="independent"):
        parse_formula(f"y ~ {wrapper}(x || g)")


def test_a_structure_takes_one_term():
    with pytest.raises(FormulaError, match="takes one random term"):
        parse_formula("y ~ diag(z ~ x | g)")


def test_a_repeated_text_is_read_once():
    assert parse_formula("y ~ x + (1 | g)") is parse_formula("y ~ x + (1 | g)")
    assert effect_terms("x + z") is effect_terms("x + z")
