"""Deleting the independent groups of a generalized model, all of them at once.

The approximate log-likelihood is a sum over such groups, so that without one of them it
is that sum less its own part. Evaluated at a few parameters by group it gives the
cubic surface of each deleted deviance, in the fixed effects, the covariances and the
shapes together, and its minimum the estimates without the group.

References
----------
Williams (1987), Applied Statistics 36, 181-191 (one-step deletion).
Loy & Hofmann (2014), J. Stat. Softw. 56(5), section 3.

Held by tests/diagnostics/test_group_influence.py.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from multilevel.array_types import FloatArray, FloatMatrix, FloatVector
from multilevel.diagnostics.covariance_path import CovariancePath
from multilevel.diagnostics.estimates_without import (
    WithoutGroups,
    component_names,
    component_values,
)
from multilevel.diagnostics.taylor import LEAST, surfaces
from multilevel.diagnostics.working_rows import fitted_rows
from multilevel.inference.variance_components import variance_components
from multilevel.likelihood.elimination.weighted_rows import row_inverse
from multilevel.optimize.generalized.fitted_model import GeneralizedFittedModel
from multilevel.optimize.generalized.likelihood import loglike_groups, modes_of
from multilevel.optimize.generalized.objective import split_parameters


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class JointPath:
    """All parameters of a generalized fit, in steps of about one standard error.

    Parameters
    ----------
    fitted : GeneralizedFittedModel
    path : CovariancePath
    fixed : (p, p)
        Steps of the working fixed effects.
    shapes : (s,)
        Steps of the logarithms of the shapes.
    """

    fitted: GeneralizedFittedModel
    path: CovariancePath
    fixed: FloatMatrix
    shapes: FloatVector

    @classmethod
    def of(cls, fitted: GeneralizedFittedModel) -> JointPath:
        """Through the estimate."""
        problem, fit = fitted.problem, fitted.fit
        s = problem.n_shapes
        variance = np.diag(fit.cov_params)[len(fit.cov_params) - s :]
        return cls(
            fitted=fitted,
            path=covariance_path(fitted),
            fixed=fitted_rows(fitted).root,
            shapes=np.minimum(np.sqrt(variance) / fit.shape_values, 1.0),
        )

    @property
    def n_directions(self) -> int:
        """p + m + s, without directions that change nothing."""
        return len(self.fixed) + self.path.n_directions + len(self.shapes)

    def split(self, step: FloatVector) -> tuple[FloatVector, FloatVector, FloatVector]:
        """A step by fixed effects, covariances and shapes."""
        p, m = len(self.fixed), self.path.n_directions
        return step[:p], step[p : p + m], step[p + m :]

    def deviances(self, step: FloatVector) -> FloatVector:
        """-2 log-likelihood of each group a step (d,) away, (J,)."""
        problem, fit = self.fitted.problem, self.fitted.fit
        in_beta, in_covariance, in_shapes = self.split(step)
        beta, _, shapes = split_parameters(problem, fit.working_params)
        theta = problem.terms.theta_of(self.path.roots(in_covariance))
        x = np.concatenate(
            [beta + self.fixed @ in_beta, theta, shapes + self.shapes * in_shapes]
        )
        return -2.0 * loglike_groups(problem, replace(fit, working_params=x))


def covariance_path(fitted: GeneralizedFittedModel) -> CovariancePath:
    """By the information that the working linear model has about the covariances."""
    problem = fitted.problem
    modes = modes_of(problem, fitted.fit)
    _, theta, _ = split_parameters(problem, fitted.fit.working_params)
    path = CovariancePath.of(problem.terms, theta)
    hessian = np.zeros((len(path.directions),) * 2)
    shrunken = row_inverse(problem.rows.layout, modes.elimination).shrunken
    for D, moves in zip(shrunken, path.moves(), strict=True):
        DG = np.einsum("abj,mbc->mjac", D, moves)
        hessian += np.einsum("mjac,njca->mn", DG, DG)
    return path.in_standard_errors(hessian)


def one_step_generalized(fitted: GeneralizedFittedModel, factor: int) -> WithoutGroups:
    """Estimates without each level of the independent factor, in one step.

    Parameters
    ----------
    fitted : GeneralizedFittedModel
    factor : int
        Position of the problem's independent factor.

    Raises
    ------
    FitError
        If the likelihood cannot be evaluated next to the estimates.
    """
    joint = JointPath.of(fitted)

    def evaluate(step: FloatVector) -> tuple[FloatArray, ...]:
        own = joint.deviances(step)
        return (own.sum() - own, own.sum(keepdims=True))

    without, whole = surfaces(evaluate, joint.n_directions)
    steps = without.steps_to_minima()
    nowhere = np.zeros_like(steps[:1])
    covariance, lost = _fixed_covariances(joint, without.curvature_at(steps))
    beta = fitted.beta + steps[:, : len(fitted.beta)] @ _user_steps(joint).T
    components = _components(joint, steps)
    for values in (beta, covariance, components):
        values[lost] = np.nan
    why = "the fixed effects cannot be estimated from the other groups"
    return WithoutGroups(
        beta=beta,
        covariance=covariance,
        whole=_fixed_covariances(joint, whole.curvature_at(nowhere))[0][0],
        components=components,
        excluded=dict.fromkeys(np.flatnonzero(lost).tolist(), why),
    )


def _user_steps(joint: JointPath) -> FloatMatrix:
    """Steps of the user's fixed effects, (p, p)."""
    return np.asarray(joint.fitted.problem.fixed_transform @ joint.fixed)


def _fixed_covariances(
    joint: JointPath, curvature: FloatArray
) -> tuple[FloatArray, FloatVector]:
    """Covariance (J, p, p) of the fixed effects, and where none is left of one."""
    p = len(joint.fixed)
    information = curvature / 2.0
    values, vectors = np.linalg.eigh(information)
    half = vectors / np.sqrt(np.maximum(values, LEAST))[:, None, :]
    inverse = (half @ half.transpose(0, 2, 1))[:, :p, :p]
    own = np.linalg.eigvalsh(information[:, :p, :p])
    user = _user_steps(joint)
    return user @ inverse @ user.T, own.min(axis=1, initial=1.0) < 1e-4


def _components(joint: JointPath, steps: FloatMatrix) -> FloatMatrix:
    """Standard deviations and correlations a step (J, d) away, (J, c)."""
    fitted = joint.fitted
    shown, transforms = variance_components(fitted), fitted.problem.term_transforms
    out = np.empty((len(steps), len(component_names(fitted))))
    for row, step in zip(out, steps, strict=True):
        roots = joint.path.roots(joint.split(step)[1])
        user = [T @ root for T, root in zip(transforms, roots, strict=True)]
        row[:] = component_values(shown, user, 1.0)
    return out
