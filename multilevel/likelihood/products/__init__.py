"""Cross-products: all that a linear model sees of its rows."""
