"""Deleting groups one after another: by refits, or by one step of what is left.

A refit is exact. One step is taken this way where groups share random effects with one
another, as the levels of crossed factors do: what is left without a group is reduced
to its products again, and one Newton step goes from the estimates of all.

Held by tests/diagnostics/test_group_influence.py.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterable
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
from tqdm import tqdm

from multilevel.array_types import FloatMatrix, FloatVector, IntVector
from multilevel.diagnostics.covariance_path import CovariancePath
from multilevel.diagnostics.estimates_without import (
    WithoutGroups,
    component_values,
    nothing_known,
)
from multilevel.diagnostics.taylor import FARTHEST, LEAST
from multilevel.errors import MultilevelError
from multilevel.inference.variance_components import variance_components
from multilevel.methods import ModelKind
from multilevel.optimize.common.fitted_model import FittedModel
from multilevel.optimize.generalized.fitted_model import GeneralizedFittedModel
from multilevel.optimize.generalized.likelihood import hessian, score
from multilevel.optimize.linear.estimates import estimates_at
from multilevel.optimize.linear.fitted_model import LinearFittedModel

Found: TypeAlias = tuple[FloatVector, FloatMatrix, FloatVector]
"""beta (p,), its covariance (p, p), standard deviations and correlations (c,)."""


def without_each(
    fitted: FittedModel,
    codes: IntVector,
    estimate: Callable[[Any], Found],
    *,
    progress: bool = True,
) -> WithoutGroups:
    """Estimates without the rows of each code.

    Parameters
    ----------
    fitted : FittedModel
    codes : (n,)
        0 .. J - 1: the group of each row.
    estimate : callable
        From the model of the rows that are left, at the estimates of all.
    progress : bool
        Whether to show a bar on a terminal when it takes long.
    """
    n_groups = int(codes.max()) + 1
    out = nothing_known(fitted, n_groups)
    with warnings.catch_warnings():
        # Of a fit without a group: what it says is in the numbers, or in `excluded`.
        warnings.simplefilter("ignore")
        for j in _shown(range(n_groups), progress):
            try:
                found = estimate(fitted.of_rows(np.flatnonzero(codes != j)))
            except (MultilevelError, np.linalg.LinAlgError) as error:
                out.excluded[j] = str(error)
            else:
                out.beta[j], out.covariance[j], out.components[j] = found
    return out


def _shown(groups: Iterable[int], progress: bool) -> Iterable[int]:
    hidden = not (progress and sys.stderr.isatty())
    return tqdm(groups, desc="deleting groups", disable=hidden, delay=1.0, leave=False)


def refitted(left: FittedModel) -> Found:
    """The maximum of what is left."""
    again = left.refit()
    rows = variance_components(again).components()
    return again.beta, again.cov_beta, np.array([row.sdcor for row in rows])


def linear_step(left: LinearFittedModel) -> Found:
    """One Newton step of the covariances; fixed effects and sigma given these."""
    problem = left.problem
    theta = problem.working_terms.working_theta(left.fit.theta)
    path, point = CovariancePath.of(problem.terms, theta), left.point(theta)
    slope, bent = path.derivatives(point.gradients())
    information = point.hessian(path.moves())
    path = path.in_standard_errors(information)
    along = path.directions
    step = _newton(along.T @ slope, along.T @ (information + bent) @ along)
    roots = path.roots(step)
    there = problem.point(problem.terms.stack(roots), reml=left.is_restricted)
    found = estimates_at(problem, there)
    user = [T @ root for T, root in zip(problem.basis.terms, roots, strict=True)]
    values = component_values(variance_components(left), user, found.sigma)
    return found.beta, found.cov_beta, values


def generalized_step(left: GeneralizedFittedModel) -> Found:
    """One Newton step of all parameters, the shapes by their logarithms."""
    problem, params, nodes = left.problem, left.params, left.fit.n_nodes
    p, m = problem.n_fixed, problem.terms.n_theta
    unit = np.ones_like(params)
    unit[p + m :] = params[p + m :]
    slope = -2.0 * score(problem, params, nagq=nodes) * unit
    curvature = -2.0 * hessian(problem, params, nagq=nodes) * np.outer(unit, unit)
    size = np.sqrt(np.maximum(np.abs(np.diag(curvature)), 1e-300) / 2.0)
    values, vectors = np.linalg.eigh(curvature / np.outer(size, size))
    root = vectors / np.sqrt(np.maximum(values, 1e-6)) * np.sqrt(2.0)
    root = np.where(values > 1e-6, root, 0.0) / size[:, None]
    step = root @ _newton(root.T @ slope, 2.0 * np.eye(len(slope)))
    theta = params[p : p + m] + step[p : p + m]
    factors = problem.terms.term_factors(theta)
    components = component_values(variance_components(left), factors, 1.0)
    covariance = (root @ root.T)[:p, :p]
    return params[:p] + step[:p], covariance, components


def _newton(slope: FloatVector, curvature: FloatMatrix) -> FloatVector:
    """A step in units of standard errors, in which the curvature is about 2."""
    values, vectors = np.linalg.eigh((curvature + curvature.T) / 4.0)
    step = -vectors @ (vectors.T @ (slope / 2.0) / np.maximum(values, LEAST))
    length = float(np.linalg.norm(step))
    return np.asarray(step * min(1.0, FARTHEST / max(length, 1e-300)))


STEPS: MappingProxyType[ModelKind, Callable[[Any], Found]] = MappingProxyType(
    {"linear": linear_step, "generalized": generalized_step}
)
"""Kind of model -> one step of the model of the rows that are left."""
