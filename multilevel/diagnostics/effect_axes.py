"""Principal axes of the random effects: in how many directions levels differ.

References
----------
Bates, Kliegl, Vasishth & Baayen (2015), Parsimonious mixed models, arXiv:1506.04967.

Held by tests/diagnostics/test_effect_axes.py.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from multilevel.optimize.common.fitted_model import FittedModel


def effect_axes(fitted: FittedModel) -> dict[str, pd.DataFrame]:
    """Standard deviations along the principal axes of each factor's effects.

    They are in units of the linear predictor; lme4's are those over sigma.

    Parameters
    ----------
    fitted : FittedModel

    Returns
    -------
    dict of str to DataFrame
        Grouping factor -> `sd` and its `proportion` of the variance, largest first.
        Proportions of a covariance of zero are NaN.
    """
    design = fitted.design
    found = {}
    roots = design.stacked_terms.stack(fitted.effect_factors)
    for name, root in zip(design.factor_names, roots, strict=True):
        sd = np.linalg.svd(root, compute_uv=False)
        # Of the largest, so that no square underflows.
        share = (sd / sd[0]) ** 2 if sd[0] > 0.0 else np.full(len(sd), np.nan)
        found[name] = pd.DataFrame(
            {"sd": sd, "proportion": share / share.sum()},
            index=pd.Index([f"PC{i}" for i in range(1, len(sd) + 1)], name="axis"),
        )
    return found
