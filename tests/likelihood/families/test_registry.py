"""What is said of families and links is true of their functions."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from statsmodels.genmod import families as sm_families

from generalized_cases import FAMILY_LINKS
from multilevel.likelihood.families.links import LINKS, power_link
from multilevel.likelihood.families.registry import FAMILIES, family_of, link_of
from multilevel.likelihood.families.traits import bind_rows

SHAPES = np.array([0.2])
FAR = np.array([-30.0, -3.0, 3.0, 30.0])
ALL_LINKS = [*LINKS.values(), power_link(3.0), power_link(-0.5)]


@pytest.mark.parametrize("link", ALL_LINKS, ids=lambda link: link.name)
def test_facts_of_a_link_are_those_of_its_mean(link):
    with np.errstate(all="ignore"):
        mean = link.mean(FAR)
    mean = mean[np.isfinite(mean)]
    assert link.lowest <= mean.min()
    assert mean.max() <= link.highest
    if link.is_bounded:
        ends = np.array([link.lowest, link.highest])
        assert (np.abs(mean[[0, -1]][:, None] - ends) < 0.02).any()
    if link.is_even:
        assert_allclose(link.mean(FAR), link.mean(-FAR))
    if link.is_symmetric:
        assert_allclose(link.mean(FAR) + link.mean(-FAR), 1.0)
    if link.mean_at_zero is not None:
        with np.errstate(over="ignore"):
            near = link.mean(np.array([1e-300]))[0]
        assert near < 1e-30 or near > 1e30
        assert (near > 1.0) == (link.mean_at_zero > 1.0)


@pytest.mark.parametrize("link", ALL_LINKS, ids=lambda link: link.name)
def test_statsmodels_makes_a_link_from_its_facts(link):
    theirs = getattr(sm_families.links, link.statsmodels_class)
    again = link_of(theirs(**link.statsmodels_options))
    assert again.name == link.name
    assert again.is_same(link)
    assert not again.is_same(power_link(7.0))


@pytest.mark.parametrize("name", FAMILIES)
def test_the_canonical_link_alone_has_the_same_information(name):
    family = family_of(name, FAMILIES[name].canonical_link or None)
    eta, y = np.array([-0.4, -0.9]), np.array([1.0, 1.0])
    eta = -eta if name in ("gamma", "inversegaussian") else eta
    for link in (family.link, LINKS["log"]):
        rows = bind_rows(family_of(name, link.name), y, None)
        observed = rows.terms(eta, SHAPES).weight
        same = np.allclose(observed, rows.expected_weight(eta, SHAPES), rtol=1e-12)
        assert same == family_of(name, link.name).is_canonical


@pytest.mark.parametrize("name", FAMILIES)
def test_derivatives_of_the_variance(name):
    mean, size, step = np.array([0.3, 0.8]), np.array([1.7]), 1e-6
    variance = FAMILIES[name].variance

    def slope(function):
        return (function(step) - function(-step)) / (2.0 * step)

    found = variance(mean, size)
    first = slope(lambda h: variance(mean + h, size).value)
    second = slope(lambda h: variance(mean + h, size).first)
    in_shape = slope(lambda h: variance(mean, size * np.exp(h)).value)
    assert_allclose(found.first, first, atol=1e-8)
    assert_allclose(found.second, second, atol=1e-8)
    expected = 0.0 if found.in_shapes is None else found.in_shapes[0]
    assert_allclose(in_shape, expected, atol=1e-8)
    assert FAMILIES[name].constant_variance == (np.ptp(found.value) == 0.0)


def test_every_family_and_link_is_tried():
    assert {name for name, _ in FAMILY_LINKS} == set(FAMILIES)
    aliases = {alias: link.name for link in LINKS.values() for alias in link.aliases}
    assert {aliases.get(link, link) for _, link in FAMILY_LINKS} == set(LINKS)


def test_families_are_the_same_by_content():
    poisson = family_of("poisson")
    assert poisson.is_same(family_of(sm_families.Poisson()))
    assert not poisson.is_same(family_of("poisson", "sqrt"))
    held = [family_of(sm_families.NegativeBinomial(alpha=a)) for a in (0.5, 0.25)]
    assert not held[0].is_same(held[1])
    assert str(held[1]) == "negative binomial (log link, size 4)"
