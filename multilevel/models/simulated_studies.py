"""Studies that are simulated before there is a fit, as functions.

Held by tests/simulation/.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from multilevel.formula.environment import caller_namespace
from multilevel.models.given_family import read_family
from multilevel.simulation.named_parameters import GivenParameters
from multilevel.simulation.simulated_design import (
    design_without_response,
    simulate_responses,
)


def simulate_design(
    formula: str,
    data: Any,
    *,
    beta: Any,
    sd: Any = None,
    cor: Any = None,
    sigma: Any = None,
    family: Any = None,
    theta: Any = None,
    shape: Any = None,
    weights: Any = None,
    offset: Any = None,
    n: int = 1,
    seed: Any = None,
) -> pd.DataFrame:
    """Responses of a model whose parameters are given; nothing is fitted.

    Parameters
    ----------
    formula : str
        As for `mixedlm`. What is left of ``~`` need not be in the data.
    data : data frame
        Covariates and groups.
    beta : dict
        Fixed-effects column -> coefficient, as ``{"Intercept": 5, "x": 0.3}``; the
        `params` of a result too.
    sd : dict
        Grouping factor -> standard deviation of its effect, or, if there are several, a
        dict effect -> standard deviation: ``{"school": {"Intercept": 2, "x": 0.5}}``.
    cor : dict, optional
        Grouping factor -> correlation of its two effects, or a dict pair of effects ->
        correlation: ``{"school": {("Intercept", "x"): 0.3}}``. Zero by default.
    sigma : float, optional
        Residual standard deviation of a linear model; of the gamma and inverse Gaussian
        families the root of the dispersion, as the `sigma` of results.
    family : str or statsmodels family, optional
        As for `mixedglm`; a linear model by default.
    theta : (m,) array_like, optional
        In place of `sd` and `cor`: covariance parameters as the `theta` of a result.
    shape : float, optional
        Size of a negative binomial, whose variance is mu + mu^2/size.
    weights : str or array_like, optional
        Numbers of trials of a binomial, prior weights otherwise.
    offset : str or array_like, optional
        Known part of the linear predictor.
    n : int
        Number of simulations.
    seed : int or numpy.random.Generator, optional
        The same seed gives the same numbers.

    Returns
    -------
    DataFrame
        Columns ``sim_1``, ``sim_2``, ...; as from `simulate` of results. Successes of a
        binomial are counted where the left side has two columns, and proportions else.

    Raises
    ------
    DataError
        For a parameter that is missing, with the names that are wanted.

    Examples
    --------
    >>> import pandas as pd
    >>> import multilevel as ml
    >>> plan = pd.DataFrame({"school": [1, 1, 2, 2, 3, 3], "x": [0, 1, 0, 1, 0, 1]})
    >>> ml.simulate_design(
    ...     "y ~ x + (1 | school)", plan, seed=1,
    ...     beta={"Intercept": 5, "x": 1}, sd={"school": 2}, sigma=1).round(2)
       sim_1
    0   4.39
    1   7.60
    2   7.09
    3   7.11
    4   6.24
    5   7.03
    """
    design = design_without_response(
        formula,
        data,
        weights=weights,
        offset=offset,
        environment=caller_namespace(),
    )
    given = GivenParameters(
        beta=beta, sd=sd, cor=cor, sigma=sigma, theta=theta, shape=shape
    )
    known = None if family is None else read_family(family)
    return simulate_responses(design, known, given, n=n, seed=seed)
