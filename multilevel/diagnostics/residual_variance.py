"""Variance of single responses on the scale of the linear predictor.

What a generalized model calls residual variance there is not a parameter; it follows
from the family and the link, at one mean mu, in one of four ways, with
r = phi V(mu)/mu^2 the squared coefficient of variation:

    theoretical   variance of a latent response: pi^2/3 (logit), 1 (probit),
                  pi^2/6 (cloglog, loglog)
    delta         phi V(mu) (d eta / d mu)^2
    lognormal     log(1 + r)                                 (log link)
    trigamma      psi_1(1 / r)                               (log link)

The first is that of a binomial model, the second exact for a linear one. Rows of prior
weight w have phi/w in place of phi; the value is the mean over the rows.

References
----------
Nakagawa, Johnson & Schielzeth (2017), J. R. Soc. Interface 14: 20170213, sections 2 and
3 and tables 1 and 2.

Held by tests/diagnostics/test_explained_variance.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import numpy as np
from scipy.special import polygamma

from multilevel.array_types import FloatVector
from multilevel.diagnostics.null_model import null_mean
from multilevel.diagnostics.row_shares import row_shares
from multilevel.errors import DataError
from multilevel.likelihood.families.traits import Family
from multilevel.methods import Method, Methods, methods
from multilevel.optimize.common.fitted_model import FittedModel
from multilevel.optimize.generalized.fitted_model import GeneralizedFittedModel
from multilevel.option_values import as_word

MEANS = ("typical", "population")
"""Where mu comes from: the null model at random effects of zero, or over them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SingleResponse:
    """What the variance of one response depends on.

    Parameters
    ----------
    family : Family
    mean : float
        mu.
    shapes : (s,)
        Values of the family's shape parameters.
    scale : (rows,)
        phi over the prior weight.
    """

    family: Family
    mean: float
    shapes: FloatVector
    scale: FloatVector

    def variance(self) -> FloatVector:
        """phi V(mu), (rows,)."""
        curve = self.family.traits.variance(np.array([self.mean]), self.shapes)
        return np.asarray(self.scale * curve.value)

    def relative_variance(self) -> FloatVector:
        """phi V(mu) / mu^2, (rows,)."""
        return self.variance() / self.mean**2


def theoretical_variance(response: SingleResponse) -> FloatVector:
    """Variance of the latent response, whatever the mean."""
    known = response.family.link.latent_variance
    if known is None or not response.family.traits.has_trials:
        raise DataError(
            'method="theoretical" is the variance of a latent response of binomial '
            "models with logit, probit, cloglog or loglog link; this model is "
            f'{response.family}: use method="delta"'
        )
    return np.full_like(response.scale, known)


def delta_variance(response: SingleResponse) -> FloatVector:
    """First-order variance of the link of a response."""
    link = response.family.link
    eta = link.eta(np.array([response.mean]))
    return response.variance() / np.asarray(link.curve(eta).first) ** 2


def lognormal_variance(response: SingleResponse) -> FloatVector:
    """Variance of the logarithm, were the response log-normal."""
    _refuse_other_links(response, "lognormal")
    return np.log1p(response.relative_variance())


def trigamma_variance(response: SingleResponse) -> FloatVector:
    """Variance of the logarithm, were the response gamma distributed."""
    _refuse_other_links(response, "trigamma")
    return np.asarray(polygamma(1, 1.0 / response.relative_variance()))


def _refuse_other_links(response: SingleResponse, method: str) -> None:
    if not response.family.link.is_logarithm:
        raise DataError(
            f"method={method!r} is a variance of logarithms, for models with log link; "
            f'this model is {response.family}: use method="delta"'
        )


VarianceFunction: TypeAlias = Callable[[SingleResponse], FloatVector]

RESIDUAL_VARIANCES: Methods[VarianceFunction] = methods(
    Method(name="theoretical", text="latent response", function=theoretical_variance),
    Method(name="delta", text="delta method", function=delta_variance),
    Method(name="lognormal", text="log-normal", function=lognormal_variance),
    Method(name="trigamma", text="trigamma function", function=trigamma_variance),
)


def usual_method(family: Family) -> str:
    """The method that ``"auto"`` stands for."""
    if family.traits.has_trials and family.link.latent_variance is not None:
        return "theoretical"
    return "lognormal" if family.link.is_logarithm else "delta"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResidualVariance:
    """A residual variance, and what moves it.

    Parameters
    ----------
    value : float
        In squared units of the linear predictor.
    slopes : (s,)
        Derivatives in the shape parameters that are estimated; of a linear model in
        sigma.
    """

    value: float
    slopes: FloatVector


def residual_variance(
    fitted: FittedModel, *, method: str = "auto", at: str = "typical"
) -> ResidualVariance:
    """The mean over the rows.

    Parameters
    ----------
    fitted : FittedModel
    method : str
        A name in `RESIDUAL_VARIANCES`, or ``"auto"``.
    at : {"typical", "population"}
        The mean at which it is taken, of the model without covariates.

    Raises
    ------
    DataError
        For methods that there are not, or not for this link.
    """
    as_word(at, MEANS, "at")
    as_word(method, ("auto", *RESIDUAL_VARIANCES), "method")
    name = usual_method(fitted.family) if method == "auto" else method
    value = partial(_value, fitted, RESIDUAL_VARIANCES[name].function)
    shapes = fitted.shape_values
    mean = _mean_of_one(fitted, at, partial(value, shapes))
    own = value(shapes, mean)
    if fitted.kind == "linear":  # sigma, not sigma^2, is the parameter
        return ResidualVariance(value=own, slopes=np.array([2.0 * own / fitted.sigma]))
    slopes = [_slope(value, shapes, mean, s) for s in range(len(fitted.family.shapes))]
    return ResidualVariance(value=own, slopes=np.array(slopes))


def _value(
    fitted: FittedModel, function: VarianceFunction, shapes: FloatVector, mean: float
) -> float:
    """The mean over the rows, at any shape values and mean."""
    family, shares = fitted.family, row_shares(fitted)
    scale = np.full_like(shares, family.scale(shapes) if family.shapes else 1.0)
    if family.traits.weights == "precision" and fitted.design.weights is not None:
        scale /= fitted.design.weights
    response = SingleResponse(family=family, mean=mean, shapes=shapes, scale=scale)
    return float(shares @ function(response))


_STEP = 1e-4  # of the logarithm of a shape parameter, in a closed form


def _slope(
    value: Callable[[FloatVector, float], float],
    shapes: FloatVector,
    mean: float,
    position: int,
) -> float:
    """Derivative in one shape parameter, by a central difference of its logarithm."""
    ends = []
    for step in (_STEP, -_STEP):
        moved = shapes.copy()
        moved[position] *= np.exp(step)
        ends.append(value(moved, mean))
    return float((ends[0] - ends[1]) / (2.0 * _STEP * shapes[position]))


def _mean_of_one(
    fitted: FittedModel, at: str, value: Callable[[float], float]
) -> float:
    """mu; of the null model only where the variance depends on it."""
    means = fitted.mean
    low, high = float(means.min()), float(means.max())
    with np.errstate(all="ignore"):
        ends = value(low), value(high)
    # A variance that is the same at both ends of the means does not depend on them.
    if np.isclose(*ends, rtol=1e-12, atol=0.0) or not isinstance(
        fitted, GeneralizedFittedModel
    ):
        return low
    return null_mean(fitted, at)
