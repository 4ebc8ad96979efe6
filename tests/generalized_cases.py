"""Families, links and structures of random effects, with data drawn for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from multilevel.likelihood.elimination.weighted_rows import effect_layout
from multilevel.likelihood.families.registry import family_of
from multilevel.likelihood.families.row_likelihood import RowLikelihood
from multilevel.likelihood.families.traits import bind_rows
from multilevel.likelihood.generalized.pirls import GeneralizedRows
from multilevel.likelihood.rows.effect_rows import EffectRows, FactorRows, LevelIndex

FAMILY_LINKS = [
    *(
        ("binomial", link)
        for link in "logit probit cloglog loglog cauchy log logc identity".split()
    ),
    *(("poisson", link) for link in ("log", "identity", "sqrt")),
    *(("gamma", link) for link in ("log", "identity", "inverse")),
    *(
        ("inversegaussian", link)
        for link in ("log", "identity", "inverse", "inverse_squared")
    ),
    *(("negativebinomial", link) for link in ("log", "identity", "sqrt")),
    *(("gaussian", link) for link in ("identity", "log", "inverse")),
]

# Where random effects of any size stay inside the domain of the link.
UNBOUNDED = [
    (family, link)
    for family, link in FAMILY_LINKS
    if link in ("logit", "probit", "cloglog", "loglog", "cauchy")
    or (link == "log" and family != "binomial")
    or (family, link) == ("gaussian", "identity")
]

STRUCTURES = [
    "intercept",
    "slope",
    "three effects",
    "nested",
    "nested thrice",
    "crossed",
    "crossed slopes",
    "three crossed",
    "nested and crossed",
]


def safe_eta(rng: np.random.Generator, link: str, n_rows: int) -> np.ndarray:
    """Linear predictors inside the domain of a link, means not extreme."""
    if link in ("log", "logc"):
        return -rng.uniform(0.3, 1.5, n_rows)
    if link in ("identity", "inverse", "inverse_squared", "sqrt"):
        return rng.uniform(0.2, 0.8, n_rows)
    return np.clip(rng.normal(size=n_rows), -2.0, 1.5)


def draw_rows(
    rng: np.random.Generator, family: str, link: str, eta: np.ndarray
) -> RowLikelihood:
    """Rows with responses that the family can have and weights that are not one."""
    found = family_of(family, link)
    mean = np.asarray(found.link.mean(eta))
    if family == "binomial":
        trials = rng.integers(1, 6, len(eta)).astype(float)
        successes = rng.binomial(trials.astype(int), np.clip(mean, 0.02, 0.98))
        return bind_rows(found, successes / trials, trials)
    mean = np.clip(mean, 0.05, 20.0)
    weights = rng.uniform(0.5, 2.0, len(eta))
    if family in ("poisson", "negativebinomial"):
        y = rng.poisson(mean * rng.gamma(3.0, 1 / 3.0, len(eta))).astype(float)
    elif family == "gaussian":
        y = mean + rng.normal(size=len(eta))
    else:
        y = mean * rng.gamma(3.0, 1 / 3.0, len(eta)) + 1e-3
    return bind_rows(found, y, weights)


@dataclass(frozen=True)
class RandomCase:
    """Rows, fixed columns and parameters of one model.

    ``dense`` is Z (n, q), and ``base(beta)`` the fixed part of eta.
    """

    rows: GeneralizedRows
    X: np.ndarray
    offset: np.ndarray
    beta: np.ndarray
    lams: list[np.ndarray]
    shapes: np.ndarray

    def base(self, beta: np.ndarray | None = None) -> np.ndarray:
        return self.X @ (self.beta if beta is None else beta) + self.offset

    @property
    def effects(self) -> EffectRows:
        return self.rows.layout.rows

    def dense(self) -> np.ndarray:
        blocks = []
        n_rows = len(self.offset)
        for factor in self.effects.factors:
            size = len(factor.columns)
            block = np.zeros((n_rows, size * factor.index.n_levels))
            for s, column in enumerate(factor.columns):
                values = 1.0 if column is None else column
                block[np.arange(n_rows), factor.index.codes * size + s] = values
            blocks.append(block)
        return np.hstack(blocks)

    def dense_lam(self) -> np.ndarray:
        blocks = [
            np.kron(np.eye(factor.index.n_levels), lam)
            for factor, lam in zip(self.effects.factors, self.lams, strict=True)
        ]
        total = sum(len(block) for block in blocks)
        out, start = np.zeros((total, total)), 0
        for block in blocks:
            out[start : start + len(block), start : start + len(block)] = block
            start += len(block)
        return out


def flat(vectors: Sequence[np.ndarray]) -> np.ndarray:
    """(S, J) by factor in the order of `RandomCase.dense`."""
    return np.concatenate([vector.T.ravel() for vector in vectors])


def _codes(rng: np.random.Generator, n_rows: int, n_levels: int) -> np.ndarray:
    codes = rng.integers(0, n_levels, n_rows)
    codes[:n_levels] = np.arange(n_levels)
    return codes


def _factors(
    rng: np.random.Generator, structure: str, n_rows: int
) -> list[tuple[np.ndarray, tuple[np.ndarray | None, ...]]]:
    g, h, k = (_codes(rng, n_rows, levels) for levels in (8, 5, 4))
    pieces = 3 * g + rng.integers(0, 3, n_rows)
    sub = np.unique(pieces, return_inverse=True)[1]
    x, z = rng.normal(size=(2, n_rows))
    return {
        "intercept": [(g, (None,))],
        "slope": [(g, (None, x))],
        "three effects": [(g, (None, x, z))],
        "nested": [(sub, (None, x)), (g, (None,))],
        "nested thrice": [(g, (None, z)), (sub, (None,)), (g // 2, (None, x))],
        "crossed": [(g, (None,)), (h, (None,))],
        "crossed slopes": [(g, (None, x)), (h, (None, z))],
        "three crossed": [(g, (None, x)), (h, (None, z)), (k, (None, x))],
        "nested and crossed": [
            (g, (None,)),
            (sub, (None, x)),
            (h, (None, z)),
            (k, (None,)),
        ],
    }[structure]


def draw_case(
    seed: int,
    family: str = "binomial",
    link: str = "logit",
    structure: str = "intercept",
    *,
    n_rows: int = 80,
    singular: bool = False,
) -> RandomCase:
    """Rows sorted by the first factor if it is the only one."""
    rng = np.random.default_rng(seed)
    factors = _factors(rng, structure, n_rows)
    if len(factors) == 1:
        codes, columns = factors[0]
        order = np.argsort(codes, kind="stable")
        ordered = tuple(None if c is None else c[order] for c in columns)
        factors = [(codes[order], ordered)]
    effects = EffectRows(
        tuple(
            FactorRows(LevelIndex(codes, int(codes.max()) + 1), columns)
            for codes, columns in factors
        )
    )
    lams = []
    for factor in effects.factors:
        size = len(factor.columns)
        lam = np.tril(0.3 * rng.normal(size=(size, size))) + 0.4 * np.eye(size)
        if singular:
            lam[-1, -1] = 0.0
        lams.append(lam)
    X = np.column_stack([np.ones(n_rows), rng.normal(size=n_rows)])
    beta = np.array([0.3, 0.2])
    offset = 0.1 * rng.normal(size=n_rows)
    sizes = [(len(f.columns), f.index.n_levels) for f in effects.factors]
    drawn = [lam @ rng.normal(size=size) for lam, size in zip(lams, sizes, strict=True)]
    eta = X @ beta + offset + effects.spread(drawn)
    likelihood = draw_rows(rng, family, link, np.clip(eta, -3.0, 3.0))
    rows = GeneralizedRows(likelihood, effect_layout(effects))
    return RandomCase(
        rows, X, offset, beta, lams, np.full(likelihood.n_shapes, np.log(0.8))
    )
