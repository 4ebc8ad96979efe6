"""What each way of writing a formula means."""

from __future__ import annotations

import patsy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from multilevel.covariance import registry
from multilevel.formula.parse import effect_terms, parse_formula
from multilevel.formula.tree import locate

# formula, fixed part, random terms, offsets
MEANINGS = [
    ("y ~ x + (1 | g)", "x", ["(1 | g)"], []),
    ("y ~ x + (x | g)", "x", ["(1 + x | g)"], []),
    ("y ~ x + (1 + x | g)", "x", ["(1 + x | g)"], []),
    ("y~x+(x|g)", "x", ["(1 + x | g)"], []),
    ("y ~ x + (0 + x | g)", "x", ["(0 + x | g)"], []),
    ("y ~ x + (x - 1 | g)", "x", ["(0 + x | g)"], []),
    ("y ~ x + (-1 + x | g)", "x", ["(0 + x | g)"], []),
    ("y ~ x + (x || g)", "x", ["diag(1 + x | g)"], []),
    ("y ~ x + (x||g) + (1|h)", "x", ["diag(1 + x | g)", "(1 | h)"], []),
    ("y ~ (a*b | g)", "1", ["(1 + a + b + a:b | g)"], []),
    ("y ~ (C(f) | g)", "1", ["(1 + C(f) | g)"], []),
    ("y ~ (0 + f | g)", "1", ["(0 + f | g)"], []),
    ("y ~ (1 | a/b)", "1", ["(1 | a)", "(1 | a:b)"], []),
    ("y ~ (1 | a/b/c)", "1", ["(1 | a)", "(1 | a:b)", "(1 | a:b:c)"], []),
    ("y ~ (1 | a/(b + c))", "1", ["(1 | a)", "(1 | a:b)", "(1 | a:c)"], []),
    ("y ~ (x || a/b)", "1", ["diag(1 + x | a)", "diag(1 + x | a:b)"], []),
    ("y ~ (1 | a:b)", "1", ["(1 | a:b)"], []),
    ("y ~ (1 | a*b)", "1", ["(1 | a)", "(1 | b)", "(1 | a:b)"], []),
    ("y ~ (1 | a + b)", "1", ["(1 | a)", "(1 | b)"], []),
    ("y ~ (1 | C(g))", "1", ["(1 | C(g))"], []),
    ("y ~ (1 | pd.cut(x, 4))", "1", ["(1 | pd.cut(x, 4))"], []),
    ('y ~ (1 | Q("school id"))', "1", ['(1 | Q("school id"))'], []),
    ('y ~ (1 | Q("a | b || c"))', "1", ['(1 | Q("a | b || c"))'], []),
    ("y ~ (1 | school id)", "1", ["(1 | school id)"], []),
    ("y ~ (1|g) + (0 + x|g)", "1", ["(1 | g)", "(0 + x | g)"], []),
    ("y ~ us(x | g)", "1", ["(1 + x | g)"], []),
    ("y ~ diag(x | g) + z", "z", ["diag(1 + x | g)"], []),
    ("y ~ diag(x || g)", "1", ["diag(1 + x | g)"], []),
    ("y ~ z + ((x | g))", "z", ["(1 + x | g)"], []),
    ("y ~ z + ((1 | g) + (1 | h))", "z", ["(1 | g)", "(1 | h)"], []),
    ("y ~ x + offset(log(n)) + (1|g)", "x", ["(1 | g)"], ["log(n)"]),
    ("y ~ offset(a) + offset(10 * b) + (1|g)", "1", ["(1 | g)"], ["a", "10 * b"]),
    ("y ~ 1 + (1|g)", "1", ["(1 | g)"], []),
    ("y ~ 0 + (1|g)", "0", ["(1 | g)"], []),
    ("y ~ -1 + x + (1|g)", "-1 + x", ["(1 | g)"], []),
    ("y ~ (1|g) + x - 1", "x - 1", ["(1 | g)"], []),
    ("y ~ a*b - a:b + (1|g)", "a*b - a:b", ["(1 | g)"], []),
    ("y ~ I(a > 1 | b > 2) + (1|g)", "I(a > 1 | b > 2)", ["(1 | g)"], []),
    ("y ~ np.where(a | b, 1, 0) + (1|g)", "np.where(a | b, 1, 0)", ["(1 | g)"], []),
    ("y ~ choose(a | b, x) + (1|g)", "choose(a | b, x)", ["(1 | g)"], []),
    ("y ~ I(x // 2) + (1|g)", "I(x // 2)", ["(1 | g)"], []),
    ("y ~ I(x != 2) + (1|g)", "I(x != 2)", ["(1 | g)"], []),
    ("y ~ class + lambda + (1|yield)", "class + lambda", ["(1 | yield)"], []),
    ("  y ~ x\n  + (1|\tg)  ", "x", ["(1 | g)"], []),
]


@pytest.mark.parametrize(("text", "fixed", "random", "offsets"), MEANINGS)
def test_parts_of_a_formula(text, fixed, random, offsets):
    formula = parse_formula(text)
    assert formula.fixed == fixed
    assert [str(term) for term in formula.random] == random
    assert list(formula.offsets) == offsets


