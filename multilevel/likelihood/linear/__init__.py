"""The profiled deviance of linear models."""
