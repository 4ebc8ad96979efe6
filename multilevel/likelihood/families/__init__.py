"""Families and links: the likelihood of rows given their predictors."""
