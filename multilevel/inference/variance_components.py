"""Variance components: the only place where theta becomes sd and correlation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy.special import ndtri

from multilevel.array_types import FloatArray, FloatMatrix, FloatVector
from multilevel.covariance.registry import STRUCTURES
from multilevel.covariance.structure import CovarianceStructure
from multilevel.display.number_text import column_text
from multilevel.display.text_table import TextTable
from multilevel.errors import DataError
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
class MovingRoot:
    """A square root of a term's relative covariance, and how its parameters move it.

    Parameters
    ----------
    root : (k, r)
    moves : (m, k, r)
        Derivatives of the root.
    """

    root: FloatMatrix
    moves: FloatArray


@dataclass(frozen=True, slots=True)
class Component:
    """One standard deviation or correlation.

    `derivative` is that of `sdcor` in the parameters of all terms and sigma, see
    `MovingRoot`.
    """

    group: str
    effect1: str | None
    effect2: str | None
    vcov: float
    sdcor: float
    derivative: FloatVector

    @property
    def name(self) -> str:
        """As in `conf_int`: ``sd(ses | school)``, ``cor(...)``, ``sigma``."""
        if self.effect1 is None:
            return "sigma"
        if self.effect2 is None:
            return f"sd({self.effect1} | {self.group})"
        return f"cor({self.effect1}, {self.effect2} | {self.group})"


@dataclass(frozen=True, slots=True)
class VarianceComponents:
    """Estimated covariance matrices of the random effects, and the residual variance.

    Attributes
    ----------
    terms : tuple of TermCovariance
        In formula order.
    sigma : float
        Residual standard deviation; 1 where `has_residual` is false.
    has_residual : bool
        Whether there is a residual variance to report.

    parameter_covariance : callable, optional
        Covariance matrix of the parameters of all terms and of sigma.
    moving_roots : callable, optional
        One `MovingRoot` a term, for the parameters that `parameter_covariance` is
        about; theta of the terms by default.
    undetermined : callable, optional
        Names of the components that the data leave open; they have no standard error.

    Notes
    -----
    Variances are in squared units of the response per squared unit of the column.
    """

    terms: tuple[TermCovariance, ...]
    sigma: float
    has_residual: bool = True
    parameter_covariance: Callable[[], FloatMatrix] | None = field(
        default=None, repr=False, compare=False
    )
    moving_roots: Callable[[], Sequence[MovingRoot]] | None = field(
        default=None, repr=False, compare=False
    )
    undetermined: Callable[[], frozenset[str]] | None = field(
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
        carried = self.moving_roots() if se and self.moving_roots else None
        rows = list(self.components(carried))
        names = ("group", "effect1", "effect2", "vcov", "sdcor")
        frame = pd.DataFrame({n: [getattr(row, n) for row in rows] for n in names})
        for name in ("effect1", "effect2"):
            # None in object columns and NaN in those of text are the same to pandas.
            texts = [np.nan if text is None else text for text in frame[name]]
            frame[name] = pd.Series(texts, dtype=frame[name].dtype)
        if not as_switch(se, "se"):
            return frame
        return frame.assign(**self._uncertainty(rows, alpha))

    def components(
        self, roots: Sequence[MovingRoot] | None = None
    ) -> Iterator[Component]:
        """Standard deviations, then correlations of each term; sigma at the end."""
        moving = [_own_root(term) for term in self.terms] if roots is None else roots
        n_parameters = sum(len(root.moves) for root in moving) + 1
        start = 0
        for term, root in zip(self.terms, moving, strict=True):
            place = slice(start, start + len(root.moves))
            yield from self._term_components(term, root, place, n_parameters)
            start = place.stop
        if self.has_residual:
            last = np.zeros(n_parameters)
            last[-1] = 1.0
            yield Component("Residual", None, None, self.sigma**2, self.sigma, last)

    def _term_components(
        self, term: TermCovariance, moving: MovingRoot, place: slice, n_parameters: int
    ) -> Iterator[Component]:
        """The components of one term, whose parameters are at `place` among all."""
        factor, moved = moving.root, moving.moves
        covariance = self.sigma**2 * term.relative_covariance()
        # Standard deviations are lengths of the factor's rows, correlations products
        # of its unit rows; nothing underflows that the factor does not, as each row
        # is scaled before its entries are squared.
        largest = np.abs(factor).max(axis=1)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            scaled = factor / largest[:, None]
            relative = np.linalg.norm(scaled, axis=1)
            rows = scaled / relative[:, None]
            lengths = np.where(largest > 0, largest * relative, 0.0)
            longer = np.einsum("aij,ij->ai", moved, rows)
            turned = (moved - longer[:, :, None] * rows) / lengths[:, None]
        correlation = np.clip(rows @ rows.T, -1.0, 1.0)
        for i, name in enumerate(term.effects):
            slope = np.zeros(n_parameters)
            slope[place], slope[-1] = self.sigma * longer[:, i], lengths[i]
            sd = self.sigma * lengths[i]
            yield Component(term.factor, name, None, covariance[i, i], sd, slope)
        for i, j in term.correlated_pairs():
            slope = np.zeros(n_parameters)
            with np.errstate(invalid="ignore"):  # infinite next to a zero row
                slope[place] = turned[:, i] @ rows[j] + turned[:, j] @ rows[i]
            names = term.effects[i], term.effects[j]
            vcov, cor = covariance[i, j], correlation[i, j]
            yield Component(term.factor, *names, vcov, cor, slope)

    def _uncertainty(
        self, rows: list[Component], alpha: float
    ) -> dict[str, FloatVector]:
        """Standard errors and limits of `sdcor`."""
        if self.parameter_covariance is None:
            raise DataError("standard errors need the fit; ask the results object")
        covariance = self.parameter_covariance()
        slopes = np.array([row.derivative for row in rows])
        value = np.array([row.sdcor for row in rows])
        is_sd = np.array([row.effect2 is None for row in rows])
        with np.errstate(divide="ignore", invalid="ignore"):
            se = np.sqrt(np.einsum("ia,ab,ib->i", slopes, covariance, slopes))
            inner = np.where(is_sd, np.log(value), np.arctanh(value))
            width = np.where(is_sd, se / value, se / (1.0 - value**2))
        edge = np.where(is_sd, value <= 0, np.abs(value) >= 1)
        if self.undetermined is not None:
            left_open = self.undetermined()
            edge |= np.array([row.name in left_open for row in rows], dtype=bool)
        se[edge] = width[edge] = np.nan
        reach = ndtri(1.0 - as_tail_share(alpha) / 2.0) * width
        with np.errstate(over="ignore"):  # no limit at all is infinite
            ends = [
                np.where(is_sd, np.exp(inner + step), np.tanh(inner + step))
                for step in (-reach, reach)
            ]
        return {"se": se, "lower": ends[0], "upper": ends[1]}

    def as_table(self) -> TextTable:
        """The table that is printed: variance, standard deviation, correlations."""
        rows = list(self.components())
        shown = [row for row in rows if row.effect2 is None]
        variances = column_text([row.vcov for row in shown])
        sds = column_text([row.sdcor for row in shown])
        correlations: dict[tuple[str, str | None, str | None], str] = {
            (row.group, row.effect2, row.effect1): f"{row.sdcor:.2f}"
            for row in rows
            if row.effect2 is not None
        }
        lines = []
        previous = None
        for row, variance, sd in zip(shown, variances, sds, strict=True):
            own = [
                correlations.get((row.group, row.effect1, other.effect1), "")
                for other in shown
                if other.group == row.group and other.effect1 != row.effect1
            ]
            group = "" if row.group == previous else row.group
            previous = row.group
            lines.append((group, row.effect1 or "", variance, sd, *own))
        return _padded_table(lines)

    def __str__(self) -> str:
        return self.as_table().as_text()

    def _repr_html_(self) -> str:
        return self.as_table().as_html()


def _own_root(term: TermCovariance) -> MovingRoot:
    """The relative factor, moved by theta."""
    return MovingRoot(term.relative_factor, term.covariance.jacobian(term.theta))


def _padded_table(lines: list[tuple[str, ...]]) -> TextTable:
    """The printed table, with as many correlation columns as are needed."""
    used = [max((i for i, cell in enumerate(line, 1) if cell)) for line in lines]
    width = max(4, *used)
    header = ("Group", "Effect", "Variance", "Std.Dev.", "Corr")[:width]
    header += ("",) * (width - len(header))
    rows = tuple((line + ("",) * width)[:width] for line in lines)
    return TextTable(header, rows, left=2, title="Random effects:")
