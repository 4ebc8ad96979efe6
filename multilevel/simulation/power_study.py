"""One simulated study: a design of some size, its responses, the fit and the test.

Held by tests/simulation/test_power.py.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from multilevel.array_types import FloatMatrix
from multilevel.comparison.compare_pooled import compare_pooled
from multilevel.comparison.nested_models import compare_nested
from multilevel.covariance.standard_deviations import sd_name
from multilevel.design.design_record import ModelDesign
from multilevel.design.fixed_effects import linear_constraints
from multilevel.design.random_effects import RandomTermDesign
from multilevel.design.validation import refuse_unusable_terms
from multilevel.errors import DataError, MultilevelError
from multilevel.inference.denominator_df import DDF_METHODS
from multilevel.inference.hypotheses import UncertainEffects, wald_test
from multilevel.optimize.common.fitted_model import FittedModel
from multilevel.optimize.generalized.fit import fit_glmm
from multilevel.optimize.generalized.fitted_model import GeneralizedFittedModel
from multilevel.optimize.generalized.problem import build_glm_problem
from multilevel.optimize.identification.generalized_models import (
    refuse_unidentified_glm,
)
from multilevel.optimize.identification.identified_entries import refuse_unidentified
from multilevel.optimize.linear.fit import fit_design
from multilevel.optimize.linear.fitted_model import LinearFittedModel
from multilevel.optimize.linear.problem import build_problem
from multilevel.simulation.extended_design import Extension, extended_design
from multilevel.simulation.named_parameters import ModelParameters
from multilevel.simulation.simulated_design import family_or_normal, law_of


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyHypothesis:
    """What is tested: fixed effects, or a variance.

    Parameters
    ----------
    contrasts : (rows, p_all) or None
        Rows L of the hypothesis L beta = values.
    values : (rows,) or None
    variance : (term, effect) or None
        Positions of the random effect that the restricted model lacks.
    """

    contrasts: FloatMatrix | None = None
    values: Any = None
    variance: tuple[int, int] | None = None

    @classmethod
    def of(cls, test: str, design: ModelDesign) -> StudyHypothesis:
        """As it is written.

        Parameters
        ----------
        test : str
            A fixed-effects column; a term of the formula, all columns of it; a
            hypothesis as ``"x = 1"``; or ``"sd(x | g)"``.
        design : ModelDesign

        Raises
        ------
        DataError
            If it is none of these.
        """
        random = _random_effects(design)
        if test in random:
            return cls(variance=random[test])
        columns = _columns_of(test, design)
        if columns:
            rows = np.eye(len(design.exog_names))[columns]
            return cls(contrasts=rows, values=np.zeros(len(rows)))
        try:
            rows, values = linear_constraints(test, design.exog_names)
        except (MultilevelError, ValueError):
            names = [*design.exog_names, *random]
            raise DataError(
                f"test={test!r} is no effect of the model; there are "
                f"{', '.join(map(repr, names))}"
            ) from None
        return cls(contrasts=rows, values=values)


def _random_effects(design: ModelDesign) -> dict[str, tuple[int, int]]:
    names = design.factor_names
    return {
        sd_name(effect, names[term.factor_index]): (position, number)
        for position, term in enumerate(design.terms)
        for number, effect in enumerate(term.effects)
    }


def _columns_of(test: str, design: ModelDesign) -> list[int]:
    """Columns of that name, or of the term of that name."""
    if test in design.exog_names:
        return [design.exog_names.index(test)]
    plan = design.encoding.fixed.terms if design.encoding else ()
    for term, start, stop in plan:
        if test and ":".join(term) == test.replace(" ", ""):
            return list(range(start, stop))
    return []


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """A study that can be simulated again and again; it can be sent to a process.

    Parameters
    ----------
    design : ModelDesign
        Of the data at hand.
    given_family : str, statsmodels family or None
        None for a linear model.
    parameters : ModelParameters
    tested : StudyHypothesis
    """

    design: ModelDesign
    given_family: Any
    parameters: ModelParameters
    tested: StudyHypothesis

    def bare(self) -> Study:
        """The same without the way back to data, which need not be sendable."""
        index = pd.RangeIndex(self.design.nobs)
        design = replace(self.design, formula=None, encoding=None, index=index)
        return replace(self, design=design)

    def pvalue(self, extension: Extension, seed: np.random.SeedSequence) -> float:
        """The p-value of one simulated study.

        Raises
        ------
        MultilevelError, LinAlgError
            If its model cannot be fitted or tested.
        """
        rng = np.random.default_rng(seed)
        family = family_or_normal(self.given_family)
        design, rows = extended_design(self.design, extension, rng)
        # Of all columns of the data, whether or not the copies tell them apart.
        full = replace(design, kept=self.design.kept)
        y = law_of(full, family, self.parameters).draw(rng)
        if np.isnan(y).any():
            raise DataError("the link has no mean at a linear predictor that was drawn")
        drawn = replace(design, y=y)
        fitted = self._fit(drawn)
        if not fitted.fit.report.converged:
            raise DataError(f"the fit did not converge: {fitted.fit.report.message}")
        if self.tested.variance is None:
            return self._fixed_pvalue(fitted)
        return self._variance_pvalue(fitted, self.tested.variance)

    def _fit(self, design: ModelDesign) -> FittedModel:
        """By REML, or Laplace's approximation."""
        if self.given_family is None:
            problem = build_problem(design)
            fit = fit_design(design, problem, reml=True)
            return LinearFittedModel(
                design=design,
                fit=fit,
                ddf="satterthwaite",
                prepare=partial(_itself, problem),
            )
        family = family_or_normal(self.given_family)
        generalized = build_glm_problem(design, family)
        return GeneralizedFittedModel(
            design=design,
            fit=fit_glmm(generalized, nagq=1),
            ddf="normal",
            family=family,
            prepare=partial(_itself, generalized),
        )

    def _fixed_pvalue(self, fitted: FittedModel) -> float:
        kept, contrasts = fitted.design.kept, self.tested.contrasts
        lost = np.setdiff1d(self.design.kept, kept)
        if contrasts is None or (contrasts[:, lost] != 0.0).any():
            raise DataError("the tested column depends on others in the rows drawn")
        test = wald_test(
            contrasts[:, kept],
            self.tested.values,
            UncertainEffects.of(fitted, DDF_METHODS[fitted.ddf].function(fitted)),
            use_f=fitted.uses_t,
        )
        return float(test.pvalue)

    def _variance_pvalue(self, fitted: FittedModel, tested: tuple[int, int]) -> float:
        smaller = without_effect(fitted.design, *tested)
        if not smaller.terms:
            return compare_pooled(fitted).pvalue
        return compare_nested(self._fit(smaller), fitted).pvalue


