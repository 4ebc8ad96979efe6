"""Variance components: covariance matrices, their entries with standard errors."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pandas as pd
from scipy.special import ndtri

from multilevel.array_types import FloatMatrix, FloatVector
from multilevel.covariance.registry import STRUCTURES
from multilevel.covariance.standard_deviations import (
    StandardDeviations,
    correlation_name,
    sd_name,
)
from multilevel.covariance.structure import CovarianceStructure
from multilevel.display.column_formats import given_correlations
from multilevel.display.frame_table import FrameTable
from multilevel.display.shown import ShownAsTable
from multilevel.errors import DataError
from multilevel.inference.variance_parameters import (
    VarianceParameters,
    variance_parameters,
)
from multilevel.optimize.common.fitted_model import FittedModel
from multilevel.option_values import as_switch, as_tail_share


@dataclass(frozen=True, slots=True)
class TermCovariance:
    """Covariance matrix of the effects of one random term.

    Attributes
    ----------
    factor : str
        Name of the grouping factor.
    effects : tuple of str
        k names.
    structure : str
        Name of the covariance structure.
    theta : (m,)
        Relative parameters.
    relative_factor : (k, k)
        Lower triangular; the covariance is sigma^2 times its square.
    """

    factor: str
    effects: tuple[str, ...]
    structure: str
    theta: FloatVector
    relative_factor: FloatMatrix

    @property
    def covariance(self) -> CovarianceStructure:
        """The structure itself."""
        return STRUCTURES[self.structure](len(self.effects))

    def relative_covariance(self) -> FloatMatrix:
        """Covariance matrix (k, k) in units of the residual variance."""
        return np.asarray(self.relative_factor @ self.relative_factor.T)

    def correlated_pairs(self) -> tuple[tuple[int, int], ...]:
        """Positions (i, j), i < j, whose covariance is a parameter, not zero."""
        return self.covariance.correlated_pairs


@dataclass(frozen=True, slots=True)
class Component:
    """One standard deviation or correlation."""

    group: str
    effect1: str | None
    effect2: str | None
    vcov: float
    sdcor: float

    @property
    def is_sd(self) -> bool:
        """Whether it is a standard deviation."""
        return self.effect2 is None

    @property
    def name(self) -> str:
        """As in `conf_int`: ``sd(ses | school)``, ``cor(...)``, ``sigma``."""
        if self.effect1 is None:
            return "sigma"
        if self.effect2 is None:
            return sd_name(self.effect1, self.group)
        return correlation_name(self.effect1, self.effect2, self.group)


@dataclass(frozen=True, slots=True)
class VarianceComponents(ShownAsTable):
    """Estimated covariance matrices of the random effects, and the residual variance.

    Attributes
    ----------
    terms : tuple of TermCovariance
        In formula order.
    sigma : float
        Residual standard deviation; 1 where `has_residual` is false.
    has_residual : bool
        Whether there is a residual variance to report.
    parameters : callable, optional
        Gives the parameters of the fit, for standard errors.

    Notes
    -----
    Variances are in squared units of the response per squared unit of the column.
    """

    terms: tuple[TermCovariance, ...]
    sigma: float
    has_residual: bool = True
    parameters: Callable[[], VarianceParameters] | None = field(
        default=None, repr=False, compare=False
    )

    @property
    def factors(self) -> tuple[str, ...]:
        """Names of the grouping factors."""
        return tuple(dict.fromkeys(term.factor for term in self.terms))

    def cov(self, factor: str) -> pd.DataFrame:
        """Covariance matrix of all effects of one grouping factor.

        Parameters
        ----------
        factor : str
            Name of the grouping factor.

        Returns
        -------
        DataFrame
            Effects in rows and columns; 0 between independent terms.

        Raises
        ------
        DataError
            If there is no such factor.
        """
        terms = [term for term in self.terms if term.factor == factor]
        if not terms:
            raise DataError(
                f"no grouping factor {factor!r} in this model; "
                f"there is {', '.join(map(repr, self.factors))}"
            )
        names = [name for term in terms for name in term.effects]
        stacked = np.zeros((len(names), len(names)))
        start = 0
        for term in terms:
            end = start + len(term.effects)
            block = self.sigma**2 * term.relative_covariance()
            stacked[start:end, start:end] = block
            start = end
        return pd.DataFrame(stacked, index=names, columns=names)

    def to_frame(self, *, se: bool = False, alpha: float = 0.05) -> pd.DataFrame:
        """One row for every variance and every covariance that is a parameter.

        Parameters
        ----------
        se : bool
            Add `se` (delta method) and the limits `lower` and `upper` of `sdcor`.
            The limits are computed on the scale of the logarithm (standard
            deviations) or of Fisher's z (correlations), so they never cross 0 or 1.
            NaN for a parameter that is estimated on its boundary, or that the data
            leave open.
        alpha : float
            One minus the coverage of the limits.

        Returns
        -------
        DataFrame
            Columns `group`, `effect1`, `effect2` (missing for a variance), `vcov`
            (variance or covariance), `sdcor` (standard deviation or correlation).
        """
        parameters = self._known_parameters() if as_switch(se, "se") else None
        rows = self.components(None if parameters is None else parameters.roots)
        names = ("group", "effect1", "effect2", "vcov", "sdcor")
        frame = pd.DataFrame({n: [getattr(row, n) for row in rows] for n in names})
        for name in ("effect1", "effect2"):
            # None in object columns and NaN in those of text are the same to pandas.
            texts = [np.nan if text is None else text for text in frame[name]]
            frame[name] = pd.Series(texts, dtype=frame[name].dtype)
        if parameters is None:
            return frame
        return frame.assign(**self._uncertainty(rows, parameters, alpha))

    def components(
        self, roots: Sequence[FloatMatrix] | None = None
    ) -> tuple[Component, ...]:
        """Standard deviations, then correlations of each term; sigma at the end.

        Parameters
        ----------
        roots : one (k, r) for each term, optional
            Other square roots of the relative covariances.
        """
        own = [term.relative_factor for term in self.terms] if roots is None else roots
        found: list[Component] = []
        for term, root in zip(self.terms, own, strict=True):
            found += self._term_components(term, StandardDeviations.of(root))
        if self.has_residual:
            row = Component("Residual", None, None, self.sigma**2, self.sigma)
            found.append(row)
        return tuple(found)

    def _term_components(
        self, term: TermCovariance, relative: StandardDeviations
    ) -> Iterator[Component]:
        """The components of one term."""
        vcov, cor = self.sigma**2 * term.relative_covariance(), relative.correlation
        for i, name in enumerate(term.effects):
            sd = self.sigma * relative.sd[i]
            yield Component(term.factor, name, None, vcov[i, i], sd)
        for i, j in term.correlated_pairs():
            names = term.effects[i], term.effects[j]
            yield Component(term.factor, *names, vcov[i, j], cor[i, j])

    def slopes(self, parameters: VarianceParameters) -> FloatMatrix:
        """Derivatives of every component in the parameters and sigma, (rows, m + 1)."""
        place, rows = 0, []
        n_columns = sum(map(len, parameters.moves)) + 1
        moved = zip(self.terms, parameters.roots, parameters.moves, strict=True)
        for term, root, moves in moved:
            relative, k = StandardDeviations.of(root), len(root)
            pairs = [list(at) for at in zip(*term.correlated_pairs(), strict=True)]
            own = np.zeros((k + len(term.correlated_pairs()), n_columns))
            span = slice(place, place + len(moves))
            own[:k, span] = self.sigma * relative.sd_slopes(moves).T
            own[:k, -1] = relative.sd
            if pairs:
                turned = relative.correlation_slopes(moves)
                own[k:, span] = turned[:, pairs[0], pairs[1]].T
            rows.append(own)
            place = span.stop
        if self.has_residual:
            rows.append(np.eye(1, n_columns, n_columns - 1))
        return np.concatenate(rows) if rows else np.zeros((0, n_columns))

    def _known_parameters(self) -> VarianceParameters:
        if self.parameters is None:
            raise DataError("standard errors need the fit; ask the results object")
        return self.parameters()

    def _uncertainty(
        self, rows: Sequence[Component], parameters: VarianceParameters, alpha: float
    ) -> dict[str, FloatVector]:
        """Standard errors and limits of `sdcor`."""
        slopes, covariance = self.slopes(parameters), parameters.covariance
        value = np.array([row.sdcor for row in rows])
        is_sd = np.array([row.is_sd for row in rows])
        with np.errstate(divide="ignore", invalid="ignore"):
            se = np.sqrt(np.einsum("ia,ab,ib->i", slopes, covariance, slopes))
            inner = np.where(is_sd, np.log(value), np.arctanh(value))
            width = np.where(is_sd, se / value, se / (1.0 - value**2))
        # There the likelihood has no quadratic shape, and a delta method no meaning.
        edge = np.where(is_sd, value <= 0, np.abs(value) >= 1)
        edge |= np.array([row.name in parameters.undetermined for row in rows])
        se[edge] = width[edge] = np.nan
        reach = ndtri(1.0 - as_tail_share(alpha) / 2.0) * width
        with np.errstate(over="ignore"):  # no limit at all is infinite
            ends = [
                np.where(is_sd, np.exp(inner + step), np.tanh(inner + step))
                for step in (-reach, reach)
            ]
        return {"se": se, "lower": ends[0], "upper": ends[1]}

    def as_table(self) -> FrameTable:
        """The table that is printed: variance, standard deviation, correlations."""
        rows = self.components()
        shown = [row for row in rows if row.is_sd]
        columns = {
            "group": [row.group for row in shown],
            "effect": [row.effect1 or "" for row in shown],
            "variance": [row.vcov for row in shown],
            "sd": [row.sdcor for row in shown],
        }
        triangle = _correlation_columns(rows, shown)
        return FrameTable(
            pd.DataFrame(columns | triangle),
            "Random effects:",
            headings=dict.fromkeys(triangle, "") | {"cor_1": "Corr"},
            formats=dict.fromkeys(triangle, given_correlations),
        )


def variance_components(fitted: FittedModel) -> VarianceComponents:
    """Those of a fitted model."""
    design, fit, terms, start = fitted.design, fitted.fit, [], 0
    for term, factor in zip(design.terms, fit.factors, strict=True):
        end = start + STRUCTURES[term.structure](len(term.effects)).n_theta
        terms.append(
            TermCovariance(
                design.factors[term.factor_index].name,
                term.effects,
                term.structure,
                fit.theta[start:end],
                factor,
            )
        )
        start = end
    return VarianceComponents(
        tuple(terms),
        fit.sigma,
        has_residual=fitted.kind == "linear",
        parameters=partial(variance_parameters, fitted),
    )


def _correlation_columns(
    rows: Sequence[Component], shown: Sequence[Component]
) -> dict[str, pd.Series]:
    """Correlations of each effect with those above it, in as many columns as needed."""
    pairs = [row for row in rows if not row.is_sd]
    known = {(row.group, row.effect2, row.effect1): row.sdcor for row in pairs}
    lines = [
        [
            known.get((row.group, row.effect1, other.effect1))
            for other in shown
            if other.group == row.group and other.effect1 != row.effect1
        ]
        for row in shown
    ]
    columns = list(itertools.zip_longest(*lines))
    while columns and all(value is None for value in columns[-1]):
        columns.pop()
    return {
        f"cor_{i}": pd.Series(column, dtype=object)
        for i, column in enumerate(columns, 1)
    }
