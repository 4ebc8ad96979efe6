"""The models as statsmodels sees them, and their formula interface."""
