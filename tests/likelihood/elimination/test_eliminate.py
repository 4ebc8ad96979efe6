"""Elimination, solutions and the selected inverse against full matrices."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from multilevel.likelihood.elimination import effect_products as products_module
from multilevel.likelihood.elimination import pattern as pattern_module
from multilevel.likelihood.elimination.effect_products import EffectProducts
from multilevel.likelihood.elimination.eliminate import eliminate
from multilevel.likelihood.elimination.selected_inverse import (
    inverse_by_level,
    selected_inverse,
)
from multilevel.likelihood.elimination.solve import (
    absorb_columns,
    back_substitute,
    reduced_products,
    solve,
)
from multilevel.likelihood.elimination.vectors import EffectVectors
from multilevel.likelihood.elimination.weighted_rows import (
    effect_layout,
    row_inverse,
    weighted_products,
)
from multilevel.likelihood.linear.block_products import block_products
from multilevel.likelihood.products.cross_products import CrossProducts, PairProducts
from multilevel.likelihood.products.level_patterns import factor_patterns
from multilevel.likelihood.rows.effect_rows import EffectRows, FactorRows, LevelIndex

N_ROWS, N_FIXED = 60, 2

# Limits with which the cells of chain factors with dense columns are stored one way.
STORAGES = {
    "as chosen": {},
    "full": {"PAIR_COST": np.inf, "CROWDED": 0.0},
    "paired": {"CELL_COST": np.inf, "CROWDED": 2.0, "ALWAYS_FULL": 0},
    "sparse": {
        "CELL_COST": np.inf,
        "CROWDED": 2.0,
        "ALWAYS_FULL": 0,
        "MAX_PAIRS": -1,
    },
}

KINDS = ["crossed", "crowded", "nested", "holding"]


@contextmanager
def stored(storage: str) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, limit in STORAGES[storage].items():
            module = products_module if name == "MAX_PAIRS" else pattern_module
            patch.setattr(module, name, limit)
        yield


def draw_codes(rng: np.random.Generator, kinds: list[str]) -> list[np.ndarray]:
    """Levels of a factor and of others that cross it, are nested in it or hold it."""
    first = rng.integers(0, 7, N_ROWS)
    drawn = {
        "crossed": lambda: rng.integers(0, 6, N_ROWS),
        "crowded": lambda: rng.integers(0, 2, N_ROWS),
        "nested": lambda: 3 * first + rng.integers(0, 3, N_ROWS),
        "holding": lambda: first // 3,
    }
    codes = [first, *(drawn[kind]() for kind in kinds)]
    # Labels in any order: the levels of a child need not follow those of its parent.
    return [
        np.unique(rng.permutation(30)[code], return_inverse=True)[1] for code in codes
    ]


class Design:
    """Rows of some grouping factors in every arrangement, and in full matrices."""

    def __init__(
        self, seed: int, kinds: list[str], *, weighted: bool, singular: bool
    ) -> None:
        rng = np.random.default_rng(seed)
        self.codes = draw_codes(rng, kinds)
        self.levels = [int(code.max()) + 1 for code in self.codes]
        sizes = [int(rng.integers(1, 4)) for _ in self.codes]
        self.columns = [(None, *rng.normal(size=(size - 1, N_ROWS))) for size in sizes]
        self.rows = EffectRows(
            tuple(
                FactorRows(LevelIndex(code, J), columns)
                for code, J, columns in zip(
                    self.codes, self.levels, self.columns, strict=True
                )
            )
        )
        self.lams = [rng.normal(size=(size, size)) for size in sizes]
        if singular:
            self.lams[0][:, -1] = 0.0
        some = rng.uniform(0.2, 3.0, N_ROWS)
        self.weights = some if weighted else np.ones(N_ROWS)
        self.Xy = rng.normal(size=(N_ROWS, N_FIXED + 1))

        self.Z = [self._full(k) for k in range(len(sizes))]
        stacked = np.hstack(self.Z)
        self.A = stacked.T @ (self.weights[:, None] * stacked)
        self.ZtXy = stacked.T @ (self.weights[:, None] * self.Xy)
        Lam = np.zeros_like(self.A)
        for own, lam, J in zip(self.slices, self.lams, self.levels, strict=True):
            Lam[own, own] = np.kron(np.eye(J), lam)
        self.M = Lam.T @ self.A @ Lam + np.eye(len(Lam))
        self.K = Lam @ np.linalg.inv(self.M) @ Lam.T
        self.D = self.A - self.A @ self.K @ self.A

    def _full(self, k: int) -> np.ndarray:
        size, codes = len(self.columns[k]), self.codes[k]
        Z = np.zeros((N_ROWS, size * self.levels[k]))
        for s, column in enumerate(self.columns[k]):
            Z[np.arange(N_ROWS), codes * size + s] = 1.0 if column is None else column
        return Z

    @property
    def slices(self) -> list[slice]:
        ends = np.cumsum([0, *(Z.shape[1] for Z in self.Z)])
        return [slice(a, b) for a, b in zip(ends[:-1], ends[1:], strict=True)]

    def by_factor(self, vectors: np.ndarray) -> list[np.ndarray]:
        """(q, r) as (S, r, J) for each factor."""
        return [
            vectors[own].reshape(J, -1, vectors.shape[1]).transpose(1, 2, 0)
            for own, J in zip(self.slices, self.levels, strict=True)
        ]

    def block(self, full: np.ndarray, k: int, level: int, m: int, other: int):
        """The block of a (q, q) matrix for a level each of two factors."""
        a, b = len(self.columns[k]), len(self.columns[m])
        row, col = self.slices[k].start + a * level, self.slices[m].start + b * other
        return full[row : row + a, col : col + b]

    def once(self) -> EffectProducts:
        """As values that are eliminated once, from the rows."""
        return weighted_products(effect_layout(self.rows), self.weights)

    def cross_products(self) -> CrossProducts:
        found = factor_patterns(self.codes, self.levels).pairs
        pairs = {
            (k, m): PairProducts(
                pair.rows,
                pair.cols,
                np.stack(
                    [
                        self.block(self.A, k, i, m, j)
                        for i, j in zip(pair.rows, pair.cols, strict=True)
                    ],
                    axis=2,
                ),
            )
            for (k, m), pair in found.items()
        }
        diagonal = [
            np.stack([self.block(self.A, k, j, k, j) for j in range(J)], axis=2)
            for k, J in enumerate(self.levels)
        ]
        return CrossProducts(
            n_rows=N_ROWS,
            sum_log_weights=float(np.log(self.weights).sum()),
            diagonal=tuple(diagonal),
            pairs=pairs,
            ZtXy=tuple(self.by_factor(self.ZtXy)),
            XytXy=self.Xy.T @ (self.weights[:, None] * self.Xy),
        )


DESIGNS = st.builds(
    Design,
    st.integers(0, 2**32 - 1),
    st.lists(st.sampled_from(KINDS), max_size=2),
    weighted=st.booleans(),
    singular=st.booleans(),
)


def check(design: Design, products: EffectProducts) -> None:
    """All that is had of an elimination."""
    pattern, rng = products.pattern, np.random.default_rng(0)
    b = rng.normal(size=(len(design.A), 2))
    vectors = EffectVectors.of(pattern, design.by_factor(b))
    for found, full in zip(
        products.times(vectors).by_factor(pattern),
        design.by_factor(design.A @ b),
        strict=True,
    ):
        assert_allclose(found, full, atol=1e-10)

    elimination = eliminate(products, design.lams)
    assert_allclose(elimination.log_det, np.linalg.slogdet(design.M)[1], rtol=1e-10)
    for found, full in zip(
        solve(elimination, [own[:, 0] for own in design.by_factor(b)]),
        design.by_factor(design.K @ b),
        strict=True,
    ):
        assert_allclose(found, full[:, 0], atol=1e-9)

    ZtXy = EffectVectors.of(pattern, design.by_factor(design.ZtXy))
    columns = absorb_columns(elimination, ZtXy)
    taken = reduced_products(elimination, columns, columns)
    assert_allclose(taken, design.ZtXy.T @ design.K @ design.ZtXy, atol=1e-8)
    effects = back_substitute(elimination, columns).by_factor(pattern)
    for found, full in zip(
        effects, design.by_factor(design.K @ design.ZtXy), strict=True
    ):
        assert_allclose(found, full, atol=1e-9)

    by_level, between = selected_inverse(elimination)
    sums_only = inverse_by_level(elimination)
    scale = np.abs(design.A).max()
    for k, J in enumerate(design.levels):
        for j in range(J):
            K = design.block(design.K, k, j, k, j)
            D = design.block(design.D, k, j, k, j)
            for found in (by_level, sums_only):
                assert_allclose(found.blocks[k][:, :, j], K, atol=1e-9)
                assert_allclose(found.shrunken[k][:, :, j], D, atol=1e-9 * scale)
    met = factor_patterns(design.codes, design.levels).pairs
    for k, m in between.factors_that_meet():
        pair, blocks = met[min(k, m), max(k, m)], between.between(k, m)
        levels = zip(pair.rows, pair.cols, strict=True)
        for place, ends in enumerate(levels):
            i, j = ends if k < m else ends[::-1]
            at = i if (k, m) in pattern.plan.parents else place
            full = design.block(design.K, k, i, m, j)
            assert_allclose(blocks[:, :, at], full, atol=1e-9)


@pytest.mark.parametrize("storage", STORAGES)
@given(design=DESIGNS)
def test_values_eliminated_once_agree_with_full_matrices(
    storage: str, design: Design
) -> None:
    with stored(storage):
        check(design, design.once())


@pytest.mark.parametrize("storage", STORAGES)
@given(design=DESIGNS)
def test_values_used_again_agree_with_full_matrices(
    storage: str, design: Design
) -> None:
    with stored(storage):
        check(design, block_products(design.cross_products()).effects)


@given(design=DESIGNS)
def test_leverages_are_quadratic_forms_of_rows(design: Design) -> None:
    layout = effect_layout(design.rows)
    elimination = eliminate(weighted_products(layout, design.weights), design.lams)
    Z = np.hstack(design.Z)
    expected = np.einsum("ij,jk,ik->i", Z, design.K, Z)
    assert_allclose(row_inverse(layout, elimination).leverages, expected, atol=1e-9)


@pytest.mark.parametrize("sd", [1e-5, 1e-7, 1e-9])
def test_derivatives_in_a_small_variance_keep_their_digits(sd: float) -> None:
    """Of a dense factor; then K is nearly G, and G^-1 - G^-1 K G^-1 cancels."""
    design = Design(3, ["crossed"], weighted=True, singular=False)
    products = design.once()
    (k,) = products.pattern.plan.rest
    lams = list(design.lams)
    lams[k] = sd * np.eye(len(lams[k]))
    shrunken = inverse_by_level(eliminate(products, lams)).shrunken[k]
    lams[k] = np.zeros_like(lams[k])
    at_zero = inverse_by_level(eliminate(products, lams)).shrunken[k]
    # The step to zero is of order sd^2 itself.
    assert_allclose(shrunken, at_zero, rtol=1e-9, atol=1e3 * sd**2)


def test_indefinite_weights_are_refused() -> None:
    design = Design(0, ["crossed"], weighted=False, singular=False)
    layout = effect_layout(design.rows)
    with pytest.raises(np.linalg.LinAlgError, match="positive definite"):
        eliminate(weighted_products(layout, -design.weights), design.lams)


def test_every_storage_is_met() -> None:
    """The storages above are what they say, or nothing is tested of them."""
    design = Design(1, ["crossed", "crossed"], weighted=True, singular=False)
    found = {}
    for storage in ("full", "paired", "sparse"):
        with stored(storage):
            products = block_products(design.cross_products()).effects
        (finest,) = products.cross.values()
        found[storage] = type(finest).__name__
    assert found == {"full": "FullRows", "paired": "PairedRows", "sparse": "SparseRows"}
