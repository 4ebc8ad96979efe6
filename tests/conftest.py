"""Settings that every test shares."""

from __future__ import annotations

import os

import hypothesis

# Numerical examples take longer the first time (imports, caches), so no deadline.
hypothesis.settings.register_profile("local", max_examples=25, deadline=None)
hypothesis.settings.register_profile("ci", max_examples=300, deadline=None)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "local")
