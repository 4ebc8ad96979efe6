"""Rows that cannot be used, counted by cause.

Held by tests/design/test_missing_values.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from multilevel.array_types import BoolVector, IntVector
from multilevel.errors import DataError, DroppedRowsWarning, warn_caller


@dataclass(frozen=True, slots=True)
class DroppedRows:
    """How many rows were left out, and why.

    Attributes
    ----------
    n : int
        Rows dropped in all.
    causes : dict
        Column or expression -> number of rows missing in it, ``"w = 0"`` for rows of
        weight zero; a row may have several causes.
    total : int
        Rows before dropping.

    Examples
    --------
    >>> from multilevel.design.missing import DroppedRows
    >>> print(DroppedRows(3, {"math": 2, "ses": 1}, 100))
    3 of 100 rows dropped; missing: math (2), ses (1)
    """

    n: int
    causes: dict[str, int]
    total: int

    def __str__(self) -> str:
        if not self.n:
            return f"no row of {self.total} dropped"
        by_weight = {name: n for name, n in self.causes.items() if _is_weight(name)}
        missing = [
            f"{name} ({n})" for name, n in self.causes.items() if name not in by_weight
        ]
        parts = ["missing: " + ", ".join(missing)] if missing else []
        parts += [f"{name} ({n})" for name, n in by_weight.items()]
        return f"{self.n} of {self.total} rows dropped; " + "; ".join(parts)


def by_cause(found: Iterable[tuple[str, BoolVector]]) -> dict[str, BoolVector]:
    """Rows by what is missing in them; of things with one name, rows of either.

    Parameters
    ----------
    found : iterable of (name, (n,) booleans)

    Examples
    --------
    >>> import numpy as np
    >>> from multilevel.design.missing import by_cause
    >>> first, second = np.array([True, False]), np.array([False, True])
    >>> by_cause([("x", first), ("x", second)])["x"].tolist()
    [True, True]
    """
    causes: dict[str, BoolVector] = {}
    for name, rows in found:
        causes[name] = causes[name] | rows if name in causes else rows
    return causes


def _is_weight(cause: str) -> bool:
    return cause.endswith(" = 0")


@dataclass(slots=True)
class RowFilter:
    """The rows that are still in, as causes for leaving some out come up.

    Attributes
    ----------
    n_rows : int
        Rows of the data.
    refuse_missing : bool
        Raise when a value is missing, instead of dropping its row.
    kept : (n,) integers or None
        Positions of the rows still in; None while all are.
    causes : dict
        Cause -> number of rows.
    """

    n_rows: int
    refuse_missing: bool
    kept: IntVector | None = None
    causes: dict[str, int] = field(default_factory=dict)

    @property
    def n_kept(self) -> int:
        """Number of rows still in."""
        return self.n_rows if self.kept is None else len(self.kept)

    def drop(self, causes: Mapping[str, BoolVector]) -> None:
        """Leave out rows.

        Parameters
        ----------
        causes : mapping
            Cause -> which of the rows still in it concerns, (n_kept,).

        Raises
        ------
        DataError
            If nothing is left, if a column is missing throughout, or if a missing
            value is to be refused.
        """
        out = np.zeros(self.n_kept, dtype=bool)
        for cause, rows in causes.items():
            self.causes[cause] = self.causes.get(cause, 0) + int(rows.sum())
            out |= rows
            # Before anything is said about rows that are left: this names what to mend.
            if rows.all() and not _is_weight(cause):
                raise DataError(
                    f"{cause!r} is missing in all {len(rows)} rows; fill it in, or "
                    "leave it out of the formula"
                )
        if self.refuse_missing:
            self._refuse(causes)
        if out.all():
            raise DataError(
                f"no row is left: {self.dropped()}; no row has all that the model uses"
            )
        # Causes speak of the rows still in, positions always of the rows of the data.
        inside = np.flatnonzero(~out)
        self.kept = inside if self.kept is None else self.kept[inside]

    def _refuse(self, causes: Mapping[str, BoolVector]) -> None:
        missing = [
            f"{cause} ({int(rows.sum())} of {self.n_rows} rows)"
            for cause, rows in causes.items()
            if not _is_weight(cause)
        ]
        if missing:
            raise DataError(
                "missing values in " + ", ".join(missing) + "; fill them in, or drop "
                "those rows with missing='drop'"
            )

    def dropped(self) -> DroppedRows:
        """The count so far."""
        # "No row is left" is said before `kept` is narrowed; then all are out.
        n_out = self.n_rows - self.n_kept if self.kept is not None else self.n_rows
        return DroppedRows(n_out if self.causes else 0, dict(self.causes), self.n_rows)


def warn_of_dropped_rows(dropped: DroppedRows) -> None:
    """One line, if there is anything to say."""
    if dropped.n:
        warn_caller(str(dropped), DroppedRowsWarning)
