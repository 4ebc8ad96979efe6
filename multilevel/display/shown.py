"""Values that are shown: text in a terminal, HTML in a notebook, LaTeX in a paper.

Held by tests/display/test_frame_table.py.
"""

from __future__ import annotations

from abc import ABC, abstractmethod


class Shown(ABC):
    """What has a text, an HTML and a LaTeX form."""

    __slots__ = ()

    @abstractmethod
    def as_text(self) -> str:
        """For a terminal."""

    @abstractmethod
    def as_html(self) -> str:
        """For a notebook."""

    @abstractmethod
    def as_latex(self) -> str:
        """For a paper; the tables need the package booktabs."""

    def __str__(self) -> str:
        return self.as_text()

    def _repr_html_(self) -> str:
        return self.as_html()


class ShownAsTable(Shown):
    """A value that is shown as one table."""

    __slots__ = ()

    @abstractmethod
    def as_table(self) -> Shown:
        """The table."""

    def as_text(self) -> str:
        """The table for a terminal."""
        return self.as_table().as_text()

    def as_html(self) -> str:
        """The table for a notebook."""
        return self.as_table().as_html()

    def as_latex(self) -> str:
        """The table for a paper; it needs the package booktabs."""
        return self.as_table().as_latex()
