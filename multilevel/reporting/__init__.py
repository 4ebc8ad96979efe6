"""Fits as text, HTML and LaTeX."""
