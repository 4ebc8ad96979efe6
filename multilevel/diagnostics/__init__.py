"""Residuals and what they tell about a fit."""
