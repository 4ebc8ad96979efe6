"""How often limits of an observation in a new group cover it, by simulation.

Groups of 30 rows, whose means vary twice as much as the rows within them; a model with
an intercept for each group is fitted, and the 95 % limits of one observation in a group
of which nothing is known are compared with such an observation. For each number of
groups the share that is covered is printed, with Satterthwaite's degrees of freedom
for the variance of the prediction, and with normal quantiles.

    python benchmarks/prediction_coverage.py [replicates]
"""

from __future__ import annotations

import sys
import warnings

import numpy as np
import pandas as pd

import multilevel as ml

GROUPS = (3, 5, 8, 40)

ROWS = 30


def covered(n_groups: int, replicates: int, *, seed: int) -> tuple[float, float]:
    """Shares of observations covered by t and by normal limits."""
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(n_groups), ROWS)
    hits = np.zeros(2)
    for _ in range(replicates):
        y = 2.0 * rng.normal(size=n_groups)[groups] + rng.normal(size=len(groups))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ml.errors.SingularFitWarning)
            result = ml.mixedlm("y ~ 1 + (1 | g)", {"y": y, "g": groups}).fit()
        one_row = pd.DataFrame({"g": [0]})
        new = 2.0 * rng.normal() + rng.normal()
        for kind, ddf in enumerate(("satterthwaite", "normal")):
            prediction = result.with_ddf(ddf).get_prediction(one_row, random="none")
            frame = prediction.summary_frame().iloc[0]
            hits[kind] += frame["obs_ci_lower"] <= new <= frame["obs_ci_upper"]
    return float(hits[0] / replicates), float(hits[1] / replicates)


def main() -> None:
    """Print the table."""
    replicates = int(sys.argv[1]) if len(sys.argv) > 1 else 4000
    print(f"{replicates} replicates\ngroups  Satterthwaite  normal")
    for n_groups in GROUPS:
        by_t, by_z = covered(n_groups, replicates, seed=n_groups)
        print(f"{n_groups:6d}  {by_t:13.3f}  {by_z:6.3f}")


if __name__ == "__main__":
    main()
