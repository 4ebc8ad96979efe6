"""Numbers as text: as many digits as their uncertainty or their size deserves.

Held by tests/display/test_number_text.py and tests/display/test_frame_table.py.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from multilevel.array_types import IntVector

_WIDEST_FIXED = 9


def decimals_needed(values: ArrayLike, digits: int = 4) -> IntVector:
    """Decimals with which each value shows `digits` significant digits.

    Parameters
    ----------
    values : array_like
    digits : int

    Returns
    -------
    array of int
        Zero for values that are zero or not finite.

    Examples
    --------
    >>> decimals_needed([612.1, 35.07, 0.0123])
    array([1, 2, 5])
    """
    sizes = np.abs(np.atleast_1d(np.asarray(values, dtype=float)))
    usable = np.isfinite(sizes) & (sizes > 0)
    exponents = np.floor(np.log10(np.where(usable, sizes, 1.0)))
    return np.where(usable, np.maximum(digits - 1 - exponents, 0), 0).astype(np.intp)


def number_text(value: float, decimals: int) -> str:
    """A number with fixed decimals, or in powers of ten if that would mislead.

    Examples
    --------
    >>> number_text(3.14159, 2), number_text(2e-7, 3), number_text(float("nan"), 3)
    ('3.14', '2e-07', 'NaN')
    """
    if np.isnan(value):
        return "NaN"
    text = f"{value:.{decimals}f}"
    lost = value != 0 and float(text) == 0
    return f"{value:.3g}" if lost or len(text) > _WIDEST_FIXED + 5 else text


def column_text(values: ArrayLike, digits: int = 4) -> list[str]:
    """A column of numbers with common decimals where their sizes are comparable.

    Parameters
    ----------
    values : array_like, 1-d
    digits : int
        Significant digits of the smallest number that is comparable with the largest,
        and of each number that is not: it may be in another unit.

    Returns
    -------
    list of str

    Examples
    --------
    >>> column_text([612.1002, 35.07171, 654.94])
    ['612.10', '35.07', '654.94']
    >>> column_text([51000.0, 3.30512, 2.3e-5])
    ['51000', '3.305', '2.3e-05']
    """
    numbers = np.atleast_1d(np.asarray(values, dtype=float))
    largest = np.nanmax(np.abs(numbers), initial=0.0)
    comparable = np.abs(numbers) >= 1e-4 * largest
    needed = decimals_needed(numbers, digits)
    common = int(np.max(needed[comparable], initial=0))
    # Far smaller ones with many decimals would be zeros for the most part.
    own = np.where(needed > digits + 2, 0, needed)
    decimals = np.where(comparable, common, own).tolist()
    return [number_text(*pair) for pair in zip(numbers.tolist(), decimals, strict=True)]


def common_or_own_decimals(scales: ArrayLike, digits: int = 4) -> IntVector:
    """Decimals of each row of a table: the same in all rows if that is readable.

    Parameters
    ----------
    scales : (n,)
        What fixes the precision of a row, such as a standard error.
    digits : int

    Returns
    -------
    (n,) array of int
    """
    needed = decimals_needed(scales, digits)
    usable = np.isfinite(np.asarray(scales, dtype=float))
    if not usable.any() or np.ptp(needed[usable]) > 2:
        return needed
    return np.full(len(needed), needed[usable].max())


def p_text(p: float) -> str:
    """A p-value with three decimals, or that it is below 0.001.

    Examples
    --------
    >>> p_text(0.0123), p_text(0.0), p_text(float("nan"))
    ('0.012', '<0.001', 'NaN')
    """
    if np.isnan(p):
        return "NaN"
    return "<0.001" if p < 0.0005 else f"{p:.3f}"


def fixed_text(value: float, decimals: int) -> str:
    """A number with fixed decimals, whatever its size.

    Examples
    --------
    >>> fixed_text(-1.005e6, 2), fixed_text(float("nan"), 2)
    ('-1005000.00', 'NaN')
    """
    return "NaN" if np.isnan(value) else f"{value:.{decimals}f}"


def df_text(df: float) -> str:
    """Degrees of freedom: one decimal, none where there are many.

    Examples
    --------
    >>> df_text(17.0), df_text(16123.4), df_text(float("inf"))
    ('17.0', '16123', 'inf')
    """
    return fixed_text(df, 1 if df < 1e4 else 0)


def listing(items: Sequence[str]) -> str:
    """Join words as prose does.

    Examples
    --------
    >>> listing(["a"]), listing(["a", "b", "c"])
    ('a', 'a, b and c')
    """
    if len(items) < 2:
        return "".join(items)
    return ", ".join(items[:-1]) + " and " + items[-1]
