"""Embedded data sets, each with its source, its columns and their units.

``names()`` and ``table()`` list them, ``describe(name)`` documents one, and
``load(name)`` returns it as a pandas data frame whose grouping factors are
categoricals.
"""

from multilevel.datasets.loading import describe, load, names, table

__all__ = ["describe", "load", "names", "table"]
