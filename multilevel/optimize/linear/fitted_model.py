"""A fitted linear mixed model.

Held by tests/optimize/common/test_fitted_model.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import ClassVar

import numpy as np

from multilevel.array_types import FloatArray, FloatMatrix, FloatVector, IntVector
from multilevel.design.model_design import ModelDesign
from multilevel.design.read_only import read_only
from multilevel.design.some_rows import on_rows
from multilevel.likelihood.families.registry import family_of
from multilevel.likelihood.families.traits import Family
from multilevel.likelihood.linear.prepared import LikelihoodPoint
from multilevel.methods import ModelKind
from multilevel.optimize.common.fitted_model import FittedModel
from multilevel.optimize.linear.estimates import fixed_root
from multilevel.optimize.linear.fit import fit_design
from multilevel.optimize.linear.fit_record import LMMFit
from multilevel.optimize.linear.group_loglike import loglike_groups
from multilevel.optimize.linear.problem import LinearProblem, build_problem


@dataclass(frozen=True, eq=False, kw_only=True)
class LinearFittedModel(FittedModel):
    """A fitted model whose response is normal around its linear predictor.

    Parameters
    ----------
    design : ModelDesign
    fit : LMMFit
    ddf : str
    prepare : callable
        Gives the cross-products of the design, once they are needed.
    """

    kind: ClassVar[ModelKind] = "linear"

    fit: LMMFit
    prepare: Callable[[], LinearProblem] = field(repr=False)
    family: Family = field(default=family_of("gaussian"), init=False, repr=False)

    @cached_property
    def problem(self) -> LinearProblem:
        """The cross-products of the design."""
        return self.prepare()

    @property
    def is_restricted(self) -> bool:
        """Whether the restricted likelihood was maximized."""
        return self.criterion == "REML"

    def point(self, working_theta: FloatVector | None = None) -> LikelihoodPoint:
        """The deviance at the estimates, or at another theta of the working columns."""
        theta = self.fit.working_theta if working_theta is None else working_theta
        problem = self.problem
        return problem.point(problem.working.lams(theta), reml=self.is_restricted)

    @cached_property
    def fixed_root(self) -> FloatMatrix:
        """A square root of `cov_beta` that no origin of the columns costs digits."""
        return read_only(fixed_root(self.problem, self.point()))

    @property
    def scale(self) -> float:
        """sigma^2."""
        return self.fit.sigma**2

    @property
    def sigma(self) -> float:
        """Residual standard deviation, in units of the response."""
        return self.fit.sigma

    @property
    def shape_values(self) -> FloatVector:
        """sigma^2, (1,)."""
        return np.array([self.scale])

    @property
    def params(self) -> FloatVector:
        """[beta, theta, sigma]."""
        fit = self.fit
        return np.concatenate([fit.beta, fit.theta, [fit.sigma]])

    @cached_property
    def eta(self) -> FloatVector:
        """X beta + offset + Z b, (n,)."""
        return read_only(self.linear_predictor())

    @property
    def mean(self) -> FloatVector:
        """The same."""
        return self.eta

    def row_information(self) -> FloatVector:
        """Prior weight over sigma^2 of each row, (n,)."""
        weights = self.design.weights
        prior = np.ones(len(self.design.y)) if weights is None else weights
        return np.asarray(prior / self.fit.sigma**2)

    def conditional_covariances(self) -> tuple[FloatArray, ...]:
        """Cov(b_j | y, beta, theta, sigma): (J, S, S) for each grouping factor."""
        blocks = [self.scale * block for block in self.point().conditional_blocks()]
        return self.problem.working_terms.user_covariances(blocks)

    def loglike_groups(self) -> FloatVector:
        """Log-likelihood (ML) of each level of the problem's independent factor."""
        return loglike_groups(self.problem, self.design, self.fit)

    def _of(self, design: ModelDesign) -> LinearFittedModel:
        prepare = partial(_with_response_of, self.problem, design)
        return replace(self, design=read_only(design), prepare=prepare)

    def with_responses(self, responses: FloatMatrix) -> Iterator[LinearFittedModel]:
        """`with_response` of each column of `responses` (n, r), read in one pass."""
        columns = np.asarray(responses, dtype=float).T
        designs = [replace(self.design, y=y.copy()) for y in columns]
        centred = np.column_stack([_less_offset(design) for design in designs])
        problems = self.problem.with_responses(centred)
        for design, problem in zip(designs, problems, strict=True):
            yield replace(
                self,
                design=read_only(design),
                prepare=partial(read_only, problem),
            )

    def of_rows(self, rows: IntVector) -> LinearFittedModel:
        """The same model of some of its rows, at these estimates until `refit`."""
        design = on_rows(self.design, rows, residual_estimated=True)
        prepare = partial(_problem_of, design, self.problem.undetermined)
        return replace(self, design=read_only(design), prepare=prepare)

    def refit(self) -> LinearFittedModel:
        """Fitted by the same criterion again, from theta on.

        Raises
        ------
        FitError
            If the effects explain the response exactly.
        """
        start, reml = self.fit.theta, self.is_restricted
        fit = fit_design(self.design, self.problem, reml=reml, start=start)
        return replace(self, fit=read_only(fit))


def _problem_of(design: ModelDesign, undetermined: frozenset[str]) -> LinearProblem:
    return read_only(replace(build_problem(design), undetermined=undetermined))


def _with_response_of(problem: LinearProblem, design: ModelDesign) -> LinearProblem:
    """The cross-products of a design that has another response or offset.

    What the design can tell of variances no response changes.
    """
    return read_only(problem.with_response(_less_offset(design)))


def _less_offset(design: ModelDesign) -> FloatVector:
    return design.y if design.offset is None else design.y - design.offset
