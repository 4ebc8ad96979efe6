"""What a formula says, as frozen records of text; nothing here has seen any data.

Held by tests/formula/test_formula_parsing.py.
"""

from __future__ import annotations

from dataclasses import dataclass

from multilevel.covariance.registry import written_term


@dataclass(frozen=True, slots=True)
class BarTerm:
    """One random term, after ``/``, ``*`` and ``||`` have been expanded.

    Attributes
    ----------
    effects : str
        What varies: a patsy right-hand side whose first piece says whether there is
        an intercept, as ``"1 + x"`` or ``"0 + x"``.
    groups : tuple of str
        The expressions whose combined values are the levels, as ``("batch", "cask")``.
    factor : str
        Their names joined by ``":"``.
    structure : str
        Name of the covariance structure, as ``"us"`` or ``"diag"``.
    start, end : int
        The term as written is ``text[start:end]`` of the formula.

    Examples
    --------
    >>> from multilevel.formula.parse import parse_formula
    >>> for term in parse_formula("y ~ x + (x || a/b)").random:
    ...     print(term)
    diag(1 + x | a)
    diag(1 + x | a:b)
    """

    effects: str
    groups: tuple[str, ...]
    factor: str
    structure: str
    start: int
    end: int

    def __str__(self) -> str:
        return written_term(self.structure, self.effects, self.factor)


@dataclass(frozen=True, slots=True)
class ModelFormula:
    """A mixed-model formula taken apart.

    Attributes
    ----------
    text : str
        The formula as written; positions of errors refer to it.
    response : str
        The left side as written.
    fixed : str
        Right-hand side of the fixed part, without random terms and offsets.
    random : tuple of BarTerm
        In the order written, expanded.
    offsets : tuple of str
        The expressions inside ``offset(...)``.
    responses : tuple of str
        The columns of the left side: one, or two for ``a + b`` and ``cbind(a, b)``.
    subtracted : tuple of str
        Expressions behind a minus sign, which must exist although no term has them.

    Examples
    --------
    >>> from multilevel.formula.parse import parse_formula
    >>> formula = parse_formula("math ~ ses + (ses | school) + offset(log(n))")
    >>> formula.fixed, formula.offsets
    ('ses', ('log(n)',))
    >>> formula.random[0].effects, formula.random[0].factor
    ('1 + ses', 'school')
    """

    text: str
    response: str
    fixed: str
    random: tuple[BarTerm, ...]
    offsets: tuple[str, ...]
    responses: tuple[str, ...]
    subtracted: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.text