def rewritten(formula):
    """The formula put together from its parts."""
    offsets = [f"offset({expression})" for expression in formula.offsets]
    terms = [formula.fixed, *offsets, *map(str, formula.random)]
    return f"{formula.response} ~ " + " + ".join(terms)


@pytest.mark.parametrize("text", [row[0] for row in MEANINGS])
def test_the_rewritten_formula_means_the_same(text):
    formula = parse_formula(text)
    again = parse_formula(rewritten(formula))
    assert rewritten(again) == rewritten(formula)
    assert again.responses == formula.responses
    assert effect_terms(again.fixed) == effect_terms(formula.fixed)
    assert [str(t) for t in again.random] == [str(t) for t in formula.random]


@pytest.mark.parametrize(
    ("left", "columns"),
    [
        ("y", ["y"]),
        ("log(y)", ["log(y)"]),
        ("a / b", ["a / b"]),
        ("a*b - c**2", ["a*b - c**2"]),
        ("a + b", ["a", "b"]),
        ("a / b + c", ["a / b", "c"]),
        ("(a + b)", ["(a + b)"]),
        ("(a + b) / 2", ["(a + b) / 2"]),
        ("-y", ["-y"]),
        ("incidence + I(size - incidence)", ["incidence", "I(size - incidence)"]),
        ("cbind(incidence, size - incidence)", ["incidence", "size - incidence"]),
        ('Q("a, b")', ['Q("a, b")']),
        ("class", ["class"]),
    ],
)
def test_columns_of_the_left_side(left, columns):
    formula = parse_formula(f"{left} ~ x + (1 | g)")
    assert list(formula.responses) == columns
    assert formula.response == left


@pytest.mark.parametrize("structure", ["us", "diag", "cs", "ar1", "homdiag", "homcs"])
def test_registered_structures_wrap_a_term(structure, monkeypatch):
    diagonal = registry.STRUCTURES["diag"]
    monkeypatch.setitem(
        registry._ROWS, structure, registry.STRUCTURES.get(structure, diagonal)
    )
    formula = parse_formula(f"y ~ x + {structure}(0 + t | g)")
    (term,) = formula.random
    assert (term.structure, term.effects, term.factor) == (structure, "0 + t", "g")
    assert formula.text[term.start : term.end] == f"{structure}(0 + t | g)"


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("y ~ x + (x | a/b)", "(x | a/b)"),
        ("y ~ diag(1 + x | g) + z", "diag(1 + x | g)"),
        ("\n y ~ x + (x||g)", "(x||g)"),
    ],
)
def test_every_term_knows_where_it_was_written(text, written):
    formula = parse_formula(text)
    for term in formula.random:
        assert formula.text[term.start : term.end] == written


NAMES = st.sampled_from(["a", "b", "c", "np.log(d)", "I(e + 1)"])


def _combined(pieces):
    return st.one_of(
        st.tuples(pieces, st.sampled_from(["+", ":", "*", "/", "-"]), pieces).map(
            lambda parts: f"({parts[0]} {parts[1]} {parts[2]})"
        ),
        st.tuples(pieces, st.integers(1, 3)).map(
            lambda parts: f"({parts[0]})**{parts[1]}"
        ),
    )


RIGHT_SIDES = st.tuples(
    st.sampled_from(["", "1 + ", "0 + ", "-1 + "]), st.recursive(NAMES, _combined)
).map("".join)


def _terms_by_patsy(text):
    description = patsy.ModelDesc.from_formula(text)
    terms = [tuple(f.name() for f in t.factors) for t in description.rhs_termlist]
    return () in terms, tuple(term for term in terms if term)


@given(RIGHT_SIDES)
def test_terms_are_those_of_patsy(text):
    effects = effect_terms(text)
    intercept, terms = _terms_by_patsy(text)
    assert effects.intercept == intercept
    assert effects.terms == terms


@given(RIGHT_SIDES)
def test_the_normal_form_of_effects_is_stable(text):
    effects = effect_terms(text)
    assert effect_terms(str(effects)) == effects


@given(RIGHT_SIDES, st.sampled_from(["g", "g/h", "g:h", "C(g)"]), st.booleans())
def test_formulas_round_trip(text, groups, double):
    effects = effect_terms(text)
    if not (effects.intercept or effects.terms):
        return
    bar = "||" if double else "|"
    formula = parse_formula(f"y ~ {text} + ({text} {bar} {groups})")
    again = parse_formula(rewritten(formula))
    assert effect_terms(again.fixed) == effect_terms(formula.fixed) == effects
    for term, repeated in zip(formula.random, again.random, strict=True):
        assert effect_terms(term.effects) == effects
        assert str(term) == str(repeated)
        assert term.structure == ("diag" if double else "us")


@pytest.mark.parametrize(
    ("text", "piece", "found"),
    [
        ("y ~ xx + x", "x", "x"),
        ("y ~ a.x + x", "x", "x"),
        ("y ~ log( x )", "log(x)", "log( x )"),
        ("y ~ a", "b", None),
    ],
)
def test_locate_finds_words(text, piece, found):
    place = locate(text, piece)
    assert (text[place[0] : place[1]] if place else None) == found
    if text == "y ~ a.x + x":
        assert place == (10, 11)
