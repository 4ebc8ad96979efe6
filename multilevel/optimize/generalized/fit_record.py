"""What a fit of a generalized mixed model is: frozen values.

Held by tests/optimize/generalized/test_fit_glmm.py.
"""

from __future__ import annotations

from dataclasses import dataclass

from multilevel.array_types import FloatMatrix, FloatVector
from multilevel.optimize.common.fit_record import OptimizationReport


@dataclass(frozen=True, slots=True)
class GLMMFit:
    """Estimates of a generalized linear mixed model.

    Parameters
    ----------
    criterion : str
        ``"Laplace"`` or ``"AGQ(7)"``.
    theta : (m,)
        Covariance parameters, terms in formula order.
    working_theta : (m,)
        The same for the well-conditioned columns in which the optimizer works.
    working_params : (d,)
        [beta, theta, shapes] of the working columns.
    beta : (p,)
        Fixed effects of the columns that are not aliased, on the link scale.
    cov_beta : (p, p)
        From the joint Hessian of all parameters.
    cov_params : (d, d)
        Covariance of [beta, theta, shape values].
    shape_values : (s,)
        The shape parameters that were estimated. Gaussian, gamma, inverse Gaussian:
        phi, with Var y = phi V(mu). Negative binomial: the size, with Var y = mu +
        mu^2/size.
    sigma : float
        One: the random effects are on the link scale, Cov(b) = F F'.
    llf : float
        Maximized approximate log-likelihood with all its constants.
    factors : one (k, k) for each term
        Covariance factors; Cov(b) = F F'.
    modes : one (J, k) for each term
        Conditional modes of the random effects.
    eta : (n,)
        Linear predictor of every row, offset and random effects included.
    mu : (n,)
        Its mean on the scale of the response.
    n_parameters : int
    n_nodes : int
        Quadrature nodes for each effect; one is the Laplace approximation.
    is_singular : bool
    report : OptimizationReport
    """

    criterion: str
    theta: FloatVector
    working_theta: FloatVector
    working_params: FloatVector
    beta: FloatVector
    cov_beta: FloatMatrix
    cov_params: FloatMatrix
    shape_values: FloatVector
    sigma: float
    llf: float
    factors: tuple[FloatMatrix, ...]
    modes: tuple[FloatMatrix, ...]
    eta: FloatVector
    mu: FloatVector
    n_parameters: int
    n_nodes: int
    is_singular: bool
    report: OptimizationReport

    @property
    def dispersion(self) -> float:
        """The first shape parameter; one if none was estimated."""
        return float(self.shape_values[0]) if len(self.shape_values) else 1.0
