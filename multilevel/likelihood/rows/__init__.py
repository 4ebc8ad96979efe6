"""From data to well-conditioned rows."""
