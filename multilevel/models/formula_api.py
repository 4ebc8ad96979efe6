"""Models from formulas, as functions.

Held by tests/models/test_mixedlm.py and tests/models/test_mixedglm.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from multilevel.models.mixedlm import MixedLM

if TYPE_CHECKING:
    from multilevel.models.mixedglm import MixedGLM


def mixedlm(
    formula: str,
    data: Any,
    *,
    weights: Any = None,
    offset: Any = None,
    missing: str = "drop",
) -> MixedLM:
    """Linear mixed model of a formula; the same as `MixedLM.from_formula`.

    Parameters
    ----------
    formula : str
        Fixed part as in patsy, random terms as in lme4.
    data : pandas DataFrame, dict of columns, polars DataFrame or pyarrow Table
        The columns.
    weights : str or array_like, optional
        Prior weights: Var(e_i) = sigma^2 / w_i.
    offset : str or array_like, optional
        Known part of the mean.
    missing : {"drop", "raise"}
        What to do with rows in which something that the model uses is missing.

    Returns
    -------
    MixedLM

    Examples
    --------
    >>> import multilevel as ml
    >>> data = ml.datasets.load("sleepstudy")
    >>> ml.mixedlm("Reaction ~ Days + (Days | Subject)", data).fit().params.round(3)
    Intercept    251.405
    Days          10.467
    dtype: float64
    """
    return MixedLM.from_formula(
        formula, data, weights=weights, offset=offset, missing=missing
    )


def mixedglm(
    formula: str,
    data: Any,
    *,
    family: Any,
    weights: Any = None,
    offset: Any = None,
    missing: str = "drop",
) -> MixedGLM:
    """Generalized linear mixed model of a formula; as `MixedGLM.from_formula`.

    Parameters
    ----------
    formula : str
        Fixed part as in patsy, random terms as in lme4. The left side of a binomial
        model may have two columns, ``cbind(successes, failures)``.
    data : pandas DataFrame, dict of columns, polars DataFrame or pyarrow Table
        The columns.
    family : str or statsmodels family
        ``"binomial"``, ``"poisson"``, ``"gamma"``, ``"inversegaussian"``,
        ``"negativebinomial"`` or ``"gaussian"``, or an instance with another link.
    weights : str or array_like, optional
        Prior weights (Gaussian, gamma, inverse Gaussian): the dispersion of a row is
        phi / weight. Number of trials of a proportion. Case weights of counts, of 0/1
        and of successes and failures: how often each row counts.
    offset : str or array_like, optional
        Known part of the linear predictor.
    missing : {"drop", "raise"}
        What to do with rows in which something that the model uses is missing.

    Returns
    -------
    MixedGLM

    Examples
    --------
    >>> import multilevel as ml
    >>> data = ml.datasets.load("cbpp")
    >>> formula = "cbind(incidence, size - incidence) ~ period + (1 | herd)"
    >>> ml.mixedglm(formula, data, family="binomial").fit().params.round(3)
    Intercept     -1.399
    period[T.2]   -0.992
    period[T.3]   -1.129
    period[T.4]   -1.580
    dtype: float64
    """
    # Imported here: linear models do without what it needs.
    from multilevel.models.mixedglm import MixedGLM

    return MixedGLM.from_formula(
        formula, data, family=family, weights=weights, offset=offset, missing=missing
    )
