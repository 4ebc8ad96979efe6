"""Log-likelihoods of groups against the multivariate normal density of their rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy import stats

import multilevel as ml
from multilevel.errors import FitError

DESIGNS = {
    "one factor": "y ~ x + (x | g)",
    "nested": "y ~ x + (1 | g) + (x | g:h)",
    "nested, finer first": "y ~ x + (1 | g:h) + (1 | g)",
}


def _rows() -> pd.DataFrame:
    rng = np.random.default_rng(8)
    g, h, i = (index.ravel() for index in np.indices((9, 3, 5)))
    keep = rng.random(len(g)) < 0.9
    x, w = rng.normal(size=len(g)), rng.uniform(0.2, 4.0, len(g))
    y = rng.normal(size=9)[g] * (1.0 + x) + rng.normal(size=27)[3 * g + h] * (1.0 - x)
    y += rng.normal(size=len(g)) / np.sqrt(w)
    return pd.DataFrame({"y": y, "x": x, "g": g, "h": h, "w": w, "o": np.cos(i)})[keep]


@pytest.mark.filterwarnings("ignore::multilevel.errors.SingularFitWarning")
@pytest.mark.parametrize("reml", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("design", DESIGNS)
def test_each_group_has_the_density_of_its_rows(design, weighted, reml):
    rows = _rows()
    given = {"weights": "w"} if weighted else {}
    formula = DESIGNS[design] + " + offset(o)"
    result = ml.mixedlm(formula, rows, **given).fit(reml=reml)
    rows = rows.assign(cell=rows["g"].astype(str) + ":" + rows["h"].astype(str))
    columns = {"Intercept": np.ones(len(rows)), "x": rows["x"].to_numpy()}
    V = np.diag(result.scale / (rows["w"] if weighted else np.ones(len(rows))))
    for name, covariance in result.cov_re.items():
        labels = rows["g" if name == "g" else "cell"].to_numpy()
        Z = np.column_stack([columns[effect] for effect in covariance])
        same = labels[:, None] == labels
        V += same * (Z @ covariance.to_numpy() @ Z.T)
    mean = result.params["Intercept"] + result.params["x"] * rows["x"] + rows["o"]
    for group, found in result.llf_groups.items():
        own = np.flatnonzero(rows["g"] == group)
        normal = stats.multivariate_normal(mean.iloc[own], V[np.ix_(own, own)])
        assert_allclose(found, normal.logpdf(rows["y"].iloc[own]), rtol=1e-9)
    if not reml:
        assert_allclose(result.llf_groups.sum(), result.llf, rtol=1e-11)


@pytest.mark.filterwarnings("ignore::multilevel.errors.SingularFitWarning")
def test_crossed_factors_have_no_groups():
    result = ml.mixedlm("y ~ x + (1 | g) + (1 | h)", _rows()).fit()
    with pytest.raises(FitError, match="g, h are crossed"):
        _ = result.llf_groups
