"""What a family is: one frozen record of all that the package asks of it.

A new family is a file beside this one with its `FamilyTraits`, and a row of
`registry.FAMILIES`. Nothing outside that file compares a family with a name.

Held by tests/likelihood/families/test_registry.py and
tests/likelihood/families/test_families.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.random import Generator

from multilevel.array_types import BoolVector, FloatArray, FloatVector
from multilevel.errors import DataError
from multilevel.likelihood.families.links import InverseLink
from multilevel.likelihood.families.row_likelihood import RowLikelihood
from multilevel.likelihood.families.unit_cores import VarianceCurve


@dataclass(frozen=True, slots=True)
class Support:
    """Between which values responses lie, and means too.

    Parameters
    ----------
    low, high : float
    closed : bool
        Whether a response may be at an end.
    words : str
        What a response must be.
    """

    low: float = -np.inf
    high: float = np.inf
    closed: bool = False
    words: str = "finite"

    def contains(self, y: FloatVector) -> BoolVector:
        """Which responses are possible, (n,)."""
        if self.closed:
            return np.asarray((y >= self.low) & (y <= self.high))
        return np.asarray((y > self.low) & (y < self.high))


@dataclass(frozen=True, slots=True)
class Tails:
    """P(Y <= y) and P(Y > y), each with its own digits."""

    lower: FloatArray
    upper: FloatArray


@dataclass(frozen=True, slots=True)
class ResponseDistribution:
    """Deviance, distribution function and random numbers, of arrays that broadcast.

    A row of a continuous family with prior weight w has dispersion phi/w, as the mean
    of w responses; the weight of a binomial row is its number of trials. Rows with case
    weights keep their own distribution.

    Parameters
    ----------
    unit_deviance : callable
        (y, mean, shape values) -> d, never negative.
    tails : callable
        (y, mean, shape values, weight) -> Tails. Of a binomial, y is the proportion.
    draw : callable
        (generator, mean, shape values, weight) -> y, independent responses with means
        that the family can have.
    is_discrete : bool
    is_normal : bool
        Whether residuals over their standard deviation are standard normal.

    References
    ----------
    McCullagh & Nelder (1989), Generalized Linear Models, chapter 2.
    """

    unit_deviance: Callable[[FloatArray, FloatArray, FloatVector], FloatArray]
    tails: Callable[[FloatArray, FloatArray, FloatVector, FloatArray], Tails]
    draw: Callable[[Generator, FloatArray, FloatVector, FloatArray], FloatArray]
    is_discrete: bool = False
    is_normal: bool = False


@dataclass(frozen=True, slots=True)
class ShapeEdge:
    """Where a shape parameter makes the family no different from a simpler one.

    Parameters
    ----------
    family : str
        The simpler one.
    is_reached : callable
        (value, means (n,)) -> whether the data see no difference.
    words : str
        What that means for the data.
    """

    family: str
    is_reached: Callable[[float, FloatVector], bool]
    words: str


@dataclass(frozen=True, slots=True)
class ShapeParameter:
    """A positive parameter of the distribution besides the mean.

    Parameters
    ----------
    name : str
    search : (float, float)
        Logarithms between which a start is looked for.
    is_scale : bool
        Whether variances are proportional to it: a dispersion, not a size.
    edge : ShapeEdge, optional
    """

    name: str
    search: tuple[float, float]
    is_scale: bool
    edge: ShapeEdge | None = None


DISPERSION = ShapeParameter("dispersion", search=(-70.0, 70.0), is_scale=True)
"""phi, with Var y = phi V(mu) / weight; it may have the unit of the response."""


@dataclass(frozen=True, slots=True)
class StatsmodelsFamily:
    """How statsmodels writes a family.

    Parameters
    ----------
    family : str
        Name of the class; empty if it has none.
    inverse_shape : str
        The argument that is one over the shape parameter; empty if there is none.
    joint_model, joint_link : str
        The discrete model that estimates the shape parameter with the coefficients, of
        rows without weights, and its link; empty if there is none.
    """

    family: str = ""
    inverse_shape: str = ""
    joint_model: str = ""
    joint_link: str = ""

    def known_shapes(self, instance: object) -> tuple[float, ...] | None:
        """The value at which an instance holds the shape parameter, if it does."""
        if not self.inverse_shape:
            return None
        inverse = getattr(instance, self.inverse_shape)
        return (1.0 / float(inverse),) if inverse else None

    def arguments(self, shape_values: FloatVector) -> dict[str, float]:
        """What an instance with this shape parameter is made with."""
        return {self.inverse_shape: 1.0 / shape_values[0]} if self.inverse_shape else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyTraits:
    """All that is known of a family.

    Parameters
    ----------
    name : str
        By which it is asked for.
    spoken_name : str
    default_link : InverseLink
    canonical_link : str
        Name of the link with which observed and expected information are the same;
        empty if there is none without parameters.
    support : Support
    weights : {"trials", "cases", "precision"}
        What prior weights are: numbers of trials; how often a row counts, log p being
        multiplied; or the variance of a row is divided by them.
    shapes : tuple of ShapeParameter
    variance : callable
        (mean, shape values) -> VarianceCurve.
    variance_text : str
        Var(y) in words, less the weight.
    constant_variance : bool
        Whether V(mu) is the same for all means, so that the variance of responses can
        be mistaken for one between groups.
    distribution : ResponseDistribution
    bind : callable
        (family, y, weights, trials) -> RowLikelihood, as `bind_rows` is asked.
    statsmodels : StatsmodelsFamily
    ratios : mapping
        Link -> what exponentials of coefficients are, where it is not the link's own.
    model_names : mapping
        Link -> what the model without random effects is called.
    """

    name: str
    spoken_name: str
    default_link: InverseLink
    canonical_link: str = ""
    support: Support
    weights: Literal["trials", "cases", "precision"]
    shapes: tuple[ShapeParameter, ...] = ()
    variance: Callable[[FloatArray, FloatVector], VarianceCurve]
    variance_text: str = ""
    constant_variance: bool = False
    distribution: ResponseDistribution
    bind: Callable[
        [Family, FloatVector, FloatVector | None, FloatVector | None], RowLikelihood
    ]
    statsmodels: StatsmodelsFamily = StatsmodelsFamily()
    ratios: Mapping[str, str] = field(default_factory=dict)
    model_names: Mapping[str, str] = field(default_factory=dict)

    @property
    def has_trials(self) -> bool:
        """Whether a response is a share of a number of trials."""
        return self.weights == "trials"

    @property
    def is_count(self) -> bool:
        """Whether responses are counts without a limit."""
        return self.distribution.is_discrete and not self.has_trials


@dataclass(frozen=True, slots=True)
class Family:
    """A family with its link.

    Parameters
    ----------
    traits : FamilyTraits
    link : InverseLink
    known_shapes : tuple of float or None
        The values of the shape parameters where they are given, not estimated.

    Examples
    --------
    >>> from multilevel.likelihood.families.registry import family_of
    >>> family_of("binomial")
    Family('binomial', link='logit')
    """

    traits: FamilyTraits
    link: InverseLink
    known_shapes: tuple[float, ...] | None = None

    def __repr__(self) -> str:
        known = "" if self.known_shapes is None else f", {self.known_shapes}"
        return f"Family({self.name!r}, link={self.link.name!r}{known})"

    def __str__(self) -> str:
        held = zip(self.traits.shapes, self.known_shapes or (), strict=False)
        known = "".join(f", {shape.name} {value:g}" for shape, value in held)
        return f"{self.traits.spoken_name} ({self.link.name} link{known})"

    def is_same(self, other: Family) -> bool:
        """Whether another one is of the same distribution and link."""
        own, theirs = ((one.traits, one.known_shapes) for one in (self, other))
        return own == theirs and self.link.is_same(other.link)

    @property
    def name(self) -> str:
        """A key of `registry.FAMILIES`."""
        return self.traits.name

    @property
    def shapes(self) -> tuple[ShapeParameter, ...]:
        """The shape parameters that are estimated."""
        return () if self.known_shapes is not None else self.traits.shapes

    @property
    def has_scale(self) -> bool:
        """Whether variances are proportional to a parameter that is estimated."""
        return any(shape.is_scale for shape in self.shapes)

    @property
    def is_canonical(self) -> bool:
        """Whether observed and expected information are the same."""
        return self.link.name == self.traits.canonical_link

    def shape_values(self, estimated: FloatVector) -> FloatVector:
        """The values of all shape parameters, estimated or given."""
        return estimated if self.known_shapes is None else np.array(self.known_shapes)

    def scale(self, estimated: FloatVector) -> float:
        """The parameter that variances are proportional to, or one."""
        values = zip(self.shapes, estimated, strict=True)
        return next((float(value) for shape, value in values if shape.is_scale), 1.0)

    def ratio_name(self) -> str:
        """What exponentials of coefficients are; empty if no ratios of anything."""
        return self.traits.ratios.get(self.link.name, self.link.ratios)


def bind_rows(
    family: Family,
    y: FloatVector,
    weights: FloatVector | None,
    trials: FloatVector | None = None,
) -> RowLikelihood:
    """The likelihood of given rows.

    Parameters
    ----------
    family : Family
    y : (n,)
        Response; for the binomial family the proportion of successes.
    weights : (n,) or None
        Binomial: number of trials, one where None. Counts: case weights, which
        multiply log p. Else prior weights: the dispersion of a row is phi / weight.
    trials : (n,), optional
        Binomial: number of trials where `weights` is this number times a case weight.

    Raises
    ------
    DataError
        If a response is outside what the family can have.
    """
    refuse_impossible(family, y)
    return family.traits.bind(family, y, weights, trials)


def refuse_impossible(family: Family, y: FloatVector) -> None:
    """Raise DataError if the family cannot have produced some response."""
    inside = family.traits.support.contains(y)
    if not inside.all():
        first = int(np.argmin(inside))
        count = int((~inside).sum())
        raise DataError(
            f"a {family.name} response must be {family.traits.support.words}; {count} "
            f"of {len(y)} rows are not, the first is row {first} with {y[first]:g}"
        )
