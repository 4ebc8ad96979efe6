"""The results objects: thin methods over the other layers."""
