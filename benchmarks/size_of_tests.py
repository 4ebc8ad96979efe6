"""How often the likelihood-ratio tests reject a true null hypothesis.

Run from the root of the repository::

    python benchmarks/size_of_tests.py [DRAWS] > docs/size_of_tests.inc

Every design is simulated from the restricted model with fixed seeds; the table gives
the share of p-values below 10, 5 and 1 per cent, in per cent. With 2,000 draws their
Monte Carlo standard errors are 0.7, 0.5 and 0.2.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

import multilevel as ml
from multilevel.errors import ConvergenceWarning, SingularFitWarning

LEVELS = (0.10, 0.05, 0.01)


@dataclass(frozen=True, slots=True)
class Case:
    """A design, a restricted model and a full one.

    Parameters
    ----------
    name : str
    fixed : str
        Response and fixed part.
    restricted, full : str
        Random parts; nothing for the pooled model.
    n_groups, n_rows : int
        Groups, and rows in each.
    year : bool
        Whether x is 2005 to 2012 in every group.
    family : str or None
    """

    name: str
    fixed: str
    restricted: str
    full: str
    n_groups: int = 40
    n_rows: int = 8
    year: bool = False
    family: str | None = None


CASES = (
    Case("one variance", "y ~ x", "", "(1 | g)"),
    Case("slopes", "y ~ x", "", "(x | g)"),
    Case("slopes of 2005 to 2012", "y ~ x", "", "(x | g)", year=True),
    Case("two factors", "y ~ x", "", "(1 | g) + (1 | h)"),
    Case("slopes given intercepts", "y ~ x", "(1 | g)", "(x | g)"),
    Case("two slopes given intercepts", "y ~ x + z", "(1 | g)", "(x + z | g)"),
    Case("two factors given intercepts", "y ~ x", "(1 | g)", "(x | g) + (1 | h)"),
    Case("logistic, one variance", "b ~ x", "", "(1 | g)", family="binomial"),
    Case("logistic, slopes", "b ~ x", "", "(x | g)", family="binomial"),
)


def design(case: Case, rng: np.random.Generator) -> pd.DataFrame:
    """Everything but the response."""
    n = case.n_groups * case.n_rows
    x = rng.normal(size=n)
    if case.year:
        x = np.tile(2005.0 + np.arange(case.n_rows), case.n_groups)
    return pd.DataFrame(
        {
            "g": np.repeat(np.arange(case.n_groups), case.n_rows),
            "h": rng.permutation(np.arange(n) % 20),
            "x": x,
            "z": rng.normal(size=n),
        }
    )


def with_response(
    data: pd.DataFrame, case: Case, rng: np.random.Generator
) -> pd.DataFrame:
    """A response without the effects that are tested."""
    noise = rng.normal(size=len(data))
    effects = rng.normal(size=case.n_groups)[data["g"]] if case.restricted else 0.0
    chance = 1.0 / (1.0 + np.exp(-0.5 * data["x"]))
    return data.assign(y=effects + noise, b=(rng.uniform(size=len(data)) < chance) * 1)


def p_value(data: pd.DataFrame, case: Case) -> float:
    """Of the test of the full model against the restricted one."""

    def fit(random: str) -> ml.MixedLMResults | ml.MixedGLMResults:
        if case.family:
            formula = f"{case.fixed} + {random}"
            return ml.mixedglm(formula, data, family=case.family).fit()
        return ml.mixedlm(f"{case.fixed} + {random}", data).fit()

    if not case.restricted:
        return fit(case.full).compare_pooled().pvalue
    return fit(case.full).compare_lr_test(fit(case.restricted)).pvalue


def rejections(case: Case, n_draws: int) -> list[float]:
    """Shares of p-values below each level."""
    rng = np.random.default_rng(20050101)
    data = design(case, rng)
    found = [p_value(with_response(data, case, rng), case) for _ in range(n_draws)]
    return [float(np.mean(np.array(found) < level)) for level in LEVELS]


def main(n_draws: int, write: Callable[[str], object]) -> None:
    """Print the table as reStructuredText."""
    rule = f"{'=' * 30}  {'=' * 20}  {'=' * 21}  =====  =====  ====="
    head = f"{'case':<30}  {'against':<20}  {'tested':<21}  10 %   5 %    1 %"
    write(f"{rule}\n{head}\n{rule}\n")
    for case in CASES:
        shares = "  ".join(
            f"{100 * share:<5.1f}" for share in rejections(case, n_draws)
        )
        against = f"``{case.restricted}``" if case.restricted else "pooled"
        tested = f"``{case.full}``"
        write(f"{case.name:<30}  {against:<20}  {tested:<21}  {shares}\n")
        sys.stdout.flush()
    write(f"{rule}\n")


if __name__ == "__main__":
    warnings.simplefilter("ignore", SingularFitWarning)
    warnings.simplefilter("ignore", ConvergenceWarning)
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000, sys.stdout.write)
