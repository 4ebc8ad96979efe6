"""Files of fits: a container, values and records in it, and how it is replaced."""
