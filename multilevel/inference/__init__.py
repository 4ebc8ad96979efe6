"""Tests, degrees of freedom and null distributions."""
