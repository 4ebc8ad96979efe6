"""Simulated studies: responses of designs without a fit, and power."""
