"""Covariance structures of random terms: from theta to relative covariance factors."""
