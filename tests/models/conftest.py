"""Saved fits that several tests take apart."""

from __future__ import annotations

import pytest
from saved_archives import FORMULA

import multilevel as ml


@pytest.fixture(scope="module")
def sleep():
    return ml.datasets.load("sleepstudy")


@pytest.fixture(scope="module")
def saved(sleep, tmp_path_factory):
    """Bytes of a linear and of a generalized fit."""
    folder = tmp_path_factory.mktemp("fits")
    cbpp = ml.datasets.load("cbpp")
    formula = "cbind(incidence, size - incidence) ~ period + (1 | herd)"
    ml.mixedlm(FORMULA, sleep).fit().save(folder / "linear")
    ml.mixedglm(formula, cbpp, family="binomial").fit().save(folder / "generalized")
    return {kind: (folder / kind).read_bytes() for kind in ("linear", "generalized")}
