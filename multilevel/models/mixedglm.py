"""Generalized linear mixed models.

Held by tests/models/test_mixedglm.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from numpy.typing import ArrayLike

from multilevel.array_types import FloatMatrix, FloatVector
from multilevel.design.model_design import (
    ModelDesign,
    build_design,
    design_from_arrays,
)
from multilevel.design.random_effects import RandomTerm
from multilevel.design.read_only import read_only
from multilevel.design.response import warn_of_fractions
from multilevel.formula.environment import caller_namespace
from multilevel.formula.parse import parse_formula
from multilevel.likelihood.families.traits import Family
from multilevel.models.given_family import family_document, read_family
from multilevel.models.given_numbers import read_params, read_start
from multilevel.models.mixed_model import MixedModel
from multilevel.models.progress_lines import progress_writer
from multilevel.optimize.generalized import likelihood as glm_likelihood
from multilevel.optimize.generalized.fit import checked_nodes, fit_glmm
from multilevel.optimize.generalized.fit_record import GLMMFit
from multilevel.optimize.generalized.problem import (
    GeneralizedProblem,
    build_glm_problem,
)
from multilevel.optimize.identification.generalized_models import (
    refuse_unidentified_glm,
)
from multilevel.option_values import as_switch
from multilevel.results.labelled_results import LabelledResults
from multilevel.results.mixedglm_results import MixedGLMResults


class MixedGLM(MixedModel):
    """Generalized linear mixed model from arrays.

    ``g(E(y | b)) = X beta + offset + Z b`` with normal random effects b and a response
    of an exponential family.

    Parameters
    ----------
    endog : (n,) or (n, 2) array_like
        Response; for a binomial model 0/1, two classes, a proportion with `weights`
        the number of trials, or the numbers of successes and failures.
    exog : (n, p) array_like
        Fixed-effects columns; no constant is added.
    random : RandomTerm or sequence of them
        The random terms.
    family : str or statsmodels family
        ``"binomial"``, ``"poisson"``, ``"gamma"``, ``"inversegaussian"``,
        ``"negativebinomial"`` or ``"gaussian"`` with statsmodels' default link, or an
        instance such as ``sm.families.Binomial(link=sm.families.links.Probit())``.
        The dispersion of a negative binomial is estimated if the family is given by
        name, and held at its ``alpha`` if it is an instance.
    weights : (n,) array_like, optional
        Prior weights (Gaussian, gamma, inverse Gaussian): the dispersion of a row is
        phi / weight. Number of trials of a proportion. Case weights of counts, of 0/1
        and of successes and failures: how often each row counts.
    offset : (n,) array_like, optional
        Known part of the linear predictor.
    missing : {"drop", "raise"}
        What to do with rows in which something is missing.

    See Also
    --------
    MixedGLM.from_formula : From a formula and a data frame.

    Examples
    --------
    >>> import numpy as np
    >>> import multilevel as ml
    >>> data = ml.datasets.load("cbpp")
    >>> herd = ml.RandomTerm(data["herd"], name="herd")
    >>> counts = np.column_stack([data["incidence"], data["size"] - data["incidence"]])
    >>> model = ml.MixedGLM(counts, np.ones(len(data)), [herd], family="binomial")
    >>> round(model.fit().llf, 4)
    -104.8313
    """

    _given_family: Any

    def __init__(
        self,
        endog: Any,
        exog: Any,
        random: RandomTerm | Sequence[RandomTerm],
        family: Any,
        weights: ArrayLike | None = None,
        offset: ArrayLike | None = None,
        missing: str = "drop",
    ) -> None:
        terms = (random,) if isinstance(random, RandomTerm) else tuple(random)
        known = read_family(family)
        design = design_from_arrays(
            endog,
            exog,
            terms,
            weights,
            offset,
            missing,
            family_is_binomial=known.traits.has_trials,
            residual_estimated=known.traits.constant_variance,
        )
        _warn_of_fractions(design, known)
        self._take(design)
        self._given_family = family

    @classmethod
    def from_formula(
        cls,
        formula: str,
        data: Any,
        *,
        family: Any,
        weights: Any = None,
        offset: Any = None,
        missing: str = "drop",
    ) -> MixedGLM:
        """Build the model of a formula.

        Parameters
        ----------
        formula : str
            Fixed part as in patsy, random terms as in lme4:
            ``"remission ~ age + (1 | doctor)"``. The left side of a binomial model may
            have two columns, ``cbind(successes, failures)``.
        data : pandas DataFrame, dict of columns, polars DataFrame or pyarrow Table
            The columns.
        family : str or statsmodels family
            As for `MixedGLM`.
        weights : str or array_like, optional
            Prior weights, number of trials or case weights, by the response: see
            `MixedGLM`.
        offset : str or array_like, optional
            Known part of the linear predictor, added to any ``offset(...)`` of the
            formula.
        missing : {"drop", "raise"}
            What to do with rows in which something that the model uses is missing.

        Returns
        -------
        MixedGLM

        Examples
        --------
        >>> import multilevel as ml
        >>> data = ml.datasets.load("cbpp")
        >>> formula = "cbind(incidence, size - incidence) ~ period + (1 | herd)"
        >>> model = ml.MixedGLM.from_formula(formula, data, family="binomial")
        >>> model.fit(nagq=7).params.round(3)
        Intercept     -1.399
        period[T.2]   -0.991
        period[T.3]   -1.128
        period[T.4]   -1.579
        dtype: float64
        """
        known = read_family(family)
        design = build_design(
            parse_formula(formula),
            data,
            weights=weights,
            offset=offset,
            missing=missing,
            environment=caller_namespace(),
            family_is_binomial=known.traits.has_trials,
            residual_estimated=known.traits.constant_variance,
        )
        _warn_of_fractions(design, known)
        return cls._with_family(design, family)

    @classmethod
    def _with_family(cls, design: ModelDesign, family: Any) -> MixedGLM:
        """The model of a design that is there already."""
        model = cls._of(design)
        model._given_family = family
        return model

    @cached_property
    def family(self) -> Family:
        """The family and its link."""
        return read_family(self._given_family)

    @property
    def given_family(self) -> Any:
        """The family as it was given: a name or an instance of statsmodels."""
        return self._given_family

    @cached_property
    def problem(self) -> GeneralizedProblem:
        """The rows in well-conditioned columns, computed when first needed.

        Raises
        ------
        DataError
            If the data can say nothing about a variance.
        """
        problem = build_glm_problem(self.design, self.family)
        left_open = refuse_unidentified_glm(self.design, self.family)
        return read_only(replace(problem, undetermined=left_open))

    def fit(
        self,
        *,
        nagq: int = 1,
        start: ArrayLike | None = None,
        progress: bool = False,
    ) -> MixedGLMResults:
        """Estimate the model by maximum likelihood; the model itself is not changed.

        Parameters
        ----------
        nagq : int
            1 is the Laplace approximation of the likelihood, more the number of nodes
            of adaptive Gauss-Hermite quadrature, which needs a single grouping factor
            with at most three random effects a level.
        start : (m,) or (d,) array_like, optional
            theta, or all parameters as in a result's `full_params`, to start from. From
            a start that leads nowhere the fit goes back to its own.
        progress : bool
            Write a line to standard error after each evaluation.

        Returns
        -------
        MixedGLMResults

        Examples
        --------
        >>> import multilevel as ml
        >>> data = ml.datasets.load("cbpp")
        >>> formula = "cbind(incidence, size - incidence) ~ period + (1 | herd)"
        >>> model = ml.mixedglm(formula, data, family="binomial")
        >>> round(model.fit().llf, 3), round(model.fit(nagq=25).llf, 3)
        (-92.026, -91.983)
        """
        fit = fit_glmm(
            self.problem,
            nagq=nagq,
            start=read_start(start),
            on_step=progress_writer() if as_switch(progress, "progress") else None,
        )
        return self.result_of(fit, "normal")

    def result_of(self, fit: GLMMFit, ddf: str) -> MixedGLMResults:
        """The results object of an estimate of this model.

        Parameters
        ----------
        fit : GLMMFit
        ddf : str

        Returns
        -------
        MixedGLMResults
        """
        results = LabelledResults(MixedGLMResults(self, fit, ddf))
        return results

    def loglike(self, params: FloatVector, *, nagq: int = 1) -> float:
        """Approximate log-likelihood at any parameters, all constants included.

        Parameters
        ----------
        params : (d,)
            [beta, theta], and the dispersion where the family estimates one, as in a
            result's `full_params`.
        nagq : int
            Quadrature nodes; 1 is the Laplace approximation.

        Returns
        -------
        float
        """
        return glm_likelihood.loglike(
            self.problem, read_params(params), nagq=checked_nodes(self.problem, nagq)
        )

    def score(self, params: FloatVector, *, nagq: int = 1) -> FloatVector:
        """Gradient of the approximate log-likelihood.

        Parameters
        ----------
        params : (d,)
        nagq : int

        Returns
        -------
        (d,) array
        """
        return glm_likelihood.score(
            self.problem, read_params(params), nagq=checked_nodes(self.problem, nagq)
        )

    def hessian(self, params: FloatVector, *, nagq: int = 1) -> FloatMatrix:
        """Second derivatives of the approximate log-likelihood.

        Parameters
        ----------
        params : (d,)
        nagq : int

        Returns
        -------
        (d, d) array
        """
        return glm_likelihood.hessian(
            self.problem, read_params(params), nagq=checked_nodes(self.problem, nagq)
        )

    def saved_options(self) -> dict[str, Any]:
        """What a saved fit needs besides the design."""
        return {"family": family_document(self._given_family)}

    def __reduce__(self) -> tuple[Any, ...]:
        state = (self.design, self._given_family)
        return type(self)._with_family, state


def _warn_of_fractions(design: ModelDesign, family: Family) -> None:
    if family.traits.is_count:
        warn_of_fractions(design.y, design.response, family.name)
