"""Curves through a fitted covariance along which deviances are nearly quadratic.

A step S, a symmetric matrix, leads from ``lam lam'`` to ``lam (I + S/4)^4 lam'``: for
one effect that is a step of the square root of its standard deviation, which is halfway
between the standard deviation, of which a deviance is quadratic near zero, and its
logarithm, of which it is quadratic far from zero. No step leaves the covariances, and
none leaves the directions in which a singular one is zero.

Held by tests/diagnostics/test_group_influence.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import block_diag

from multilevel.array_types import FloatArray, FloatMatrix, FloatVector
from multilevel.covariance.stacked_terms import StackedTerms
from multilevel.covariance.structure import CovarianceStructure

FLAT = 1e-9
"""Curvature of the deviance, in units of the largest, along which no step is taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TermPath:
    """The covariances of one term near its fitted one.

    Parameters
    ----------
    structure : CovarianceStructure
    theta : (m,)
    basis : (c, k, k) or None
        Symmetric matrices that S is made of; None to move theta itself, of structures
        whose covariances lie on no such curve.
    """

    structure: CovarianceStructure
    theta: FloatVector
    basis: FloatArray | None

    @classmethod
    def of(cls, structure: CovarianceStructure, theta: FloatVector) -> TermPath:
        """By what the structure is closed under."""
        entries, k = structure.free_entries, structure.n_effects
        closed = structure.freedom == "any" or all(i == j for i, j in entries)
        if structure.is_tied or not closed:
            return cls(structure=structure, theta=theta, basis=None)
        basis = np.zeros((len(entries), k, k))
        for own, (i, j) in zip(basis, entries, strict=True):
            own[i, j] = own[j, i] = 1.0
        return cls(structure=structure, theta=theta, basis=basis)

    @property
    def n_steps(self) -> int:
        """c, or m."""
        return len(self.theta if self.basis is None else self.basis)

    @property
    def moves(self) -> FloatArray:
        """Derivatives of ``lam lam'`` in the step, (c, k, k)."""
        if self.basis is None:
            return np.asarray(self.structure.moves(self.theta))
        lam = self.structure.factor(self.theta)
        return np.asarray(lam @ self.basis @ lam.T)

    def curvature(self, gamma: FloatMatrix) -> FloatMatrix:
        """Second derivatives of ``sum(gamma * G)`` along the curve, (c, c)."""
        if self.basis is None:
            weight = 2.0 * gamma @ self.structure.factor(self.theta)
            dlam = self.structure.jacobian(self.theta)
            across = np.einsum("aij,ik,bkj->ab", dlam, gamma, dlam)
            return np.asarray(
                2.0 * across + self.structure.curvature(self.theta, weight)
            )
        lam = self.structure.factor(self.theta)
        inner = lam.T @ gamma @ lam
        half = np.einsum("ij,ajk,bki->ab", inner, self.basis, self.basis)
        # (I + S/4)^4 = I + S + 3/8 S^2 + ...
        return np.asarray(0.375 * (half + half.T))

    def root(self, step: FloatVector) -> FloatMatrix:
        """A square root (k, k) of the covariance a step away."""
        if self.basis is None:
            return self.structure.factor(self.theta + step)
        values, vectors = np.linalg.eigh(np.tensordot(step, self.basis, 1))
        lam = self.structure.factor(self.theta)
        stretch = np.maximum(1.0 + values / 4.0, 0.0) ** 2
        return np.asarray(lam @ (vectors * stretch))


@dataclass(frozen=True, slots=True, kw_only=True)
class CovariancePath:
    """The covariances of all terms, in steps of one standard error.

    Parameters
    ----------
    terms : StackedTerms
    paths : one TermPath for each term
    directions : (c, m)
        Columns are independent steps, along each of which the deviance rises by one.
    """

    terms: StackedTerms
    paths: tuple[TermPath, ...]
    directions: FloatMatrix

    @classmethod
    def of(cls, terms: StackedTerms, theta: FloatVector) -> CovariancePath:
        """In steps of no particular length."""
        paths = tuple(
            TermPath.of(structure, theta[part])
            for structure, part in zip(terms.structures, terms.slices, strict=True)
        )
        n_steps = sum(path.n_steps for path in paths)
        return cls(terms=terms, paths=paths, directions=np.eye(n_steps))

    @property
    def n_directions(self) -> int:
        """m."""
        return int(self.directions.shape[1])

    def moves(self) -> list[FloatArray]:
        """Derivatives of G in the steps of the terms, (c, S, S) for each factor."""
        out = [np.zeros((len(self.directions), n, n)) for n in self.terms.block_sizes]
        place = 0
        for path, factor, block in zip(
            self.paths, self.terms.factor_of_term, self.terms.blocks, strict=True
        ):
            out[factor][place : place + path.n_steps, block, block] = path.moves
            place += path.n_steps
        return out

    def derivatives(self, gammas: list[FloatMatrix]) -> tuple[FloatVector, FloatMatrix]:
        """Gradient (c,) in the steps of the terms, and what the curves add to its own.

        Parameters
        ----------
        gammas : one (S, S) for each factor
            Derivative of the deviance in G.
        """
        gradient = np.zeros(len(self.directions))
        for gamma, moves in zip(gammas, self.moves(), strict=True):
            gradient += np.einsum("ij,aij->a", gamma, moves)
        terms = zip(
            self.paths, self.terms.factor_of_term, self.terms.blocks, strict=True
        )
        bent = [path.curvature(gammas[k][own, own]) for path, k, own in terms]
        return gradient, np.asarray(block_diag(*bent), dtype=float)

    def in_standard_errors(self, hessian: FloatMatrix) -> CovariancePath:
        """The same in independent steps that are one standard error long.

        Parameters
        ----------
        hessian : (c, c)
            Of the deviance in the steps of the terms.
        """
        # Each in its own unit first: what is flat is flat whatever the columns are.
        size = np.sqrt(np.maximum(np.diag(hessian), 0.0))
        unit = np.divide(1.0, size, out=np.zeros_like(size), where=size > 0)
        values, vectors = np.linalg.eigh(hessian * np.outer(unit, unit))
        kept = values > FLAT * max(values.max(initial=0.0), 1e-300)
        directions = unit[:, None] * vectors[:, kept] * np.sqrt(2.0 / values[kept])
        return CovariancePath(terms=self.terms, paths=self.paths, directions=directions)

    def roots(self, step: FloatVector) -> list[FloatMatrix]:
        """Square roots (k, k) of the covariances of the terms at a step (m,)."""
        steps, place, out = self.directions @ step, 0, []
        for path in self.paths:
            out.append(path.root(steps[place : place + path.n_steps]))
            place += path.n_steps
        return out

    def lams(self, step: FloatVector) -> list[FloatMatrix]:
        """The same by grouping factor, (S, S)."""
        return self.terms.stack(self.roots(step))
