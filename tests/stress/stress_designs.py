"""Seeded random designs that have broken optimizers: a design for every integer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from dense_likelihood import GroupedData, Term

from multilevel.array_types import FloatMatrix, FloatVector, IntVector

N_DESIGNS = 240
Generator = np.random.Generator


@dataclass(frozen=True)
class StressDesign:
    """A data set with what makes it hard, in words."""

    data: GroupedData
    reml: bool
    traits: tuple[str, ...]


def stress_design(seed: int) -> StressDesign:
    """One to three factors, one to five effects, any size, balance and scale."""
    rng = np.random.default_rng([20240, seed])
    n_factors = int(rng.choice([1, 2, 3], p=[0.4, 0.4, 0.2]))
    n_effects = [int(rng.choice([1, 2, 3, 4, 5], p=[0.35, 0.3, 0.2, 0.1, 0.05]))]
    n_effects += [
        int(k) for k in rng.choice([1, 2, 3], n_factors - 1, p=[0.6, 0.3, 0.1])
    ]
    n_levels = _level_counts(rng, n_factors, n_effects)
    n_rows = _row_count(rng, n_levels, n_effects)
    traits = [f"{n_factors} factors", f"effects {n_effects}", f"levels {n_levels}"]
    codes = _codes(rng, n_rows, n_levels, traits)
    n_covariates = max(max(n_effects) - 1, int(rng.integers(0, 3)))
    structures = ["diag" if rng.random() < 0.15 else "us" for _ in n_effects]
    # An effect at zero and a slope that are kept apart lose their meaning far away.
    farthest = 10.0 if "diag" in structures else 1e6
    covariates = _covariates(rng, n_rows, n_covariates, codes[0], traits, farthest)
    weights = _weights(rng, n_rows, traits)
    signal = np.zeros(n_rows)
    terms = []
    for own, count, structure in zip(codes, n_effects, structures, strict=True):
        standard = np.column_stack([np.ones(n_rows), covariates[0][:, : count - 1]])
        raw = np.column_stack([np.ones(n_rows), covariates[1][:, : count - 1]])
        effects = _effects(rng, int(own.max()) + 1, count, traits)
        unit = _unit_columns(standard, weights)
        signal += (unit * effects[own]).sum(axis=1)
        terms.append(Term(own, raw, structure))
    noise = rng.normal(size=n_rows) / (1.0 if weights is None else np.sqrt(weights))
    y = signal + noise + covariates[0] @ rng.normal(size=n_covariates)
    X = np.column_stack([np.ones(n_rows), covariates[1]])
    if rng.random() < 0.05:
        X, traits = X[:, :0], [*traits, "no fixed effects"]
    y = _response_units(rng, y, traits, shift=X.shape[1] > 0)
    data = GroupedData(y, X, tuple(terms), weights)
    return StressDesign(data, bool(rng.random() < 0.5), tuple(traits))


def _level_counts(rng: Generator, n_factors: int, n_effects: list[int]) -> list[int]:
    top = 3000 if n_factors == 1 else 400
    first = int(np.exp(rng.uniform(np.log(3), np.log(top // n_effects[0] ** 0.5))))
    rest = np.exp(rng.uniform(np.log(3), np.log(60), n_factors - 1)).astype(int)
    drawn = [first, *(int(j) for j in rest)]
    return [max(j, 2 * k + 1) for j, k in zip(drawn, n_effects, strict=True)]


def _row_count(rng: Generator, n_levels: list[int], n_effects: list[int]) -> int:
    effects = sum(j * k for j, k in zip(n_levels, n_effects, strict=True))
    per_effect = float(np.exp(rng.uniform(np.log(1.2), np.log(12))))
    return int(np.clip(effects * per_effect, 30 + 3 * sum(n_effects), 12_000))


def _codes(
    rng: Generator, n_rows: int, n_levels: list[int], traits: list[str]
) -> list[IntVector]:
    """Levels of each factor, balanced or as unequal as a power law."""
    skewed = rng.random() < 0.5
    traits.append("skewed" if skewed else "even")
    codes: list[IntVector] = []
    for position, count in enumerate(n_levels):
        nested = position > 0 and rng.random() < 0.4
        if nested:
            child_levels = int(codes[-1].max()) + 1
            parent = rng.integers(0, count, child_levels)
            traits.append(f"factor {position} above {position - 1}")
            drawn = parent[codes[-1]]
        else:
            share = 1.0 / np.arange(1, count + 1) ** (1.5 if skewed else 0.0)
            drawn = rng.choice(count, n_rows, p=share / share.sum())
        codes.append(np.unique(drawn, return_inverse=True)[1].astype(np.intp))
    return codes


def _covariates(
    rng: Generator,
    n_rows: int,
    count: int,
    codes: IntVector,
    traits: list[str],
    farthest: float,
) -> tuple[FloatMatrix, FloatMatrix]:
    """Covariates in standard units and in the units given to the model."""
    standard = rng.normal(size=(n_rows, count))
    if count and rng.random() < 0.3:
        between = rng.normal(size=(int(codes.max()) + 1, count))
        share = float(rng.choice([0.3, 3.0, 100.0]))
        standard = standard + share * between[codes]
        traits.append(f"between levels x {share:g}")
    if count > 1 and rng.random() < 0.25:
        distance = float(rng.choice([1e-1, 1e-2, 1e-4]))
        standard[:, 1] = standard[:, 0] + distance * standard[:, 1]
        traits.append(f"collinear {distance:g}")
    if count and rng.random() < 0.2:
        standard[:, 0] = np.round(standard[:, 0] > 0)
        traits.append("binary")
    scale, mean = np.ones(count), np.zeros(count)
    if count and rng.random() < 0.3:
        scale = 10.0 ** rng.integers(-8, 9, count)
        traits.append("scales 1e-8 to 1e8")
    if count and rng.random() < 0.25:
        distance = min(float(rng.choice([1e3, 1e6])), farthest)
        mean = distance * scale
        traits.append(f"means {distance:g}")
    return standard, standard * scale + mean


def _weights(rng: Generator, n_rows: int, traits: list[str]) -> FloatVector | None:
    if rng.random() > 0.2:
        return None
    orders = float(rng.choice([1, 5]))
    traits.append(f"weights over {2 * orders:g} orders")
    return np.asarray(10.0 ** rng.uniform(-orders, orders, n_rows))


def _effects(
    rng: Generator, n_levels: int, count: int, traits: list[str]
) -> FloatMatrix:
    """Effects of every level, of a covariance that may be tiny, huge or singular."""
    size = 10.0 ** float(rng.choice([-3.0, -1.0, -0.5, 0.0, 0.5, 1.0, 3.0]))
    factor = np.tril(rng.normal(size=(count, count)))
    rank = count
    if count > 1 and rng.random() < 0.4:
        rank = int(rng.integers(1, count))
        factor = rng.normal(size=(count, rank))
    factor = factor / np.linalg.norm(factor, axis=1, keepdims=True)
    if rng.random() < 0.1:
        size = 0.0
    traits.append(f"sd {size:g} rank {rank}")
    return np.asarray(size * rng.normal(size=(n_levels, rank)) @ factor[:, :rank].T)


def _unit_columns(columns: FloatMatrix, weights: FloatVector | None) -> FloatMatrix:
    """Columns of weighted root mean square one: effects are then in residual sds."""
    squares = columns**2 if weights is None else columns**2 * weights[:, None]
    return np.asarray(columns / np.sqrt(squares.mean(axis=0)))


def _response_units(
    rng: Generator, y: FloatVector, traits: list[str], *, shift: bool
) -> FloatVector:
    if shift and rng.random() < 0.2:
        traits.append("y near 1e9")
        return y + 1e9
    if rng.random() < 0.2:
        scale = float(10.0 ** rng.integers(-8, 9))
        traits.append(f"y x {scale:g}")
        return y * scale
    return y
