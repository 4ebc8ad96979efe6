"""Pooled, unpooled and partially pooled estimates side by side."""
