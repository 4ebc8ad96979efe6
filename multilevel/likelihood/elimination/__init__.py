"""Elimination of the random effects, level by level."""
