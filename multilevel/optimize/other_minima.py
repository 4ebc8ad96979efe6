"""Further descents where the deviance may have several minima.

A covariance on the edge of the parameter space has given up some directions, and which
ones may depend on the start: of 240 hard designs with correlated effects, five had a
lower minimum elsewhere, all of them singular.  So a singular fit is checked by descents
from three other starts, which stop as soon as they come near to what is known.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from multilevel.array_types import FloatVector
from multilevel.covariance.stacked_terms import StackedTerms
from multilevel.optimize.trust_region import Minimum, Objective, minimize


def even_theta(terms: StackedTerms, size: float) -> FloatVector:
    """theta (m,) of equal, uncorrelated effects of the given relative sd."""
    pieces = [
        structure.start(np.full(structure.n_effects, size**2))
        for structure in terms.structures
    ]
    return np.concatenate(pieces)


def exchanged_theta(terms: StackedTerms, theta: FloatVector) -> FloatVector:
    """theta (m,) of covariances that are large where those given are small."""
    pieces = []
    for structure, factor in zip(
        terms.structures, terms.term_factors(theta), strict=True
    ):
        covariance = factor @ factor.T
        mean = np.trace(covariance) / len(covariance) + 0.01
        values, vectors = np.linalg.eigh(mean * np.eye(len(factor)) - covariance / 2.0)
        root = vectors * np.sqrt(np.maximum(values, 0.0))
        pieces.append(
            structure.theta_of(root)
            if structure.freedom == "any"
            else structure.start((root**2).sum(axis=1))
        )
    return np.concatenate(pieces)


def lowest_minimum(
    objective: Objective,
    terms: StackedTerms,
    minimum: Minimum,
    *,
    gain_tolerance: float,
    exact_hessian: bool,
) -> Minimum:
    """The lowest of the minimum given and those reached from other starts.

    Parameters
    ----------
    objective : callable
        theta (m,) -> CovarianceModel.
    terms : StackedTerms
    minimum : Minimum
    gain_tolerance, exact_hessian
        As in `minimize`.
    """
    starts = (
        even_theta(terms, 1.0),
        even_theta(terms, 10.0),
        exchanged_theta(terms, minimum.x),
    )
    for start in starts:
        try:
            other = minimize(
                objective,
                start,
                gain_tolerance=gain_tolerance,
                max_evaluations=50,
                exact_hessian=exact_hessian,
                known=minimum,
            )
        except np.linalg.LinAlgError:
            continue
        evaluations = minimum.evaluations + other.evaluations
        lower = other if other.model.value < minimum.model.value else minimum
        minimum = replace(lower, evaluations=evaluations)
    return minimum
