"""Which of the ways to evaluate the deviance the products are arranged for.

Held by tests/likelihood/linear/test_huge_ratios.py and
tests/likelihood/linear/test_dense_likelihood.py.
"""

from __future__ import annotations

from multilevel.likelihood.linear.block_factors import BlockFactors
from multilevel.likelihood.linear.dense_factors import DenseFactors
from multilevel.likelihood.linear.dense_system import (
    MAX_EFFECTS,
    MAX_SECOND_PASS_EFFECTS,
    has_several_effects,
    n_random_effects,
)
from multilevel.likelihood.linear.prepared import Prepared
from multilevel.likelihood.linear.single_factor import RotatedLevels
from multilevel.likelihood.products.cross_products import CrossProducts


def prepare_products(
    products: CrossProducts, *, for_second_pass: bool = False
) -> Prepared:
    """What can be done once, before any theta is known.

    One factor is rotated within its levels; for several there are full matrices where
    random effects are few, and blocks to eliminate where they are many.

    Parameters
    ----------
    products : CrossProducts
    for_second_pass : bool
        Whether the random effects explain nearly all of the response.
    """
    if len(products.diagonal) == 1:
        return RotatedLevels.from_products(products)
    dear = has_several_effects(products) and (
        for_second_pass or products.second_pass is not None
    )
    if n_random_effects(products) <= (MAX_SECOND_PASS_EFFECTS if dear else MAX_EFFECTS):
        return DenseFactors.from_products(products)
    return BlockFactors.from_products(products)
