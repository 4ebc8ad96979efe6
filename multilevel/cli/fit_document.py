"""A fit as a JSON document.

Held by tests/cli/test_commands.py.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from multilevel import __version__

if TYPE_CHECKING:
    from multilevel.results.mixed_results import MixedResults

FIT_STATISTICS = ("llf", "deviance", "aic", "bic", "aicc", "df_model", "df_resid")


def as_json(result: MixedResults) -> str:
    """Write a fit as JSON.

    Parameters
    ----------
    result : MixedResults

    Returns
    -------
    str
        Keys: ``multilevel`` (version), ``formula``, ``criterion``, ``nobs``,
        ``n_dropped``, ``groups``, ``fixed_effects``, ``variance_components``,
        ``sigma`` (of a generalized model ``family``, ``link`` and ``dispersion``),
        ``fit``, ``compare_pooled``, ``convergence``. Numbers have all their digits;
        what is not defined is null.
    """
    document = {
        "multilevel": __version__,
        "formula": result.formula,
        "criterion": result.criterion,
        "nobs": result.nobs,
        "n_dropped": result.n_dropped,
        "groups": result.ngroups,
        "fixed_effects": _fixed_effects(result),
        "variance_components": _records(result.variance_components.to_frame()),
        **_scale_of(result),
        "fit": {name: getattr(result, name) for name in FIT_STATISTICS},
        "compare_pooled": _pooled_test(result),
        "convergence": {
            "is_singular": result.is_singular,
            **asdict(result.optimization),
        },
    }
    return json.dumps(_plain(document), indent=2, allow_nan=False)


def _scale_of(result: MixedResults) -> dict[str, Any]:
    """Residual deviation of a linear model; family, link, dispersion of others."""
    family = getattr(result, "family", None)
    if family is None:
        return {"sigma": result.sigma}
    dispersion = getattr(result, "dispersion", None)
    return {
        "family": family.name,
        "link": family.link.name,
        "dispersion": dispersion if family.shapes else None,
    }


def _fixed_effects(result: MixedResults) -> list[dict[str, Any]]:
    """One record per fixed effect, with t, df and the 95 % limits."""
    limits = np.asarray(result.conf_int())
    frame = pd.DataFrame(
        {
            "estimate": result.params,
            "se": result.bse,
            "df": result.ddf,
            "t": result.tvalues,
            "pvalue": result.pvalues,
            "lower": limits[:, 0],
            "upper": limits[:, 1],
        }
    )
    return _records(frame.rename_axis("name").reset_index())


def _pooled_test(result: MixedResults) -> dict[str, Any]:
    """Return the numbers of the likelihood-ratio test against the pooled model."""
    test = result.compare_pooled()
    wanted = ("statistic", "df", "pvalue", "pvalue_chi2", "null")
    return {name: getattr(test, name) for name in wanted}


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        dict(zip(frame.columns, row, strict=True))
        for row in frame.itertuples(index=False, name=None)
    ]


def _plain(value: Any) -> Any:
    """Numpy's numbers as Python's, and NaN, infinities and NA as None."""
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, np.generic):
        value = value.item()
    if value is pd.NA or (isinstance(value, float) and not math.isfinite(value)):
        return None
    return value
