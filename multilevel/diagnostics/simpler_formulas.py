"""Simpler random parts for a singular fit, as formulas that can be fitted.

A random term gives up, step by step, the effects without variance, then the
correlations, then all but the intercept.

References
----------
Bates, Kliegl, Vasishth & Baayen (2015), Parsimonious mixed models, arXiv:1506.04967;
Matuschek, Kliegl, Vasishth, Baayen & Bates (2017), J. Mem. Lang. 94, 305-315.

Held by tests/diagnostics/test_singular_fit.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from multilevel.array_types import BoolVector
from multilevel.covariance.registry import structure_of_bar, written_term
from multilevel.design.design_record import DesignEncoding
from multilevel.design.model_design import ModelDesign
from multilevel.diagnostics.singular_directions import LostDirections
from multilevel.errors import FormulaError
from multilevel.formula.parse import parse_formula
from multilevel.formula.terms import BarTerm, ModelFormula

NO_VARIANCE = "leaves out what has no variance: the likelihood stays as it is"
NO_CORRELATION = "keeps all variances and gives up the correlations"
ONE_EFFECT = "keeps one effect for each level"


@dataclass(frozen=True, slots=True)
class SimplerFormula:
    """A model with a simpler random part.

    Parameters
    ----------
    formula : str
    reason : str
        What it gives up.
    """

    formula: str
    reason: str


@dataclass(frozen=True, slots=True)
class _Step:
    """What takes the place of a term: a text, "" for nothing."""

    text: str
    reason: str


def simpler_formulas(
    design: ModelDesign, lost: Sequence[LostDirections]
) -> tuple[SimplerFormula, ...]:
    """Formulas to try, the least change first.

    Parameters
    ----------
    design : ModelDesign
    lost : sequence of LostDirections
        One at least.

    Returns
    -------
    tuple of SimplerFormula
        Empty if the model was given as arrays, or no random term would be left.
    """
    formula, encoding = design.formula, design.encoding
    if formula is None or encoding is None:
        return ()
    chains = {one.term: _steps(formula.random[one.term], encoding, one) for one in lost}
    found: dict[str, str] = {}
    for n in range(max(map(len, chains.values()))):
        now = {t: steps[min(n, len(steps) - 1)] for t, steps in chains.items()}
        text = _rewritten(formula, {t: step.text for t, step in now.items()})
        # A term that has come to its end says nothing new.
        fresh = [steps[n].reason for steps in chains.values() if n < len(steps)]
        if text and text not in found:
            found[text] = "; ".join(dict.fromkeys(fresh))
    return tuple(SimplerFormula(text, reason) for text, reason in found.items())


def _steps(
    term: BarTerm, encoding: DesignEncoding, lost: LostDirections
) -> list[_Step]:
    """What may take the place of a term, the least change first."""
    pieces = _pieces(encoding, lost)
    left = _without(pieces, lost.zero, encoding)
    bar, steps = structure_of_bar("|"), []
    if not left:
        return [_Step("", NO_VARIANCE)]
    if len(left) < len(pieces):
        steps.append(_Step(_written(term, left, term.structure), NO_VARIANCE))
    wide = sum(stop - start for _, start, stop in left) > 1
    open_still = len(lost.combinations) or not steps
    if wide and open_still and term.structure == bar:
        text = _written(term, left, structure_of_bar("||"))
        steps.append(_Step(text, NO_CORRELATION))
    if len(left) > 1:
        steps.append(_Step(_written(term, left[:1], bar), ONE_EFFECT))
    return steps or [_Step(str(term), "")]


_Piece = tuple[tuple[str, ...], int, int]


def _pieces(encoding: DesignEncoding, lost: LostDirections) -> list[_Piece]:
    """The parts of a term's effects with their columns; ``()`` is the intercept."""
    plan = encoding.random[lost.term]
    return [(tuple(codes), start, stop) for codes, start, stop in plan.terms]


def _without(
    pieces: list[_Piece], zero: BoolVector, encoding: DesignEncoding
) -> list[_Piece]:
    """The pieces less those without variance, if the others are coded as before."""
    left = [piece for piece in pieces if not zero[piece[1] : piece[2]].all()]
    # patsy codes categories in full where what they are nested in is left out.
    needed = [
        piece
        for piece in pieces
        if any(_codes_change(piece[0], other[0], encoding) for other in left)
    ]
    return [piece for piece in pieces if piece in left or piece in needed]


def _codes_change(
    without: tuple[str, ...], kept: tuple[str, ...], encoding: DesignEncoding
) -> bool:
    more = set(kept) - set(without)
    return set(without) < set(kept) and any(
        encoding.variables[code].levels is not None for code in more
    )


def _written(term: BarTerm, pieces: list[_Piece], structure: str) -> str:
    """A random term with some of its effects, as it would be typed."""
    words = [":".join(codes) for codes, _, _ in pieces if codes]
    has_intercept = any(not codes for codes, _, _ in pieces)
    effects = " + ".join([str(int(has_intercept)), *words])
    group = ":".join(term.groups)
    one = sum(stop - start for _, start, stop in pieces) == 1
    if one or structure == structure_of_bar("|"):
        return f"({effects} | {group})"
    if structure == structure_of_bar("||"):
        return f"({effects} || {group})"
    return written_term(structure, effects, group)


def _rewritten(formula: ModelFormula, replaced: dict[int, str]) -> str:
    """The formula with other random terms; "" if none is left."""
    spans: dict[tuple[int, int], list[int]] = {}
    for t, term in enumerate(formula.random):
        spans.setdefault((term.start, term.end), []).append(t)
    random: list[str] = []
    for (start, end), members in spans.items():
        if not set(members) & set(replaced):
            random.append(formula.text[start:end])
            continue
        for t in members:
            own = formula.random[t]
            kept = f"({own.effects} | {':'.join(own.groups)})"
            if own.structure != structure_of_bar("|"):
                kept = written_term(own.structure, own.effects, ":".join(own.groups))
            random.append(replaced.get(t, kept))
    offsets = [f"offset({text})" for text in formula.offsets]
    parts = [formula.fixed, *filter(None, random), *offsets]
    text = f"{formula.response} ~ " + " + ".join(parts)
    try:
        parse_formula(text)
    except FormulaError:  # no random term is left
        return ""
    return text
