"""What a fit is: frozen values, nothing that a later fit could change."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OptimizationReport:
    """How the optimum was found.

    Parameters
    ----------
    converged : bool
    evaluations : int
        Of the deviance with its derivatives.
    gradient_norm : float
        Largest absolute derivative of the deviance in theta, of the working columns.
    expected_gain : float
        By how much the deviance could still fall, by its quadratic model.
    boundary : dict
        Parameters on the edge of the parameter space, by name, with their values.
    message : str
        The outcome in one line.
    seconds : float
        Wall time of the optimization.
    """

    converged: bool
    evaluations: int
    gradient_norm: float
    expected_gain: float
    boundary: dict[str, float]
    message: str
    seconds: float
