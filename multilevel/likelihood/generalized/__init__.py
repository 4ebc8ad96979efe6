"""Approximations of the integral over the random effects."""
