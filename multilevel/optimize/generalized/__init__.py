"""Fits of generalized linear mixed models."""
