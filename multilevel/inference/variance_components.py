"""Variance components: covariance matrices, their entries with standard errors.

Held by tests/inference/test_variance_components.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pandas as pd
from scipy.linalg import block_diag

from multilevel.array_types import FloatMatrix, FloatVector
from multilevel.covariance.standard_deviations import StandardDeviations
from multilevel.display.frame_table import FrameTable
from multilevel.display.shown import ShownAsTable
from multilevel.errors import DataError
from multilevel.inference.intervals import bounded_limits
from multilevel.inference.variance_parameters import (
    VarianceParameters,
    variance_parameters,
)
from multilevel.inference.variance_table import variance_table
from multilevel.inference.variance_terms import Component, TermCovariance
from multilevel.optimize.common.fitted_model import FittedModel
from multilevel.option_values import as_switch


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
        blocks = [self.sigma**2 * term.relative_covariance() for term in terms]
        return pd.DataFrame(block_diag(*blocks), index=names, columns=names)

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
            row = Component(
                group="Residual",
                effect1=None,
                effect2=None,
                vcov=self.sigma**2,
                sdcor=self.sigma,
            )
            found.append(row)
        return tuple(found)

    def _term_components(
        self, term: TermCovariance, relative: StandardDeviations
    ) -> Iterator[Component]:
        """The components of one term."""
        vcov, cor = self.sigma**2 * term.relative_covariance(), relative.correlation
        for i, name in enumerate(term.effects):
            sd = self.sigma * relative.sd[i]
            yield Component(
                group=term.factor, effect1=name, effect2=None, vcov=vcov[i, i], sdcor=sd
            )
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
        with np.errstate(invalid="ignore"):
            se = np.sqrt(np.einsum("ia,ab,ib->i", slopes, covariance, slopes))
        # There the likelihood has no quadratic shape, and a delta method no meaning.
        edge = np.where(is_sd, value <= 0, np.abs(value) >= 1)
        edge |= np.array([row.name in parameters.undetermined for row in rows])
        se[edge] = np.nan
        limits = bounded_limits(value, se, is_sd, alpha=alpha)
        return {"se": se, "lower": limits[:, 0], "upper": limits[:, 1]}

    def as_table(self) -> FrameTable:
        """The table that is printed: variance, standard deviation, correlations."""
        return variance_table(self.components())


def variance_components(fitted: FittedModel) -> VarianceComponents:
    """Those of a fitted model."""
    design, fit = fitted.design, fitted.fit
    own = zip(design.terms, design.stacked_terms.slices, fit.factors, strict=True)
    terms = [
        TermCovariance(
            factor=design.factors[term.factor_index].name,
            effects=term.effects,
            structure=term.structure,
            theta=fit.theta[part],
            relative_factor=factor,
        )
        for term, part, factor in own
    ]
    return VarianceComponents(
        tuple(terms),
        fit.sigma,
        has_residual=fitted.kind == "linear",
        parameters=partial(variance_parameters, fitted),
    )
