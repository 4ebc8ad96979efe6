"""Linear mixed models.

Held by tests/models/test_mixedlm.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from numpy.typing import ArrayLike

from multilevel.array_types import FloatMatrix, FloatVector
from multilevel.design.model_design import (
    build_design,
    design_from_arrays,
)
from multilevel.design.random_effects import RandomTerm
from multilevel.design.read_only import read_only
from multilevel.formula.environment import caller_namespace
from multilevel.formula.parse import parse_formula
from multilevel.inference.denominator_df import known_ddf
from multilevel.models.given_numbers import read_params, read_start
from multilevel.models.mixed_model import MixedModel
from multilevel.models.progress_lines import progress_writer
from multilevel.optimize.identification.identified_entries import refuse_unidentified
from multilevel.optimize.linear import joint_likelihood
from multilevel.optimize.linear.fit import fit_design
from multilevel.optimize.linear.fit_record import LMMFit
from multilevel.optimize.linear.problem import LinearProblem, build_problem
from multilevel.option_values import as_switch
from multilevel.results.labelled_results import LabelledResults
from multilevel.results.mixedlm_results import MixedLMResults


class MixedLM(MixedModel):
    """Linear mixed model ``y = X beta + offset + Z b + e`` from arrays.

    Parameters
    ----------
    endog : (n,) array_like
        Response.
    exog : (n, p) array_like
        Fixed-effects columns; no constant is added.
    random : RandomTerm or sequence of them
        The random terms.
    weights : (n,) array_like, optional
        Prior weights: Var(e_i) = sigma^2 / w_i.
    offset : (n,) array_like, optional
        Known part of the mean.
    missing : {"drop", "raise"}
        What to do with rows in which something is missing.

    See Also
    --------
    MixedLM.from_formula : From a formula and a data frame.

    Examples
    --------
    >>> import numpy as np
    >>> import multilevel as ml
    >>> data = ml.datasets.load("sleepstudy")
    >>> exog = np.column_stack([np.ones(len(data)), data["Days"]])
    >>> subject = ml.RandomTerm(data["Subject"], name="Subject")
    >>> result = ml.MixedLM(data["Reaction"], exog, random=[subject]).fit()
    >>> round(result.llf, 4)
    -893.2325
    """

    def __init__(
        self,
        endog: Any,
        exog: Any,
        random: RandomTerm | Sequence[RandomTerm],
        weights: ArrayLike | None = None,
        offset: ArrayLike | None = None,
        missing: str = "drop",
    ) -> None:
        terms = (random,) if isinstance(random, RandomTerm) else tuple(random)
        design = design_from_arrays(endog, exog, terms, weights, offset, missing)
        self._take(design)

    @classmethod
    def from_formula(
        cls,
        formula: str,
        data: Any,
        *,
        weights: Any = None,
        offset: Any = None,
        missing: str = "drop",
    ) -> MixedLM:
        """Build the model of a formula.

        Parameters
        ----------
        formula : str
            Fixed part as in patsy, random terms as in lme4:
            ``"math ~ ses + (ses | school)"``.
        data : pandas DataFrame, dict of columns, polars DataFrame or pyarrow Table
            The columns.
        weights : str or array_like, optional
            Prior weights: Var(e_i) = sigma^2 / w_i.
        offset : str or array_like, optional
            Known part of the mean, added to any ``offset(...)`` of the formula.
        missing : {"drop", "raise"}
            What to do with rows in which something that the model uses is missing.

        Returns
        -------
        MixedLM

        Examples
        --------
        >>> import multilevel as ml
        >>> data = ml.datasets.load("sleepstudy")
        >>> ml.MixedLM.from_formula("Reaction ~ Days + (1 | Subject)", data)
        <MixedLM: Reaction ~ Days + (1 | Subject), 180 rows>
        """
        design = build_design(
            parse_formula(formula),
            data,
            weights=weights,
            offset=offset,
            missing=missing,
            environment=caller_namespace(),
        )
        return cls._of(design)

    @cached_property
    def problem(self) -> LinearProblem:
        """The cross-products of the design, computed when first needed.

        Raises
        ------
        DataError
            If the data can say nothing about a variance.
        """
        problem = build_problem(self.design)
        left_open = refuse_unidentified(problem, self.design)
        return read_only(replace(problem, undetermined=left_open))

    def fit(
        self,
        *,
        reml: bool = True,
        start: ArrayLike | None = None,
        ddf: str = "satterthwaite",
        progress: bool = False,
    ) -> MixedLMResults:
        """Estimate the model; the model itself is not changed.

        Parameters
        ----------
        reml : bool
            Restricted maximum likelihood, or maximum likelihood.
        start : (m,) array_like, optional
            Covariance parameters theta to start from, as in an earlier result's
            `theta`. From a start that leads nowhere the fit goes back to its own.
        ddf : {"satterthwaite", "residual", "normal"}
            Denominator degrees of freedom of tests; computed when first asked for.
        progress : bool
            Write a line to standard error after each evaluation.

        Returns
        -------
        MixedLMResults

        Raises
        ------
        DataError
            If the data can say nothing about a variance.
        FitError
            If the effects explain the response exactly.

        Examples
        --------
        >>> import multilevel as ml
        >>> data = ml.datasets.load("sleepstudy")
        >>> model = ml.mixedlm("Reaction ~ Days + (Days | Subject)", data)
        >>> round(model.fit(reml=False).llf, 4)
        -875.9697
        """
        method = known_ddf(ddf, "linear")
        fit = fit_design(
            self.design,
            self.problem,
            reml=as_switch(reml, "reml", _ML_HINT),
            start=read_start(start),
            on_step=progress_writer() if as_switch(progress, "progress") else None,
        )
        return self.result_of(fit, method)

    def result_of(self, fit: LMMFit, ddf: str) -> MixedLMResults:
        """The results object of an estimate of this model.

        Parameters
        ----------
        fit : LMMFit
        ddf : str

        Returns
        -------
        MixedLMResults
        """
        results = LabelledResults(MixedLMResults(self, fit, ddf))
        return results

    def loglike(self, params: FloatVector) -> float:
        """Log-likelihood at any parameters.

        Parameters
        ----------
        params : (p + m + 1,)
            [beta, theta, sigma], as in a result's `full_params`.

        Returns
        -------
        float
        """
        return joint_likelihood.loglike(self.problem, read_params(params))

    def score(self, params: FloatVector) -> FloatVector:
        """Gradient of the log-likelihood.

        Parameters
        ----------
        params : (p + m + 1,)

        Returns
        -------
        (p + m + 1,) array
        """
        return joint_likelihood.score(self.problem, read_params(params))

    def hessian(self, params: FloatVector) -> FloatMatrix:
        """Second derivatives of the log-likelihood.

        Parameters
        ----------
        params : (p + m + 1,)

        Returns
        -------
        (p + m + 1, p + m + 1) array
        """
        return joint_likelihood.hessian(self.problem, read_params(params))


_ML_HINT = "reml=False fits by maximum likelihood, reml=True by restricted"
