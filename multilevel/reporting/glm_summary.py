"""The summary of a generalized mixed model."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import numpy as np

from multilevel.design.design_record import ModelDesign
from multilevel.display.number_text import (
    common_or_own_decimals,
    number_text,
    p_text,
)
from multilevel.display.text_table import TextTable
from multilevel.likelihood.families.traits import Family
from multilevel.option_values import as_switch
from multilevel.reporting.fit_summary import (
    convergence_lines,
    criteria_text,
    fixed_effects_table,
    group_facts,
    observations_text,
    pooled_lines,
    residual_table,
    spread_text,
)
from multilevel.reporting.ratio_names import ratio_name
from multilevel.reporting.summary_document import SummaryDocument

_WEIGHT_NAMES = MappingProxyType(
    {"trials": "Trials", "cases": "Case weights", "precision": "Prior weights"}
)


def summarize_generalized_fit(
    results: Any, *, alpha: float = 0.05, exponentiate: bool = False
) -> SummaryDocument:
    """Lay out the summary of a generalized linear mixed model.

    Parameters
    ----------
    results : MixedGLMResults
    alpha : float
        One minus the coverage of the confidence limits.
    exponentiate : bool
        Show exp(estimate) and its limits.

    Returns
    -------
    SummaryDocument
        A statsmodels `Summary`.
    """
    test = "t tests" if results.use_t else "z tests"
    title = f"Generalized linear mixed model fit by maximum likelihood; Wald {test}"
    sections = [
        residual_table(results.get_residuals("scaled"), "Scaled Pearson residuals:"),
        results.variance_components.as_table(),
    ]
    if len(results.params):
        table = (
            ratio_table
            if as_switch(exponentiate, "exponentiate")
            else fixed_effects_table
        )
        sections.append(table(results, alpha=alpha))
    names = results.family.traits.model_names
    notes = [
        *convergence_lines(results),
        *pooled_lines(results, names.get(results.family.link.name, "pooled model")),
    ]
    return SummaryDocument(title, _facts(results), sections, notes)


def _facts(results: Any) -> list[tuple[str, str]]:
    """Labelled facts at the top."""
    design, family = results.model.design, results.family
    name = family.traits.spoken_name
    facts = [
        ("Formula", results.formula),
        ("Family", f"{name}, {family.link.name} link"),
    ]
    if design.response_levels is not None:
        failure, success = design.response_levels
        text = f"P({design.response} = {success}); the other value is {failure}"
        facts.append(("Modelled", text))
    facts.append(("Observations", observations_text(results)))
    facts += [
        *_weight_facts(design, family),
        *group_facts(results),
        ("Log-likelihood", f"{results.llf:.3f} ({_approximation_text(results)})"),
        ("AIC, BIC", criteria_text(results)),
    ]
    return facts + _dispersion_facts(results)


def _weight_facts(design: ModelDesign, family: Family) -> list[tuple[str, str]]:
    """Trials, prior weights and case weights, those that there are."""
    weights, trials = design.weights, design.trials
    if weights is None:
        return []
    if trials is not None:
        found = [("Case weights", spread_text(weights / trials))]
        single = (trials == 1.0).all()
        return found if single else [("Trials", spread_text(trials)), *found]
    return [(_WEIGHT_NAMES[family.traits.weights], spread_text(weights))]


def _approximation_text(results: Any) -> str:
    """How the integral over the random effects was approximated."""
    nodes = results.fit_record.n_nodes
    if nodes == 1:
        return "Laplace approximation"
    return (
        f"adaptive Gauss-Hermite quadrature, {nodes} nodes; all constants included, as "
        "for Laplace"
    )


def _dispersion_facts(results: Any) -> list[tuple[str, str]]:
    """The shape parameter, where there is one, and what it means."""
    family = results.family
    weighted = results.model.design.weights is not None
    share = " / weight" if weighted and family.traits.weights == "precision" else ""
    held = "" if family.known_shape is None else "; held fixed"
    text = f"Var = {family.traits.variance_text}{share}{held}"
    return [
        (shape.name.capitalize(), f"{results.dispersion:.4g} ({text})")
        for shape in family.traits.shapes
    ]


def ratio_table(results: Any, *, alpha: float = 0.05) -> TextTable:
    """exp(estimate) of the fixed effects with its limits; z and p are of the estimate.

    Parameters
    ----------
    results : MixedGLMResults
    alpha : float

    Returns
    -------
    TextTable
        Standard errors by the delta method.
    """
    name = ratio_name(results.family)
    with np.errstate(over="ignore"):
        estimates = np.exp(np.asarray(results.params, dtype=float))
        limits = np.exp(np.asarray(results.conf_int(alpha), dtype=float))
    errors = estimates * np.asarray(results.bse, dtype=float)
    tests = np.asarray(results.tvalues), np.asarray(results.pvalues)
    decimals = common_or_own_decimals(errors, 3)
    rows = []
    for i, label in enumerate(results.model.exog_names):
        if np.isnan(estimates[i]):
            rows.append((f"{label} (dropped: aliased)", *("NaN",) * 6))
            continue
        rows.append(
            (
                label,
                number_text(estimates[i], decimals[i]),
                number_text(errors[i], decimals[i]),
                f"{tests[0][i]:.2f}",
                p_text(tests[1][i]),
                *(number_text(end, decimals[i]) for end in limits[i]),
            )
        )
    ends = (f"[{alpha / 2:.3g}", f"{1 - alpha / 2:.3g}]")
    letter = "t" if results.use_t else "z"
    header = ("", "Ratio", "Std.Err.", letter, f"P>|{letter}|", *ends)
    return TextTable(header, tuple(rows), title=f"Fixed effects, {name}:")
