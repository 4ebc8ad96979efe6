"""Whether the arrays of a file are a design, and its estimates belong to it.

Held by tests/models/test_saved_fit.py.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from multilevel.covariance.registry import STRUCTURES
from multilevel.design.design_record import DesignEncoding, ModelDesign
from multilevel.design.fixed_effects import ColumnPlan
from multilevel.errors import DataError
from multilevel.optimize.generalized.fit_record import GLMMFit
from multilevel.optimize.linear.fit_record import LMMFit


def refuse_wrong_design(design: ModelDesign) -> None:
    """Refuse arrays that do not fit together.

    Parameters
    ----------
    design : ModelDesign

    Raises
    ------
    DataError
        Naming the first that does not.
    """
    n, p = len(design.y), len(design.exog_names)
    _refuse_shape("y", design.y, (n,))
    _refuse_shape("exog", design.exog, (n, p))
    for name in ("weights", "offset", "trials"):
        values = getattr(design, name)
        if values is not None:
            _refuse_shape(name, values, (n,))
    _require(design.weights is None or (design.weights > 0).all(), "weights")
    trials = design.trials
    _require(trials is None or design.weights is not None, "trials")
    _require(trials is None or (trials > 0).all(), "trials")
    _require(n > 0 and len(design.index) == n, "index")
    _require(_is_ascending(design.kept, p), "kept")
    _require(len(set(design.exog_names)) == p, "exog_names")
    dropped = design.dropped
    _require(dropped.n >= 0 and dropped.total == n + dropped.n, "dropped")
    _require(all(count >= 0 for count in dropped.causes.values()), "dropped")
    rows = design.rows
    _require(
        rows is None or (len(rows) == n and _is_ascending(rows, dropped.total)), "rows"
    )
    _require(rows is not None or not dropped.n or design.formula is None, "rows")
    _refuse_wrong_terms(design)
    has_formula = design.formula is not None
    _require(has_formula == (design.encoding is not None), "encoding")
    if design.formula is not None and design.encoding is not None:
        _require(len(design.formula.random) == len(design.terms), "formula")
        _refuse_wrong_encoding(design, design.encoding)


def _refuse_wrong_terms(design: ModelDesign) -> None:
    n, p = design.exog.shape
    for factor in design.factors:
        codes, n_levels = factor.codes, len(factor.levels)
        _require(codes.shape == (n,) and 0 < n_levels <= n, f"codes of {factor.name}")
        inside = codes.min() >= 0 and codes.max() < n_levels
        _require(inside and (factor.sizes > 0).all(), f"codes of {factor.name}")
        _require(factor.levels.is_unique, f"levels of {factor.name}")
    _require(len(set(design.factor_names)) == len(design.factors), "factors")
    for term in design.terms:
        k = len(term.effects)
        _require(0 <= term.factor_index < len(design.factors), "terms")
        _require(term.structure in STRUCTURES and k > 0, "terms")
        _refuse_shape("columns of a term", term.columns, (n, k))
        _require(len(term.shared) == k, "shared")
        for number, source in enumerate(term.shared):
            _require(-1 <= source < p, "shared")
            same = source < 0 or np.array_equal(
                design.exog[:, source], term.columns[:, number]
            )
            _require(same, "shared")


def _refuse_wrong_encoding(design: ModelDesign, encoding: DesignEncoding) -> None:
    _refuse_wrong_plan(encoding.fixed, encoding)
    _require(len(encoding.fixed.names) == design.exog.shape[1], "fixed")
    _require(len(encoding.random) == len(design.terms), "random")
    for term, plan in zip(design.terms, encoding.random, strict=True):
        _refuse_wrong_plan(plan, encoding)
        _require(len(plan.names) == len(term.effects), "random")
    _require(len(encoding.groups) == len(design.factors), "groups")
    for factor, group in zip(design.factors, encoding.groups, strict=True):
        parts = len(group.expressions)
        _require(parts > 0 and len(group.part_levels) == parts, "groups")
        _require(group.cells.shape == (len(factor.levels), parts), "cells")
        _require(all(len(part) <= design.nobs for part in group.part_levels), "groups")
        for cells, levels in zip(group.cells.T, group.part_levels, strict=True):
            _require(cells.min() >= 0 and cells.max() < len(levels), "cells")
        _require(set(group.expressions) <= encoding.expressions.keys(), "groups")
    _require(set(encoding.offsets) <= encoding.expressions.keys(), "offsets")
    for code, fitted in encoding.expressions.items():
        _require(fitted.expression.code == code, "expressions")
    for code, coding in encoding.variables.items():
        _require(code in encoding.expressions and coding.n_columns > 0, "variables")


def _refuse_wrong_plan(plan: ColumnPlan, encoding: DesignEncoding) -> None:
    _require(len(plan.recipes) == len(plan.names), "recipes")
    for recipe in plan.recipes:
        for code, source in recipe:
            _require(code in encoding.variables, "recipes")
            coding = encoding.variables[code]
            if isinstance(source, int):
                fits = coding.levels is None and 0 <= source < coding.n_columns
            else:
                n_levels = -1 if coding.levels is None else len(coding.levels)
                fits = source.shape == (n_levels,) and bool(np.isfinite(source).all())
            _require(fits, "recipes")
    end = 0
    for _, start, stop in sorted(plan.terms, key=lambda term: term[1:]):
        _require(start == end and stop >= start, "columns of terms")
        end = stop
    _require(end == len(plan.names), "columns of terms")


def refuse_wrong_fit(fit: Any, design: ModelDesign) -> None:
    """Refuse estimates that no fit of the design could give.

    Parameters
    ----------
    fit : LMMFit or GLMMFit
    design : ModelDesign

    Raises
    ------
    DataError
        Naming the first that is wrong.
    """
    if not isinstance(fit, LMMFit | GLMMFit):
        raise DataError("its estimates are none")
    p = len(design.kept)
    structures = [term.covariance for term in design.terms]
    m = sum(structure.n_theta for structure in structures)
    _refuse_shape("beta", fit.beta, (p,))
    _refuse_shape("theta", fit.theta, (m,))
    _refuse_shape("working_theta", fit.working_theta, (m,))
    _refuse_numbers(fit)
    _refuse_covariance("cov_beta", fit.cov_beta, p, converged=fit.report.converged)
    _require(len(fit.factors) == len(fit.modes) == len(structures), "factors")
    start = 0
    for term, structure, factor, modes in zip(
        design.terms, structures, fit.factors, fit.modes, strict=True
    ):
        k = structure.n_effects
        _refuse_shape("factors", factor, (k, k))
        wanted = structure.factor(fit.theta[start : start + structure.n_theta])
        size = np.abs(wanted).max()
        _require(np.allclose(factor, wanted, rtol=1e-6, atol=1e-6 * size), "factors")
        n_levels = len(design.factors[term.factor_index].levels)
        _refuse_shape("modes", modes, (n_levels, k))
        start += structure.n_theta
    if isinstance(fit, GLMMFit):
        _refuse_wrong_glmm(fit, len(design.y), p + m)


def _refuse_numbers(fit: Any) -> None:
    """Refuse single numbers that no fit has."""
    report = fit.report
    _require(np.isfinite(fit.sigma) and fit.sigma > 0, "sigma")
    _require(np.isfinite(fit.llf), "llf")
    n_free = len(fit.beta) + len(fit.theta)
    _require(n_free <= fit.n_parameters <= n_free + 2, "n_parameters")
    known = ("REML", "ML") if isinstance(fit, LMMFit) else ("Laplace",)
    is_known = fit.criterion in known or (
        isinstance(fit, GLMMFit) and re.fullmatch(r"AGQ\(\d{1,4}\)", fit.criterion)
    )
    _require(is_known, "criterion")
    _require(report.evaluations >= 0 and report.seconds >= 0, "report")
    _require(not report.converged or np.isfinite(report.gradient_norm), "report")
    _require(all(np.isfinite(v) for v in report.boundary.values()), "report")


def _refuse_wrong_glmm(fit: GLMMFit, n: int, n_means: int) -> None:
    d = len(fit.working_params)
    _require(n_means <= d <= n_means + 1, "working_params")
    _refuse_shape("working_params", fit.working_params, (d,))
    _refuse_covariance("cov_params", fit.cov_params, d, converged=fit.report.converged)
    _refuse_shape("shape_values", fit.shape_values, (d - n_means,))
    possible = np.isfinite(fit.shape_values) & (fit.shape_values > 0)
    _require(possible.all(), "shape_values")
    _refuse_shape("eta", fit.eta, (n,))
    _refuse_shape("mu", fit.mu, (n,))
    _require(1 <= fit.n_nodes < 10_000, "n_nodes")


def _refuse_covariance(name: str, matrix: Any, size: int, *, converged: bool) -> None:
    """Symmetric, the diagonal not negative; finite, unless estimates have diverged."""
    _require(matrix.shape == (size, size), name)
    _require(not converged or np.isfinite(matrix).all(), name)
    known = np.where(np.isfinite(matrix), matrix, 0.0)
    scale = np.sqrt(np.abs(np.diag(known)))
    # Beside variances that have diverged the others' rounding is of their size.
    rounding = 1e-6 * np.outer(scale, scale) + 1e-12 * scale.max(initial=0.0) ** 2
    apart = np.abs(known - known.T) > rounding + 1e-300
    _require(not apart.any() and not (np.diag(known) < 0).any(), name)


def _refuse_shape(name: str, values: Any, shape: tuple[int, ...]) -> None:
    """Refuse an array of another shape, and numbers that are not finite."""
    if values.shape != shape:
        raise DataError(f"its {name} has shape {values.shape}, not {shape}")
    # A sum is much cheaper than a look at each; it overflows for huge numbers only.
    with np.errstate(over="ignore", invalid="ignore"):
        if not np.isfinite(values.sum()) and not np.isfinite(values).all():
            raise DataError(f"its {name} has values that are not finite")


def _is_ascending(positions: Any, end: int) -> bool:
    if positions.ndim != 1 or not len(positions):
        return bool(positions.ndim == 1)
    inside = positions[0] >= 0 and positions[-1] < end
    return bool(inside and (np.diff(positions) > 0).all())


def _require(holds: Any, name: str) -> None:
    if not holds:
        raise DataError(f"its {name} does not fit the rest")
