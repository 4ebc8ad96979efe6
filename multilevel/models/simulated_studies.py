"""Studies that are simulated before there is a fit, as functions.

Held by tests/simulation/test_simulate_design.py and
tests/simulation/test_power.py.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from multilevel.formula.environment import caller_namespace
from multilevel.models.given_family import read_family
from multilevel.option_values import (
    as_count,
    as_generator,
    as_switch,
    as_tail_share,
)
from multilevel.results.power import Power
from multilevel.simulation.named_parameters import GivenParameters, read_parameters
from multilevel.simulation.power_grid import Plan, power_frame, read_extensions
from multilevel.simulation.power_study import Study, StudyHypothesis
from multilevel.simulation.simulated_design import (
    design_without_response,
    family_or_normal,
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


def power(
    formula: str,
    data: Any,
    *,
    test: str,
    beta: Any,
    sd: Any = None,
    cor: Any = None,
    sigma: Any = None,
    family: Any = None,
    theta: Any = None,
    shape: Any = None,
    weights: Any = None,
    offset: Any = None,
    groups: Any = None,
    size: Any = None,
    n: int = 200,
    alpha: float = 0.05,
    seed: Any = None,
    n_jobs: int = 1,
    progress: bool = True,
) -> Power:
    """Power of a test by simulation, over numbers of groups and group sizes.

    Studies are simulated with the parameters given, fitted and tested. A fixed effect
    is tested as results do it: by F or t with Satterthwaite's degrees of freedom after
    REML, or by a Wald chi-square test of a generalized model. A variance is tested by
    the likelihood-ratio test against the model without that random effect, with the
    mixture of chi-squares that applies.

    Parameters
    ----------
    formula, data, beta, sd, cor, sigma, family, theta, shape, weights, offset
        As for `simulate_design`.
    test : str
        A fixed-effects column, a term (all its columns at once), a hypothesis such as
        ``"x = 0.1"``, or a random effect as ``"sd(x | school)"``.
    groups : dict of factor to numbers, or numbers if there is one factor, optional
        Numbers of groups; those of the data by default. Whole groups of the data are
        copied, each as often as goes evenly, and the rest are drawn at random without
        replacement, anew in each study. Levels of factors nested in them are copied
        too; crossed factors keep their levels.
    size : int or sequence of int, optional
        Rows in each group of the first factor in `groups`: its rows are copied in the
        same manner.
    n : int
        Simulated studies of each size.
    alpha : float
        Level of the test.
    seed : int or numpy.random.Generator, optional
        Every study has a seed of its own: neither `n_jobs` nor the other sizes asked
        for change its outcome.
    n_jobs : int
        Processes; -1 for one a core. A script must then be guarded by
        ``if __name__ == "__main__":``.
    progress : bool
        Show a bar on standard error.

    Returns
    -------
    Power
        `frame` has columns `groups` (or ``groups_<factor>``), `size`, `power`, `lower`,
        `upper` (exact 95 % limits for the number of simulations) and `n_failed`.
        Studies that cannot be analysed count as no rejection.

    Raises
    ------
    DataError
        For parameters, tests and sizes that the model does not have.
    FitError
        If all studies of some size fail, with the reason.

    Examples
    --------
    >>> import pandas as pd
    >>> import multilevel as ml
    >>> plan = pd.DataFrame({"school": [1, 1, 2, 2], "x": [0, 1, 0, 1]})
    >>> found = ml.power(
    ...     "y ~ x + (1 | school)", plan, test="x", seed=1, n=50, progress=False,
    ...     beta={"Intercept": 0, "x": 1}, sd={"school": 1}, sigma=1, groups=[10, 40])
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
    linear, family_used = family is None, family_or_normal(known)
    study = Study(
        design=design,
        given_family=family() if isinstance(family, type) else family,
        parameters=read_parameters(given, design, family_used, linear=linear),
        tested=StudyHypothesis.of(test, design),
    )
    plan = Plan(
        n=as_count(n, "n"),
        alpha=as_tail_share(alpha),
        n_jobs=n_jobs if n_jobs == -1 else as_count(n_jobs, "n_jobs"),
        progress=as_switch(progress, "progress"),
    )
    extensions = read_extensions(design, groups, size)
    frame, notes = power_frame(study.bare(), extensions, plan, as_generator(seed))
    return Power.of(frame, test, formula, alpha=plan.alpha, notes=notes, n=plan.n)
