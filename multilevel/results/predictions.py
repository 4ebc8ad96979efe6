"""Predictions of the rows of the fit and of new ones.

Held by tests/results/test_mixedglm_results.py and tests/prediction/test_predict.py.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from multilevel.array_types import FloatVector
from multilevel.prediction.get_prediction import get_prediction
from multilevel.prediction.predict import predict
from multilevel.prediction.prediction_options import (
    Check,
    NewLevels,
    PredictionOptions,
    RandomParts,
)
from multilevel.prediction.prediction_table import Prediction
from multilevel.prediction.simulate import (
    DrawnEffects,
    DrawnLevels,
    SimulationOptions,
    simulate,
)
from multilevel.results.estimates import Estimates
from multilevel.results.kept_value import kept_value


class Predictions(Estimates):
    """What the fit says about rows, with and without its random effects."""

    @kept_value
    def fittedvalues(self) -> FloatVector:
        """Mean of each row, random effects included; proportions of a binomial."""
        return self._fitted.mean

    def predict(
        self,
        data: Any = None,
        *,
        random: RandomParts = "all",
        new_levels: NewLevels = "raise",
        kind: str = "response",
        offset: Any = None,
        check: Check = "warn",
    ) -> pd.Series:
        """Predictions for the rows of the fit or for new ones.

        Parameters
        ----------
        data : data frame, optional
            New rows; the rows of the fit by default.
        random : "all", "none" or list of str
            Grouping factors whose random effects are added.
        new_levels : {"raise", "population", "missing"}
            For levels that were not in the fit: an error, random effects of zero, or
            NaN.
        kind : {"response", "link", "marginal"}
            The mean; the linear predictor, which in a linear model is the same; or, in
            a generalized one, the mean with all random effects integrated out: that of
            the population rather than of a typical group.
        offset : str or array_like (rows,), optional
            Of the new rows, where the fit had an array as ``offset=``.
        check : {"warn", "raise"}
            For new rows whose mean the fit does not determine, as a combination of
            levels that no row of it had, and for rows beyond the knots of a spline:
            NaN with a warning that names them, or an error.

        Returns
        -------
        Series
        """
        asked = PredictionOptions(
            random=random, new_levels=new_levels, offset=offset, check=check
        )
        return predict(self._fitted, data, asked, kind=kind)

    def get_prediction(
        self,
        data: Any = None,
        *,
        random: RandomParts = "all",
        new_levels: NewLevels = "raise",
        offset: Any = None,
        weights: Any = None,
        check: Check = "warn",
    ) -> Prediction:
        """Predicted means with standard errors, confidence and prediction limits.

        The standard errors are those of the mixed-model equations: fixed and random
        effects are uncertain together. What `random` leaves out counts as a new group,
        at zero in the mean and with its variance in the limits of an observation.

        Parameters
        ----------
        data, random, new_levels, offset, check
            As for `predict`.
        weights : str or array_like (rows,), optional
            Prior weights of the new rows, for the limits of an observation: numbers of
            trials of a binomial. Ones by default; of the fit's rows their own.

        Returns
        -------
        Prediction
            With `summary_frame(alpha)`. Limits of a linear model are by Student's t,
            with degrees of freedom by the chosen `ddf`: for the variance of the mean,
            and for the whole variance of the prediction of an observation.
        """
        asked = PredictionOptions(
            random=random,
            new_levels=new_levels,
            offset=offset,
            weights=weights,
            check=check,
        )
        return get_prediction(
            self._fitted, data, asked, denominators=lambda: self._denominators
        )

    def simulate(
        self,
        n: int = 1,
        *,
        seed: Any = None,
        random: DrawnEffects = "new",
        data: Any = None,
        new_levels: DrawnLevels = "draw",
        offset: Any = None,
        weights: Any = None,
    ) -> pd.DataFrame:
        """New responses drawn from the model at its estimates.

        The estimates are taken as known. Each simulation draws the random effects of
        every term, level by level in the order of the levels, then the rows in their
        order; the first simulations do not depend on `n`.

        Parameters
        ----------
        n : int
            Number of simulations.
        seed : int or numpy.random.Generator, optional
            The same seed gives the same numbers.
        random : "new", "estimated" or list of str
            Random effects are drawn anew, as of other groups from the same population;
            or they are the conditional modes, and only the rows vary; or a list of the
            grouping factors of which the conditional modes are kept.
        data : data frame, optional
            New rows; the rows of the fit by default. The response is not needed.
        new_levels : {"draw", "population", "missing", "raise"}
            For levels that were not in the fit: random effects of their own are drawn,
            or are zero; or the responses are NaN; or an error.
        offset, weights : str or array_like (rows,), optional
            Of new rows, as for `get_prediction`: weights are numbers of trials of a
            binomial, by which the dispersion of a row is divided otherwise, and play no
            part for counts. Ones by default; the rows of the fit have their own.

        Returns
        -------
        DataFrame
            Columns ``sim_1``, ``sim_2``, ...; row labels are those of the rows.
            Responses as they were given, so that a column can take the place of the
            response: of successes and failures the successes, of a proportion the
            proportion, of a categorical or boolean response its two values. Of
            ``log(y)`` they are logarithms. NaN where something that a row needs is
            missing.

        Examples
        --------
        >>> import multilevel as ml
        >>> sleep = ml.datasets.load("sleepstudy")
        >>> result = ml.mixedlm("Reaction ~ Days + (Days | Subject)", sleep).fit()
        >>> result.simulate(2, seed=1).head(3).round(1)
           sim_1  sim_2
        0  246.8  246.9
        1  233.2  230.5
        2  295.2  276.1
        """
        asked = SimulationOptions(
            random=random, new_levels=new_levels, offset=offset, weights=weights
        )
        return simulate(self._fitted, n, seed, data, asked)
