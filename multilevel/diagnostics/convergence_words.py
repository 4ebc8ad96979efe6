"""What is said of a fit by how it ended: verdict, whether it matters, what to try.

Held by tests/diagnostics/test_convergence.py.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Literal, TypeAlias

State: TypeAlias = Literal[
    "separated",
    "unreached",
    "elsewhere",
    "unidentified",
    "singular",
    "simpler family",
    "sound",
]
"""How a fit may have ended, the gravest first."""

_NO_MAXIMUM = (
    "Yes: no number of this fit is that of a maximum. Do not report it; the fixed "
    "effects may be near their values, variances and tests need not be.",
)

MATTERS: MappingProxyType[State, tuple[str, ...]] = MappingProxyType(
    {
        "separated": (
            "Yes: the estimates named are as large as the search let them become, and "
            "their standard errors and Wald tests mean nothing. Fitted probabilities, "
            "the log-likelihood and likelihood-ratio tests are close to their limits "
            "and can be used; so can other fixed effects, as a rule.",
        ),
        "unreached": _NO_MAXIMUM,
        "elsewhere": _NO_MAXIMUM,
        "unidentified": (
            "Only for the variances named: the fixed effects, their tests, the "
            "likelihood and predictions are the same whichever values are taken.",
        ),
        "singular": (
            "Not for the fixed effects: the likelihood has its maximum here, and their "
            "estimates, standard errors and tests stand, as do predictions.",
            "For what is on the edge itself: it has no standard error and no Wald "
            "limits, and a test that it is zero needs a mixture of chi-squares, which "
            "compare_lr_test and compare_pooled take.",
        ),
        "simpler family": (
            "Not for the fixed effects. The parameter on the edge has no Wald limits, "
            "and a simpler family gives the same likelihood.",
        ),
        "sound": ("No: every result can be used as it is.",),
    }
)
"""For which results it matters."""

VERDICTS: MappingProxyType[State, str] = MappingProxyType(
    {
        "separated": ", though not to a maximum: see separation below.",
        "elsewhere": ", though not to the maximum of the likelihood: see below.",
        "unidentified": "; some variances cannot be told apart by any data.",
        "singular": (", on the edge of the parameter space: a result, not a failure."),
        "simpler family": (
            ", on the edge of the parameter space: a result, not a failure."
        ),
        "sound": ", inside the parameter space. Nothing needs to be done.",
    }
)
"""How the verdict on a fit that converged goes on."""

ON_THE_WAY = (
    "Fit again from here, by model.fit(start=result.theta), and from other starts, by "
    "result.optimization.explain(starts=5)."
)

_DATA = (
    "Look for mistyped values and for units that differ by many orders: "
    "data.describe() shows both.",
    "Simplify the random part: || for |, then (1 | g) alone; terms whose effects "
    "number nearly as many as the rows first.",
)

ADVICE: MappingProxyType[State, tuple[str, ...]] = MappingProxyType(
    {
        "separated": (
            "Tabulate the response against the columns named: a level or a range of "
            "them has one outcome only.",
            "Merge such a level with another one, or drop the column if it is the "
            "outcome in another guise.",
            "If the separation is real, report it as such, and test the column by a "
            "likelihood-ratio test: fit without it and use compare_lr_test.",
        ),
        "unreached": (
            "Do what the message above asks for, if it asks for something: it is the "
            "most telling reason that was found.",
            *_DATA,
        ),
        "elsewhere": (ON_THE_WAY, *_DATA),
        "unidentified": (
            "Keep one of the terms that say the same, or replace | by || where the "
            "correlation is one of the parameters named.",
            "Look for two grouping factors that group the rows alike, and for columns "
            "that are constant within the levels.",
        ),
        "simpler family": ("Fit the simpler family that the warning names.",),
    }
)
"""What to try, where that does not depend on more than how the fit ended."""
