"""Parameters of a model by the names of its columns and effects.

Held by tests/simulation/test_simulate_design.py.
"""

from __future__ import annotations

import difflib
import numbers
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from multilevel.array_types import FloatMatrix, FloatVector
from multilevel.covariance.square_root import covariance_root
from multilevel.covariance.triangular import lower_factor
from multilevel.design.design_record import ModelDesign
from multilevel.design.random_effects import RandomTermDesign
from multilevel.errors import DataError
from multilevel.likelihood.families.traits import Family


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenParameters:
    """Parameters as they are given; see `simulate_design`.

    Parameters
    ----------
    beta : mapping of column to number
    sd : mapping of factor to number, or to mapping of effect to number
    cor : mapping of factor to number, or to mapping of pairs of effects to numbers
    sigma : float
    theta : (m,), in place of `sd` and `cor`
    shape : float
    """

    beta: Any
    sd: Any = None
    cor: Any = None
    sigma: Any = None
    theta: Any = None
    shape: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelParameters:
    """Parameters of a design, as numbers.

    Parameters
    ----------
    beta : (p,)
        Of the columns that are not aliased.
    roots : one (k, k) for each term
        Cov(b) = root root'.
    shape_values : (s,)
    """

    beta: FloatVector
    roots: tuple[FloatMatrix, ...]
    shape_values: FloatVector


def read_parameters(
    given: GivenParameters, design: ModelDesign, family: Family, *, linear: bool
) -> ModelParameters:
    """Numbers in the order of a design's columns and terms.

    Parameters
    ----------
    given : GivenParameters
    design : ModelDesign
    family : Family
    linear : bool
        Whether theta is relative to sigma.

    Raises
    ------
    DataError
        Where a parameter is missing, is none of the model, or is not possible; with
        the names that there are.
    """
    shape_values = _shape_values(given, family)
    beta = _numbers_by_name(given.beta, design.kept_names, design.exog_names, "beta")
    if given.theta is None:
        roots = _roots(given, design)
    elif given.sd is None and given.cor is None:
        unit = float(np.sqrt(shape_values[0])) if linear else 1.0
        roots = _roots_of_theta(given.theta, design, unit)
    else:
        raise DataError("theta= stands in place of sd= and cor=; give one of them")
    return ModelParameters(beta=beta, roots=roots, shape_values=shape_values)


def _numbers_by_name(
    given: Any, wanted: Sequence[str], known: Sequence[str], option: str
) -> FloatVector:
    """The numbers of the wanted names, in their order."""
    if hasattr(given, "to_dict"):
        given = given.to_dict()
    example = "{" + ", ".join(f"{name!r}: ..." for name in wanted) + "}"
    if not isinstance(given, Mapping):
        raise DataError(
            f"{option}={given!r} does not say which is which; write {option}={example}"
        )
    _refuse_unknown(given, known, option)
    absent = [name for name in wanted if name not in given]
    if absent:
        listed = ", ".join(map(repr, absent))
        raise DataError(f"{option} lacks {listed}; it needs {option}={example}")
    return np.array([_number(given[name], f"{option}[{name!r}]") for name in wanted])


