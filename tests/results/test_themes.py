"""Every method of the results is at home in one theme."""

from __future__ import annotations

from collections import Counter

from multilevel.results.diagnostics import Diagnostics
from multilevel.results.fit_statistics import FitStatistics
from multilevel.results.fixed_effects import FixedEffects
from multilevel.results.mixed_results import MixedResults
from multilevel.results.mixedglm_results import MixedGLMResults
from multilevel.results.mixedlm_results import MixedLMResults
from multilevel.results.predictions import Predictions
from multilevel.results.random_effects import RandomEffects
from multilevel.results.tables import Tables
from multilevel.results.tests import Tests

THEMES = (
    FixedEffects,
    RandomEffects,
    Tests,
    Predictions,
    Diagnostics,
    FitStatistics,
    Tables,
)


def own_names(cls: type) -> set[str]:
    return {name for name in vars(cls) if not name.startswith("_")}


def test_a_name_belongs_to_one_theme():
    counted = Counter(name for theme in THEMES for name in own_names(theme))
    assert [name for name, times in counted.items() if times > 1] == []
    assert len(counted) > 45


def test_all_themes_are_there():
    assert all(issubclass(MixedResults, theme) for theme in THEMES)


def test_kinds_of_models_share_their_methods():
    # What a summary offers and what a family is differ; all else is written once.
    assert own_names(MixedLMResults) == set()
    assert own_names(MixedGLMResults) == {"family", "dispersion", "summary"}
    assert own_names(MixedResults) == {"save", "load"}
