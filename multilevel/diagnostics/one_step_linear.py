"""Deleting the independent groups of a linear model, all of them at once.

Of a group that shares no random effect with another one, the products of the columns
``C = [X, y - X beta]``,

    T_j(theta) = C_j'V_j^-1 C_j = C_j'W C_j - (effects of C)'Z_j'W C_j

and log|V_j| are all that the restricted likelihood needs: what is left of their sums
without the group gives the fixed effects, sigma and the deviance without it, exactly,
at any theta. Evaluated at a few theta they give the cubic surface of each deleted
deviance, and its minimum the theta without the group.

References
----------
Demidenko & Stukel (2005), Statistics in Medicine 24, 893-909, section 3.
Loy & Hofmann (2014), J. Stat. Softw. 56(5), section 3.

Held by tests/diagnostics/test_group_influence.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multilevel.array_types import FloatArray, FloatMatrix, FloatVector, IntVector
from multilevel.diagnostics.covariance_path import CovariancePath
from multilevel.diagnostics.effective_df import n_scale_parameters
from multilevel.diagnostics.estimates_without import (
    WithoutGroups,
    component_names,
    component_values,
)
from multilevel.diagnostics.taylor import surfaces
from multilevel.inference.variance_components import variance_components
from multilevel.likelihood.linear.prepared import LikelihoodPoint
from multilevel.likelihood.linear.profiled import LOG_2PI
from multilevel.optimize.linear.fitted_model import LinearFittedModel

LOST = 1e-9
"""Share of the information about a direction of beta that has to be left."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class GroupProducts:
    """What is needed of the rows, once, in working units.

    Parameters
    ----------
    fitted : LinearFittedModel
    own : (p + 1, p + 1, J)
        C_j'W C_j.
    sizes : (J,)
        Rows of each group.
    groups : one (J_k,) for each factor
        The group that each of its levels lies in.
    """

    fitted: LinearFittedModel
    own: FloatArray
    sizes: IntVector
    groups: tuple[IntVector, ...]

    @classmethod
    def of(cls, fitted: LinearFittedModel, factor: int) -> GroupProducts:
        """By level of an independent factor."""
        design, basis = fitted.design, fitted.problem.basis
        group = design.factors[factor]
        offset = 0.0 if design.offset is None else design.offset
        residual = design.y - design.X @ fitted.beta - offset
        X = basis.fixed.apply(design.X[:, basis.order])
        C = np.column_stack([X, residual / basis.response_scale])
        weighted = C if design.weights is None else C * design.weights[:, None]
        own = np.empty((C.shape[1], C.shape[1], group.n_levels))
        for a in range(len(own)):
            for b in range(a + 1):
                sums = np.bincount(group.codes, C[:, a] * weighted[:, b], own.shape[2])
                own[a, b] = own[b, a] = sums
        return cls(
            fitted=fitted,
            own=own,
            sizes=group.sizes,
            groups=tuple(
                _group_of_level(f.codes, f.n_levels, group.codes)
                for f in design.factors
            ),
        )

    @property
    def scale(self) -> float:
        """sigma^2 of all groups, working units."""
        return self.fitted.scale / self.fitted.problem.basis.response_scale**2

    @property
    def scale_is_known(self) -> bool:
        """Whether sigma was given rather than estimated."""
        return not n_scale_parameters(self.fitted)

    @property
    def _change(self) -> FloatMatrix:
        """D with [X, y] D = C, (p + 1, p + 1)."""
        change = np.eye(len(self.own))
        change[:, -1] = self.fitted.point().profiled.residual
        return change

    def products(self, point: LikelihoodPoint) -> FloatArray:
        """T_j, (p + 1, p + 1, J), at the theta of a point."""
        total, change = self.own.copy(), self._change
        # Effects of y - X beta there are those of the beta of that theta.
        there = np.eye(len(change))
        there[:-1, -1] = point.profiled.beta + change[:-1, -1]
        taken = zip(
            self.fitted.problem.products.ZtXy,
            point.column_effects(),
            self.groups,
            strict=True,
        )
        for ZtXy, effects, group in taken:
            ZtC = np.einsum("scj,cd->sdj", ZtXy, change)
            effect = np.einsum("scj,cd->sdj", effects, there)
            parts = np.einsum("saj,sbj->abj", ZtC, effect)
            for a, b in np.ndindex(*parts.shape[:2]):
                total[a, b] -= np.bincount(group, parts[a, b], total.shape[2])
        return np.asarray((total + total.transpose(1, 0, 2)) / 2.0)


def _group_of_level(codes: IntVector, n_levels: int, groups: IntVector) -> IntVector:
    own = np.empty(n_levels, dtype=np.intp)
    own[codes] = groups
    return own


