"""Fits of linear mixed models."""
