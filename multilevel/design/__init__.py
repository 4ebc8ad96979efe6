"""Formula and data to arrays: response, fixed effects, raw columns of random terms."""
