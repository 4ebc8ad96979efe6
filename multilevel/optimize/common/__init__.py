"""What fits of linear and generalized models share."""
