"""Fits of generalized models from formulas."""

from __future__ import annotations

import numpy as np

from multilevel.design.model_design import build_design
from multilevel.formula.parse import parse_formula
from multilevel.likelihood.families.registry import family_of
from multilevel.optimize.generalized.fit import fit_glmm
from multilevel.optimize.generalized.problem import build_glm_problem


def problem_of(formula, frame, family, *, link=None, weights=None):
    found = family_of(family, link)
    design = build_design(
        parse_formula(formula),
        frame,
        weights=weights,
        family_is_binomial=found.name == "binomial",
        residual_estimated=False,
    )
    return build_glm_problem(design, found)


def fitted(formula, frame, family, *, nagq=1, **given):
    problem = problem_of(formula, frame, family, **given)
    return problem, fit_glmm(problem, nagq=nagq)


def sds(fit):
    return np.concatenate([np.sqrt((factor**2).sum(axis=1)) for factor in fit.factors])
