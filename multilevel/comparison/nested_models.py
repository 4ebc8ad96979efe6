"""Likelihood-ratio tests between two fitted mixed models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from multilevel.array_types import FloatArray, FloatMatrix, FloatVector
from multilevel.covariance.registry import STRUCTURES
from multilevel.design.model_design import ModelDesign
from multilevel.errors import ComparisonError
from multilevel.inference.chi_bar_square import (
    ChiBarSquare,
    cone_mixture,
    efficient_information,
)
from multilevel.inference.likelihood_ratio import LRTest, likelihood_ratio_test
from multilevel.optimize.fit_record import LMMFit
from multilevel.optimize.glm_fit_record import GLMMFit
from multilevel.optimize.linear_problem import LinearProblem

_SPAN_TOLERANCE = 1e-7


def compare_nested(
    restricted: Any, full: Any, linear_problem: Callable[[], LinearProblem]
) -> LRTest:
    """Likelihood-ratio test of one result against a larger one.

    Where the models differ in variance parameters that the restricted one sets to
    zero, the null distribution is the chi-bar-square mixture for them: adding one
    effect to a term of q correlated effects gives ``0.5 chi2(q) + 0.5 chi2(q + 1)``
    (Stram & Lee 1994, case 3).

    Parameters
    ----------
    restricted, full : MixedLMResults or MixedGLMResults
    linear_problem : callable
        Gives the cross-products of the larger model; of a generalized one those of
        its working linear model at the restricted estimates.

    Returns
    -------
    LRTest

    Raises
    ------
    ComparisonError
        For different rows, responses or criteria, REML fits with different fixed
        effects, and models that are not nested.
    """
    _reject_other_results(restricted)
    smaller, larger = restricted.model.design, full.model.design
    _reject_other_data(smaller, larger)
    _reject_other_family(restricted, full)
    _reject_other_criterion(restricted, full)
    n_fixed = _added_fixed_effects(smaller, larger, full.criterion)
    change = covariance_change(smaller, larger)
    null = _null_distribution(linear_problem, restricted, change, n_fixed)
    return likelihood_ratio_test(
        restricted.llf,
        full.llf,
        df=full.df_model - restricted.df_model,
        null=null,
        restricted=restricted.formula,
        full=full.formula,
        criterion=full.criterion,
    )


def _reject_other_results(restricted: Any) -> None:
    """Refuse what is not the result of a mixed model."""
    if not hasattr(getattr(restricted, "model", None), "design"):
        raise ComparisonError(
            f"the restricted model must be a fitted mixed model, not a "
            f"{type(restricted).__name__}; compare_pooled() tests against the "
            "regression without random effects"
        )


def _reject_other_data(smaller: ModelDesign, larger: ModelDesign) -> None:
    """Refuse results that were not fitted to the same rows and response."""
    if len(smaller.y) != len(larger.y):
        raise ComparisonError(
            f"the models were fitted to {len(smaller.y)} and {len(larger.y)} rows; "
            "fit both to the rows without missing values in either"
        )
    pairs = (
        ("responses", smaller.y, larger.y),
        ("weights", smaller.weights, larger.weights),
        ("offsets", smaller.offset, larger.offset),
    )
    for what, first, second in pairs:
        if first is None and second is None:
            continue
        if first is None or second is None or not np.array_equal(first, second):
            raise ComparisonError(f"the models have different {what}")


def _reject_other_criterion(restricted: Any, full: Any) -> None:
    """Refuse to compare REML with ML, or different approximations."""
    if restricted.criterion != full.criterion:
        option = "reml" if restricted.criterion in ("REML", "ML") else "nagq"
        raise ComparisonError(
            f"one model was fitted by {restricted.criterion}, the other by "
            f"{full.criterion}; fit both with the same {option}="
        )


def _reject_other_family(restricted: Any, full: Any) -> None:
    """Refuse to compare different families or links; a linear model has none."""
    names = []
    for result in (restricted, full):
        family = getattr(result.model, "family", None)
        names.append("linear" if family is None else str(family))
    if names[0] != names[1]:
        raise ComparisonError(
            f"the models have different families: {names[0]} and {names[1]}. The test "
            "needs one family and link"
        )


def _added_fixed_effects(
    smaller: ModelDesign, larger: ModelDesign, criterion: str
) -> int:
    """How many columns X gains; refuse what is not nested or not comparable."""
    small_x, large_x = smaller.X, larger.X
    coefficients = np.linalg.lstsq(large_x, small_x, rcond=None)[0]
    left_over = np.abs(small_x - large_x @ coefficients).max(axis=0, initial=0.0)
    if np.any(left_over > _SPAN_TOLERANCE * np.abs(small_x).max(axis=0, initial=0.0)):
        raise ComparisonError(
            "the fixed effects of the restricted model are not among those of the "
            "other; is the order of the models right?"
        )
    if criterion == "REML" and not _same_columns(small_x, large_x):
        raise ComparisonError(
            "REML likelihoods of models with different fixed effects cannot be "
            "compared; fit both with reml=False"
        )
    return int(large_x.shape[1] - small_x.shape[1])


def _column_keys(columns: FloatMatrix) -> FloatVector:
    """A number for each column that differs between different columns, (p,)."""
    return np.cos(np.arange(len(columns))) @ columns


def _same_columns(small_x: FloatMatrix, large_x: FloatMatrix) -> bool:
    """Whether the two have the same columns, in any order."""
    if small_x.shape != large_x.shape:
        return False
    order0, order1 = (np.argsort(_column_keys(x)) for x in (small_x, large_x))
    return bool(np.allclose(small_x[:, order0], large_x[:, order1], rtol=1e-10))


@dataclass(frozen=True, slots=True)
class CovarianceChange:
    """What a larger model adds to the covariance matrices of the random effects.

    Each entry is (term of the larger model, row, column). Nuisance entries are
    parameters of both models; free ones are fixed at zero inside their range by the
    smaller; those of each cone block are those of a covariance matrix that is zero in
    the smaller.
    """

    nuisance: tuple[tuple[int, int, int], ...]
    free: tuple[tuple[int, int, int], ...]
    cones: tuple[tuple[tuple[int, int, int], ...], ...]
    sizes: tuple[int, ...]


def covariance_change(smaller: ModelDesign, larger: ModelDesign) -> CovarianceChange:
    """Compare the random terms of two designs.

    Parameters
    ----------
    smaller, larger : ModelDesign

    Returns
    -------
    CovarianceChange

    Raises
    ------
    ComparisonError
        If the smaller has an effect or a correlation that the larger has not.
    """
    known = _parameters_by_name(smaller)
    missing = set(known)
    nuisance, free, cones, sizes = [], [], [], []
    for t, term in enumerate(larger.terms):
        factor = larger.factors[term.factor_index].name
        added = []
        for column, row in _free_entries(term.structure, len(term.effects)):
            name = _entry_name(factor, term.effects[row], term.effects[column])
            news = [
                k
                for k in {row, column}
                if _entry_name(factor, *(term.effects[k],) * 2) not in known
            ]
            if name in known:
                nuisance.append((t, row, column))
                missing.discard(name)
            elif len(news) == len({row, column}):
                added.append((t, row, column))
            else:
                free.append((t, row, column))
        blocks = [tuple(added)] if term.structure == "us" else [(e,) for e in added]
        cones += [block for block in blocks if block]
        sizes += [
            round((np.sqrt(8 * len(block) + 1) - 1) / 2) for block in blocks if block
        ]
    if missing:
        raise ComparisonError(
            "the models are not nested: the restricted one has "
            f"{' and '.join(sorted(map(_shown, missing)))}, the other has not"
        )
    return CovarianceChange(tuple(nuisance), tuple(free), tuple(cones), tuple(sizes))


def _entry_name(factor: str, first: str, second: str) -> tuple[str, str, str]:
    return (factor, *sorted((first, second)))  # type: ignore[return-value]


def _shown(name: tuple[str, str, str]) -> str:
    factor, first, second = name
    if first == second:
        return f"var({first} | {factor})"
    return f"cov({first}, {second} | {factor})"


def _free_entries(structure: str, k: int) -> list[tuple[int, int]]:
    """Entries (column, row) of the lower triangle that are parameters."""
    n_theta = STRUCTURES[structure](k).n_theta
    pattern = STRUCTURES[structure](k).factor(np.full(n_theta, 0.5))
    covariance = pattern @ pattern.T
    return [(c, r) for c in range(k) for r in range(c, k) if covariance[r, c] != 0]


def _parameters_by_name(design: ModelDesign) -> set[tuple[str, str, str]]:
    """Names of all variances and covariances that are parameters of a design."""
    return {
        _entry_name(
            design.factors[term.factor_index].name, term.effects[r], term.effects[c]
        )
        for term in design.terms
        for c, r in _free_entries(term.structure, len(term.effects))
    }


def _null_distribution(
    linear_problem: Callable[[], LinearProblem],
    restricted: Any,
    change: CovarianceChange,
    n_fixed: int,
) -> ChiBarSquare:
    """Chi-square if nothing is on the edge, else the mixture for the cones."""
    free = n_fixed + len(change.free)
    if change.sizes in ((), (1,)):
        return cone_mixture(np.eye(len(change.sizes)), change.sizes, free=free)
    first = [*change.nuisance, *change.free]
    entries = [*first, *(entry for block in change.cones for entry in block)]
    reml, problem = restricted.criterion == "REML", linear_problem()
    factors = _embedded_factors(problem, restricted, change)
    information = _entry_information(problem, factors, entries, reml=reml)
    metric = efficient_information(information, len(first))
    return cone_mixture(metric, change.sizes, free=free)


def _embedded_factors(
    problem: LinearProblem, restricted: Any, change: CovarianceChange
) -> list[FloatMatrix]:
    """Relative factors of the larger model's terms at the smaller model's estimates."""
    estimates = _relative_entries(restricted.model.design, restricted.fit_record)
    factors = []
    for t, structure in enumerate(problem.terms.structures):
        factor = problem.factor_names[problem.terms.factor_of_term[t]]
        names = problem.effect_names[t]
        covariance = np.zeros((structure.n_effects, structure.n_effects))
        for term, r, c in change.nuisance:
            if term == t:
                value = estimates[_entry_name(factor, names[r], names[c])]
                covariance[r, c] = covariance[c, r] = value
        values, vectors = np.linalg.eigh(covariance)
        factors.append(vectors * np.sqrt(np.maximum(values, 0.0)))
    return factors


def _relative_entries(
    design: ModelDesign, fit: LMMFit | GLMMFit
) -> dict[tuple[str, str, str], float]:
    """Estimated variances and covariances relative to the residual variance."""
    entries = {}
    for term, factor in zip(design.terms, fit.factors, strict=True):
        covariance, name = factor @ factor.T, design.factors[term.factor_index].name
        for c, r in _free_entries(term.structure, len(term.effects)):
            entry = _entry_name(name, term.effects[r], term.effects[c])
            entries[entry] = covariance[r, c]
    return entries


def _entry_information(
    problem: LinearProblem,
    factors: Sequence[FloatMatrix],
    entries: Sequence[tuple[int, int, int]],
    *,
    reml: bool,
) -> FloatMatrix:
    """Information of covariance entries with beta and sigma profiled out."""
    directions = [
        np.zeros((len(entries), size, size)) for size in problem.terms.block_sizes
    ]
    for a, (t, r, c) in enumerate(entries):
        start = problem.terms.blocks[t].start
        block = directions[problem.terms.factor_of_term[t]][a]
        block[start + r, start + c] = block[start + c, start + r] = 1.0
    inverses = problem.user.inverses
    lams = [T @ F for T, F in zip(inverses, problem.terms.stack(factors), strict=True)]
    working: list[FloatArray] = [
        T @ dG @ T.T for T, dG in zip(inverses, directions, strict=True)
    ]
    information = problem.point(lams, reml=reml).hessian(working) / 2.0
    # Observed information need not be positive definite away from the optimum.
    units = np.sqrt(np.maximum(np.abs(np.diag(information)), 1e-300))
    values, vectors = np.linalg.eigh(information / np.outer(units, units))
    root = units[:, None] * vectors * np.sqrt(np.maximum(values, 1e-6))
    return np.asarray(root @ root.T)
