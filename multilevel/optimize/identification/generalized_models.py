"""Variances of generalized models that no data of a design could tell.

The covariance of the linear predictor, Z G Z', is linear in the entries of the
covariance matrices, and the distribution of the response depends on them through it
alone.  So what moves nothing in Z G Z' is not identified, whatever the family; fixed
effects are not projected out of it, since the likelihood is the full one.

Held by tests/optimize/identification/test_identified_entries.py.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from multilevel.design.model_design import ModelDesign
from multilevel.errors import RankDeficiencyWarning, warn_caller
from multilevel.likelihood.families.traits import Family
from multilevel.optimize.identification.identified_entries import (
    has_independent_columns,
    refuse_unidentified,
)
from multilevel.optimize.linear.problem import build_problem


def refuse_unidentified_glm(design: ModelDesign, family: Family) -> frozenset[str]:
    """Refuse, or warn of, random terms about which the data can say nothing.

    Parameters
    ----------
    design : ModelDesign
    family : Family

    Returns
    -------
    frozenset of str
        As `refuse_unidentified`.

    Raises
    ------
    DataError
        If the fixed effects span a random effect in all levels. A likelihood averaged
        over what they can take up is never above its largest value, so the estimate
        of its variance would be zero for any response.

    Warns
    -----
    RankDeficiencyWarning
        If the variances of random terms can be shared out in several ways; if each
        row of a 0/1 response is a level of its own.
    """
    widths = np.zeros(len(design.factors), dtype=int)
    for term in design.terms:
        widths[term.factor_index] += len(term.effects)
    sizes = [factor.n_levels for factor in design.factors]
    # A factor of more levels than there are fixed columns is not spanned by them.
    spanned = [k for k, size in enumerate(sizes) if size <= len(design.kept)]
    if spanned:
        problem = build_problem(_plain(design, fixed=True))
        for factor in spanned:
            has_independent_columns(problem, design, factor, warn=False)
    found: frozenset[str] = frozenset()
    # One effect a level, and no two factors of one size: nothing to tell apart.
    if (widths > 1).any() or len(set(sizes)) < len(sizes):
        plain = _plain(design, fixed=False)
        found = refuse_unidentified(build_problem(plain), plain, residual=False)
    _warn_of_single_trials(design, family)
    return found


def _plain(design: ModelDesign, *, fixed: bool) -> ModelDesign:
    """A design of the same columns without weights, offset and its own response."""
    plain = replace(
        design, y=np.linspace(-1.0, 1.0, len(design.y)), weights=None, offset=None
    )
    if fixed:
        return plain
    terms = tuple(replace(t, shared=(-1,) * len(t.shared)) for t in plain.terms)
    return replace(plain, kept=np.zeros(0, dtype=np.intp), terms=terms)


def _warn_of_single_trials(design: ModelDesign, family: Family) -> None:
    """Warn of an effect for each row of a 0/1 response."""
    if not family.traits.has_trials or design.trials is not None:
        return
    if design.weights is not None or not np.isin(design.y, (0.0, 1.0)).all():
        return
    for term in design.terms:
        factor = design.factors[term.factor_index]
        if factor.n_levels == len(design.y):
            warn_caller(
                f"each row is a level of {factor.name!r} of its own, and a single 0 or "
                "1 shows nothing of how much such rows vary: the variance of "
                f"{factor.name!r} cannot be told apart from the scale of the fixed "
                f"effects. Leave the random term of {factor.name!r} out",
                RankDeficiencyWarning,
            )
