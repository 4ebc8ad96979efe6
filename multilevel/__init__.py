"""Linear and generalized mixed models: lme4's formulas, statsmodels' results.

Nothing is imported before it is asked for: ``import multilevel`` costs about a
millisecond, and patsy, pandas and statsmodels load with the first model.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from multilevel import datasets as datasets
    from multilevel import errors as errors
    from multilevel.design.random_effects import RandomTerm as RandomTerm
    from multilevel.models.formula_api import mixedglm as mixedglm
    from multilevel.models.formula_api import mixedlm as mixedlm
    from multilevel.models.loaded_fit import load as load
    from multilevel.models.mixedglm import MixedGLM as MixedGLM
    from multilevel.models.mixedlm import MixedLM as MixedLM
    from multilevel.models.simulated_studies import power as power
    from multilevel.models.simulated_studies import simulate_design as simulate_design
    from multilevel.models.unpooled_fit import unpooled as unpooled
    from multilevel.results.mixedglm_results import MixedGLMResults as MixedGLMResults
    from multilevel.results.mixedlm_results import MixedLMResults as MixedLMResults

__version__ = "0.1.0"

# Public name -> the module that it lives in, or the module that it is.
_HOMES = {
    "MixedGLM": "multilevel.models.mixedglm",
    "MixedGLMResults": "multilevel.results.mixedglm_results",
    "MixedLM": "multilevel.models.mixedlm",
    "MixedLMResults": "multilevel.results.mixedlm_results",
    "RandomTerm": "multilevel.design.random_effects",
    "datasets": "multilevel.datasets",
    "errors": "multilevel.errors",
    "load": "multilevel.models.loaded_fit",
    "mixedglm": "multilevel.models.formula_api",
    "mixedlm": "multilevel.models.formula_api",
    "power": "multilevel.models.simulated_studies",
    "simulate_design": "multilevel.models.simulated_studies",
    "unpooled": "multilevel.models.unpooled_fit",
}

__all__ = ["__version__", *_HOMES]  # noqa: PLE0604 - the names are strings


def __getattr__(name: str) -> object:
    """Import a public name from its home on first use."""
    if name not in _HOMES:
        raise AttributeError(f"module 'multilevel' has no attribute {name!r}")
    module = importlib.import_module(_HOMES[name])
    value = module if _HOMES[name] == f"multilevel.{name}" else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, imported or not."""
    return sorted(__all__)
