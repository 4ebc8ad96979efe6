"""A fitted generalized linear mixed model.

Held by tests/optimize/common/test_fitted_model.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import ClassVar

import numpy as np

from multilevel.array_types import FloatArray, FloatMatrix, FloatVector, IntVector
from multilevel.covariance.square_root import covariance_root
from multilevel.design.model_design import ModelDesign
from multilevel.design.read_only import read_only
from multilevel.design.some_rows import on_rows
from multilevel.likelihood.elimination.selected_inverse import inverse_by_level
from multilevel.likelihood.families.traits import Family, bind_rows
from multilevel.methods import ModelKind
from multilevel.optimize.common.fitted_model import FittedModel
from multilevel.optimize.generalized.fit import fit_glmm
from multilevel.optimize.generalized.fit_record import GLMMFit
from multilevel.optimize.generalized.likelihood import loglike_groups, modes_of
from multilevel.optimize.generalized.problem import (
    GeneralizedProblem,
    build_glm_problem,
)


@dataclass(frozen=True, eq=False, kw_only=True)
class GeneralizedFittedModel(FittedModel):
    """A fitted model with a family and a link.

    Parameters
    ----------
    design : ModelDesign
    fit : GLMMFit
    ddf : str
    family : Family
    prepare : callable
        Gives the design's rows in well-conditioned columns, once they are needed.
    """

    kind: ClassVar[ModelKind] = "generalized"

    fit: GLMMFit
    prepare: Callable[[], GeneralizedProblem] = field(repr=False)

    @cached_property
    def problem(self) -> GeneralizedProblem:
        """The rows in well-conditioned columns."""
        return self.prepare()

    @cached_property
    def fixed_root(self) -> FloatMatrix:
        """A square root (p, p) of `cov_beta`."""
        return read_only(covariance_root(self.fit.cov_beta))

    @property
    def scale(self) -> float:
        """phi; one for binomial and Poisson responses and negative binomial ones."""
        return self.family.scale(self.fit.shape_values)

    @property
    def shape_values(self) -> FloatVector:
        """phi, or the size of a negative binomial, estimated or given, (s,)."""
        return self.family.shape_values(self.fit.shape_values)

    @property
    def params(self) -> FloatVector:
        """[beta, theta], then the shape parameters that the family estimates."""
        fit = self.fit
        return np.concatenate([fit.beta, fit.theta, fit.shape_values])

    @property
    def eta(self) -> FloatVector:
        """Linear predictor of every row, offset and random effects included, (n,)."""
        return self.fit.eta

    @property
    def mean(self) -> FloatVector:
        """Its mean on the scale of the response, (n,); proportions of a binomial."""
        return self.fit.mu

    def row_information(self) -> FloatVector:
        """Observed working weight of each row at the estimates, (n,)."""
        design = self.design
        rows = bind_rows(self.family, design.y, design.weights, design.trials)
        weight = rows.terms(self.eta, np.log(self.shape_values)).weight
        return np.asarray(weight)

    def conditional_covariances(self) -> tuple[FloatArray, ...]:
        """Cov(b_j | y) by the curvature at the modes, one for each grouping factor."""
        modes = modes_of(self.problem, self.fit)
        blocks = inverse_by_level(modes.elimination).blocks
        return self.problem.working_terms.user_covariances(blocks)

    def loglike_groups(self) -> FloatVector:
        """Log-likelihood of each level of the problem's independent factor."""
        return loglike_groups(self.problem, self.fit)

    def _of(self, design: ModelDesign) -> GeneralizedFittedModel:
        # What the design can tell of variances no response changes.
        left_open = self.problem.undetermined
        prepare = partial(_prepared, design, self.family, left_open)
        return replace(self, design=read_only(design), prepare=prepare)

    def of_rows(self, rows: IntVector) -> GeneralizedFittedModel:
        """The same model of some of its rows, at these estimates until `refit`."""
        estimated = self.family.traits.constant_variance
        return self._of(on_rows(self.design, rows, residual_estimated=estimated))

    def refit(self) -> GeneralizedFittedModel:
        """Fitted with as many quadrature nodes again, from all parameters on."""
        fit = fit_glmm(self.problem, nagq=self.fit.n_nodes, start=self.params)
        return replace(self, fit=read_only(fit))


def _prepared(
    design: ModelDesign, family: Family, undetermined: frozenset[str]
) -> GeneralizedProblem:
    problem = build_glm_problem(design, family)
    return read_only(replace(problem, undetermined=undetermined))
