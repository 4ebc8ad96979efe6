"""From a design to a fit."""
