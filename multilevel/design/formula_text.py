"""The formula of a design as text, written or built from arrays.

Held by tests/comparison/test_nested_models.py.
"""

from __future__ import annotations

from multilevel.design.design_record import ModelDesign


def formula_text(design: ModelDesign) -> str:
    """The formula as written, or one that says what the arrays were."""
    if design.formula is not None:
        return design.formula.text
    random = [
        f"{'' if term.structure == 'us' else term.structure}"
        f"({' + '.join(term.effects)} | {design.factors[term.factor_index].name})"
        for term in design.terms
    ]
    fixed = [*design.exog_names] or ["0"]
    return f"{design.response} ~ " + " + ".join([*fixed, *random])


def fixed_formula_text(design: ModelDesign) -> str:
    """The formula without its random terms."""
    formula = design.formula
    if formula is None:
        return f"{design.response} ~ " + (" + ".join(design.kept_names) or "0")
    offsets = [f"offset({text})" for text in formula.offsets]
    return f"{formula.response} ~ " + " + ".join([formula.fixed, *offsets])
