"""What no data of a design could tell of its random effects."""