@dataclass(frozen=True, slots=True, kw_only=True)
class _Deleted:
    """Of each group at one theta, working units."""

    deviance: FloatVector  # (J,)
    beta: FloatMatrix  # (J, p), less that of all groups
    log_sigma2: FloatVector  # (J,)
    inverse: FloatArray  # (J, p, p), of X'V0^-1 X without the group
    lost: FloatVector  # (J,) bool: nothing left of some direction


def _deleted(data: GroupProducts, lams: list[FloatMatrix]) -> _Deleted:
    """Everything without each group, covariance factors of working columns given."""
    problem, reml = data.fitted.problem, data.fitted.is_restricted
    own = data.products(problem.point(lams, reml=reml)).transpose(2, 0, 1)
    log_dets = problem.prepared.level_log_dets(lams)
    left = own.sum(axis=0) - own
    X, Xr = left[:, :-1, :-1], left[:, :-1, -1]
    whole = np.linalg.cholesky(own.sum(axis=0)[:-1, :-1])
    # Relative to what all groups tell: no unit, and zero if a group told all of it.
    relative = np.linalg.solve(whole, np.linalg.solve(whole, X).transpose(0, 2, 1))
    values, vectors = np.linalg.eigh(relative)
    lost = values.min(axis=1, initial=1.0) < LOST
    values = np.where(lost[:, None], 1.0, values)
    half = np.linalg.solve(whole.T, vectors / np.sqrt(values)[:, None, :])
    inverse = half @ half.transpose(0, 2, 1)
    beta = np.einsum("jab,jb->ja", inverse, Xr)
    n = problem.n_rows - data.sizes
    nu = n - problem.n_fixed if reml else n
    squares = left[:, -1, -1] - np.einsum("ja,ja->j", Xr, beta)
    sigma2 = np.maximum(squares, 1e-300) / np.maximum(nu, 1)
    if data.scale_is_known:
        sigma2 = np.full_like(sigma2, data.scale)
    log_sigma2 = np.log(sigma2)
    deviance = log_dets.sum() - log_dets + nu * (LOG_2PI + log_sigma2)
    deviance = deviance + np.maximum(squares, 1e-300) / sigma2
    if reml:
        deviance = deviance + np.log(values).sum(axis=1)
        deviance = deviance + 2.0 * np.log(np.diag(whole)).sum()
    return _Deleted(
        deviance=deviance,
        beta=beta,
        log_sigma2=log_sigma2,
        inverse=inverse,
        lost=lost | (nu < 1),
    )


def one_step_linear(fitted: LinearFittedModel, factor: int) -> WithoutGroups:
    """Estimates without each level of an independent factor, in one step.

    Parameters
    ----------
    fitted : LinearFittedModel
    factor : int
        Position of the factor; of its levels no two share a random effect.
    """
    data, path = GroupProducts.of(fitted, factor), covariance_path(fitted)

    def evaluate(step: FloatVector) -> tuple[FloatArray, ...]:
        found = _deleted(data, path.lams(step))
        return found.deviance, found.beta, found.log_sigma2, found.inverse

    deviance, beta, log_sigma2, inverse = surfaces(evaluate, path.n_directions)
    steps = deviance.steps_to_minima()
    sigma = np.exp(log_sigma2.at(steps) / 2.0) * fitted.problem.basis.response_scale
    return _read_off(
        fitted,
        lost=_deleted(data, path.lams(np.zeros(path.n_directions))).lost,
        roots=[path.roots(step) for step in steps],
        beta=beta.at(steps),
        sigma=sigma,
        inverse=inverse.at(steps),
    )


def covariance_path(fitted: LinearFittedModel) -> CovariancePath:
    """Through the estimate, in steps that are a standard error of it long."""
    problem = fitted.problem
    path = CovariancePath.of(problem.terms, fitted.fit.working_theta)
    return path.in_standard_errors(fitted.point().hessian(path.moves()))


def _read_off(
    fitted: LinearFittedModel,
    *,
    lost: FloatVector,
    roots: list[list[FloatMatrix]],
    beta: FloatMatrix,
    sigma: FloatVector,
    inverse: FloatArray,
) -> WithoutGroups:
    """From the working columns to the user's."""
    basis = fitted.problem.basis
    carry = basis.user_rows(np.eye(len(fitted.beta)))
    user = fitted.beta + basis.response_scale * beta @ carry.T
    covariance = np.square(sigma)[:, None, None] * (carry @ inverse @ carry.T)
    shown, names = variance_components(fitted), component_names(fitted)
    components = np.empty((len(sigma), len(names)))
    for row, moved, own in zip(components, roots, sigma.tolist(), strict=True):
        user_roots = [T @ root for T, root in zip(basis.terms, moved, strict=True)]
        row[:] = component_values(shown, user_roots, own)
    for values in (user, covariance, components):
        values[lost] = np.nan
    why = "the fixed effects cannot be estimated from the other groups"
    return WithoutGroups(
        beta=user,
        covariance=covariance,
        whole=fitted.cov_beta,
        components=components,
        excluded=dict.fromkeys(np.flatnonzero(lost).tolist(), why),
    )