def refuse_unfit(study: Study, extension: Extension) -> None:
    """Refuse a size of study from which the model could not be estimated at all.

    Raises
    ------
    DataError
        As for a model of such data.
    """
    family = family_or_normal(study.given_family)
    design, _ = extended_design(study.design, extension, np.random.default_rng(0))
    refuse_unusable_terms(
        design.factors,
        design.terms,
        residual_estimated=family.traits.constant_variance,
        weights=design.weights,
    )
    if study.given_family is None:
        refuse_unidentified(build_problem(design), design)
    else:
        refuse_unidentified_glm(design, family)


def without_effect(design: ModelDesign, position: int, effect: int) -> ModelDesign:
    """The design without one random effect, and without what it alone needs."""
    terms = list(design.terms)
    term = terms[position]
    left = [number for number in range(len(term.effects)) if number != effect]
    terms[position : position + 1] = [_of_effects(term, left)] if left else []
    used = sorted({term.factor_index for term in terms})
    return replace(
        design,
        factors=tuple(design.factors[k] for k in used),
        terms=tuple(replace(t, factor_index=used.index(t.factor_index)) for t in terms),
    )


def _of_effects(term: RandomTermDesign, left: Sequence[int]) -> RandomTermDesign:
    return replace(
        term,
        effects=tuple(term.effects[number] for number in left),
        columns=np.asfortranarray(term.columns[:, left]),
        shared=tuple(term.shared[number] for number in left),
    )


def _itself(value: Any) -> Any:
    return value


@dataclass(frozen=True, slots=True)
class Outcome:
    """The p-value of a study, or why it has none."""

    pvalue: float
    failure: str = ""


def outcomes(
    study: Study, extension: Extension, seeds: Sequence[np.random.SeedSequence]
) -> list[Outcome]:
    """Simulated studies, one for each seed; what fails is told, not raised."""
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for seed in seeds:
            try:
                found.append(Outcome(study.pvalue(extension, seed)))
            except (MultilevelError, np.linalg.LinAlgError) as error:
                found.append(Outcome(np.nan, str(error)))
    return found