def _refuse_unknown(given: Iterable[Any], known: Sequence[Any], option: str) -> None:
    unknown = [name for name in given if name not in known]
    if not unknown:
        return
    close = difflib.get_close_matches(str(unknown[0]), list(map(str, known)), n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    raise DataError(
        f"{option} has {unknown[0]!r}, which the model does not have; there are "
        f"{', '.join(map(repr, known))}{hint}"
    )


def _number(value: Any, name: str, *, low: float = -np.inf) -> float:
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if is_number and np.isfinite(float(value)) and float(value) >= low:
        return float(value)
    what = "a number" if low == -np.inf else f"a number from {low:g} on"
    raise DataError(f"{name} is {value!r}, which is not {what}")


def _shape_values(given: GivenParameters, family: Family) -> FloatVector:
    """Dispersion or size; none for families that have neither."""
    scaled = any(shape.is_scale for shape in family.traits.shapes)
    if given.sigma is not None and not scaled:
        raise DataError(f"a {family.name} model has no sigma; leave it out")
    if given.shape is not None and (scaled or not family.shapes):
        raise DataError(f"a {family.name} model has no shape to be given; leave it out")
    if scaled:
        if given.sigma is None:
            raise DataError(
                "sigma= is missing: the residual standard deviation"
                if family.name == "gaussian"
                else f"sigma= is missing: the root of the {family.name} dispersion"
            )
        return np.array([_positive(given.sigma, "sigma") ** 2])
    if not family.shapes:
        return family.shape_values(np.zeros(0))
    if given.shape is None:
        raise DataError(
            f"shape= is missing: the {family.shapes[0].name} of the {family.name} "
            f"distribution, whose variance is {family.traits.variance_text}"
        )
    return np.array([_positive(given.shape, "shape")])


def _positive(value: Any, name: str) -> float:
    number = _number(value, name, low=0.0)
    if number == 0.0:
        raise DataError(f"{name} is {value!r}, which is not positive")
    return number


def _roots_of_theta(
    theta: Any, design: ModelDesign, unit: float
) -> tuple[FloatMatrix, ...]:
    stacked = design.stacked_terms
    values = np.asarray(theta, dtype=float)
    if values.shape != (stacked.n_theta,) or not np.isfinite(values).all():
        raise DataError(
            f"theta has shape {values.shape}; the model needs {stacked.n_theta} finite "
            "numbers, as a result's theta has them"
        )
    return tuple(unit * factor for factor in stacked.term_factors(values))


def _roots(given: GivenParameters, design: ModelDesign) -> tuple[FloatMatrix, ...]:
    names = design.factor_names
    for option, value in (("sd", given.sd), ("cor", given.cor)):
        if value is not None and not isinstance(value, Mapping):
            example = "{" + ", ".join(f"{name!r}: ..." for name in names) + "}"
            raise DataError(f"{option}={value!r} names no factor; write {example}")
        _refuse_unknown(value or {}, names, option)
    sd, cor = given.sd or {}, given.cor or {}
    deviations = {name: _deviations(sd, name, design) for name in names}
    return tuple(
        _root(
            term,
            names[term.factor_index],
            deviations[names[term.factor_index]],
            cor.get(names[term.factor_index], {}),
            _effects(design, names[term.factor_index]),
        )
        for term in design.terms
    )


def _effects(design: ModelDesign, factor: str) -> tuple[str, ...]:
    """All effects of a factor, of all its terms."""
    position = design.factor_names.index(factor)
    terms = [design.terms[t] for t in design.terms_on(position)]
    return tuple(effect for term in terms for effect in term.effects)


def _deviations(
    sd: Mapping[str, Any], factor: str, design: ModelDesign
) -> dict[str, float]:
    """Effect -> standard deviation, of one factor."""
    effects, option = _effects(design, factor), f"sd[{factor!r}]"
    example = "{" + ", ".join(f"{effect!r}: ..." for effect in effects) + "}"
    if factor not in sd:
        raise DataError(f"sd lacks {factor!r}; it needs sd={{{factor!r}: {example}}}")
    own = sd[factor]
    if isinstance(own, numbers.Real) and len(effects) == 1:
        own = {effects[0]: own}
    values = _numbers_by_name(own, effects, effects, option)
    pairs = zip(effects, values.tolist(), strict=True)
    return {name: _number(sd, f"{option}[{name!r}]", low=0.0) for name, sd in pairs}


def _root(
    term: RandomTermDesign,
    factor: str,
    deviations: Mapping[str, float],
    cor: Any,
    effects: Sequence[str],
) -> FloatMatrix:
    """A square root of the covariance of one term's effects."""
    sd = np.array([deviations[effect] for effect in term.effects])
    correlation = np.eye(len(sd))
    structure = term.covariance
    pairs = [(term.effects[i], term.effects[j]) for i, j in structure.correlated_pairs]
    if isinstance(cor, numbers.Real) and len(pairs) == 1 and len(effects) == 2:
        cor = {pairs[0]: cor}
    if not isinstance(cor, Mapping):
        hint = f"; name one of {pairs}" if pairs else ": its effects are independent"
        raise DataError(f"cor[{factor!r}]={cor!r} says no correlation{hint}")
    for pair, value in cor.items():
        position = _pair_position(pair, pairs, term.effects, effects, factor)
        if position is not None:
            i, j = structure.correlated_pairs[position]
            number = _number(value, f"cor[{factor!r}][{pair!r}]")
            correlation[i, j] = correlation[j, i] = number
    return _possible_root(term, factor, sd, correlation)


def _pair_position(
    pair: Any,
    pairs: Sequence[tuple[str, str]],
    own: Sequence[str],
    effects: Sequence[str],
    factor: str,
) -> int | None:
    """Which correlation of a term a pair means; None for one of another term."""
    two = tuple(pair) if isinstance(pair, tuple | list) else (pair,)
    for candidate in (two, two[::-1]):
        if candidate in pairs:
            return pairs.index(candidate)
    elsewhere = len(two) == 2 and set(two) <= set(effects) and not set(two) & set(own)
    if elsewhere:
        return None
    raise DataError(
        f"cor[{factor!r}] has {pair!r}; the correlated pairs of a term on it are "
        f"{pairs or 'none'}"
    )


def _possible_root(
    term: RandomTermDesign, factor: str, sd: FloatVector, correlation: FloatMatrix
) -> FloatMatrix:
    lowest = float(np.linalg.eigvalsh(correlation).min())
    if np.abs(correlation).max() > 1.0 or lowest < -1e-10:
        raise DataError(
            f"cor[{factor!r}] is no correlation matrix: its smallest eigenvalue is "
            f"{lowest:.3g}, below zero"
        )
    covariance = correlation * np.outer(sd, sd)
    # Triangular, as structures have it; beside rows of zeros another root is turned.
    root = sd[:, None] * lower_factor(covariance_root(correlation))
    structure = term.covariance
    near = structure.factor(structure.theta_of(root))
    if not np.allclose(near @ near.T, covariance, rtol=1e-6, atol=1e-9 * sd.max() ** 2):
        raise DataError(
            f"sd and cor of {factor!r} are not {structure.spoken_name} "
            f"({structure.name}), which ({', '.join(term.effects)} | {factor}) is"
        )
    # The triangular root: draws are those of a fit that has these estimates.
    return near
