"""What a summary says of a fit in single lines, above and below its tables.

Held by tests/reporting/test_fit_summary.py.
"""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

from multilevel.array_types import FloatVector
from multilevel.display.number_text import listing
from multilevel.errors import MultilevelError
from multilevel.optimize.common.fitted_model import FittedModel
from multilevel.optimize.generalized.fitted_model import GeneralizedFittedModel

if TYPE_CHECKING:
    from multilevel.inference.likelihood_ratio import LRTest

Facts: TypeAlias = list[tuple[str, str]]

_WEIGHT_NAMES = MappingProxyType(
    {"trials": "Trials", "cases": "Case weights", "precision": "Prior weights"}
)


def fit_facts(fitted: FittedModel) -> Facts:
    """Labelled facts at the top: what was fitted to what, and how well.

    Parameters
    ----------
    fitted : FittedModel

    Returns
    -------
    list of (label, text)
    """
    generalized = fitted.kind == "generalized"
    design, dropped = fitted.design, fitted.design.dropped
    rows = f"{design.nobs} ({dropped})" if dropped.n else str(design.nobs)
    criteria = f"{fitted.aic:.2f}, {fitted.bic:.2f}"
    return [
        ("Formula", fitted.formula),
        *(_family_facts(fitted) if generalized else []),
        ("Observations", rows),
        *_weight_facts(fitted),
        *_group_facts(fitted),
        ("Log-likelihood", f"{fitted.llf:.3f}{_criterion_text(fitted)}"),
        (
            "AIC, BIC",
            f"{criteria} ({fitted.n_parameters} parameters, variances included)",
        ),
        *(_shape_facts(fitted) if generalized else []),
    ]


def _family_facts(fitted: FittedModel) -> Facts:
    """The family, and which value of two is a success."""
    design, family = fitted.design, fitted.family
    facts = [("Family", f"{family.traits.spoken_name}, {family.link.name} link")]
    if design.response_levels is not None:
        failure, success = design.response_levels
        text = f"P({design.response} = {success}); the other value is {failure}"
        facts.append(("Modelled", text))
    return facts


def _weight_facts(fitted: FittedModel) -> Facts:
    """Trials, prior weights and case weights, those that there are."""
    weights, trials = fitted.design.weights, fitted.design.trials
    if weights is None:
        return []
    if trials is not None:
        found = [("Case weights", _spread_text(weights / trials))]
        single = (trials == 1.0).all()
        return found if single else [("Trials", _spread_text(trials)), *found]
    return [(_WEIGHT_NAMES[fitted.family.traits.weights], _spread_text(weights))]


def _spread_text(weights: FloatVector) -> str:
    """Smallest, mean and largest weight."""
    low, mean, high = weights.min(), weights.mean(), weights.max()
    return f"min {low:.4g}, mean {mean:.4g}, max {high:.4g}"


def _group_facts(fitted: FittedModel) -> Facts:
    """One line for each grouping factor: levels and sizes."""
    facts: Facts = []
    for factor in fitted.design.factors:
        sizes = factor.sizes
        spread = f"min {sizes.min()}, mean {sizes.mean():.1f}, max {sizes.max()}"
        if sizes.min() == sizes.max():
            spread = str(sizes.min())
        text = f"{factor.name} {factor.n_levels} (rows in each: {spread})"
        facts.append(("" if facts else "Groups", text))
    return facts


def _criterion_text(fitted: FittedModel) -> str:
    """What kind of likelihood it is, where it is not the plain one."""
    if not isinstance(fitted, GeneralizedFittedModel):
        return " (restricted)" if fitted.criterion == "REML" else ""
    nodes = fitted.fit.n_nodes
    if nodes == 1:
        return " (Laplace approximation)"
    return (
        f" (adaptive Gauss-Hermite quadrature, {nodes} nodes; all constants included, "
        "as for Laplace)"
    )


def _shape_facts(fitted: FittedModel) -> Facts:
    """The shape parameter, where there is one, and what it means."""
    family = fitted.family
    weighted = fitted.design.weights is not None
    share = " / weight" if weighted and family.traits.weights == "precision" else ""
    held = "" if family.known_shapes is None else "; held fixed"
    text = f"Var = {family.traits.variance_text}{share}{held}"
    return [
        (shape.name.capitalize(), f"{value:.4g} ({text})")
        for shape, value in zip(family.traits.shapes, fitted.shape_values, strict=True)
    ]


def convergence_notes(fitted: FittedModel) -> list[str]:
    """Convergence in one line, and a singular fit in plain words."""
    report = fitted.fit.report
    lines = [report.message[:1].upper() + report.message[1:] + "."]
    if fitted.fit.is_singular:
        at_edge = listing([f"{name} = {v:.3g}" for name, v in report.boundary.items()])
        lines.append(
            "The fit is singular"
            + (f": {at_edge}. " if at_edge else ". ")
            + "The data show no sign of some of the random variation that the formula "
            "allows for; explain_singular() says which, and what to try."
        )
    return lines


def pooled_notes(
    fitted: FittedModel, compare_pooled: Callable[[], LRTest]
) -> list[str]:
    """The test against the pooled regression, worded as Stata does.

    Parameters
    ----------
    fitted : FittedModel
    compare_pooled : callable
        Gives the test, or raises what stands in its way.
    """
    if not fitted.design.terms:
        return []
    pooled = "linear model"
    if fitted.kind == "generalized":
        pooled = fitted.family.traits.model_names.get(fitted.link.name, "pooled model")
    try:
        test = compare_pooled()
    except MultilevelError as error:
        return [f"No LR test vs. {pooled}: {error}"]
    one_variance = test.null == "0.5 chi2(0) + 0.5 chi2(1)"
    name = "chibar2(01)" if one_variance else "chibar2"
    last = (
        f"LR test vs. {pooled}: {name} = {test.statistic:.2f}  "
        f"Prob >= chibar2 = {test.pvalue:.4f}"
    )
    return [last] if one_variance else [f"chibar2 is {test.null}.", last]
