"""Read the reference results of R: cases, their data, formulas and names."""

from __future__ import annotations

import json
import re
import warnings
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import pandas as pd
from statsmodels.genmod import families
from statsmodels.genmod.families import links

import multilevel as ml
from multilevel.errors import (
    DroppedRowsWarning,
    RankDeficiencyWarning,
    SingularFitWarning,
)

FOLDER = Path(__file__).parent / "reference"


@dataclass(frozen=True, eq=False)
class ReferenceCase:
    """One fit or one inference item of R."""

    id: str
    record: dict[str, Any]

    def __getitem__(self, field: str) -> Any:
        """Return a field; one that the file lacks is an error, not a skip."""
        return self.record[field]

    @property
    def formula(self) -> str:
        """Our formula: R's functions are understood, its power operator is not."""
        written = overrides().get(self.id, self["formula"])
        numbers = r"as\.integer\(as\.character\((\w+)\)\)"
        return re.sub(numbers, r"\1.astype(int)", written).replace("^", "**")

    def frame(self) -> pd.DataFrame:
        """The rows that R used, with factors as R had them."""
        rows = read_data(self["data"], self["data_file"])
        for name, spec in (self.record.get("factors") or {}).items():
            if spec.get("levels") and name in rows:
                rows[name] = pd.Categorical(rows[name], map(str, spec["levels"]))
        if self.record.get("subset"):
            rows = rows[rows.eval(self["subset"])].reset_index(drop=True)
        return rows

    def fitted(self) -> Any:
        """The same model by this package."""
        return _fitted(self)


@cache
def overrides() -> dict[str, str]:
    return json.loads((FOLDER / "formula_overrides.json").read_text())


@cache
def load_references(kind: str) -> tuple[ReferenceCase, ...]:
    """All cases of ``"lmm"``, ``"glmm"`` or ``"inference"``."""
    records = json.loads((FOLDER / f"{kind}.json").read_text())["cases"]
    return tuple(ReferenceCase(record["id"], record) for record in records)


def read_data(name: str, file: str) -> pd.DataFrame:
    """A new data frame, factors as categoricals with R's order of levels."""
    schema = json.loads((FOLDER / "data" / "schema.json").read_text())[name]["columns"]
    factors = {key for key, spec in schema.items() if spec["kind"] == "factor"}
    frame = pd.read_csv(
        FOLDER / "data" / Path(file).name,
        keep_default_na=False,
        na_values=[""],
        dtype=dict.fromkeys(factors, str),
    )
    for key in factors:
        levels = schema[key]["levels"] or natural_order(frame[key].dropna().unique())
        frame[key] = pd.Categorical(frame[key], levels)
    return frame


def natural_order(levels: Any) -> list[str]:
    """Numbers in numerical order, other labels in byte order."""
    if all(re.fullmatch(r"-?\d+(\.\d+)?", level) for level in levels):
        return sorted(levels, key=float)
    return sorted(levels)


# A few results only: consecutive tests ask for the same one.
@lru_cache(maxsize=4)
def _fitted(case: ReferenceCase) -> Any:
    frame = case.frame()
    weights = case.record.get("weights")
    if weights is not None:
        weights = frame.eval(weights)
    with warnings.catch_warnings():
        for category in expected_warnings(case):
            warnings.simplefilter("ignore", category)
        if "family" in case.record:
            family = family_of(case)
            model = ml.mixedglm(case.formula, frame, family=family, weights=weights)
            return model.fit(nagq=case.record.get("nAGQ", 1))
        model = ml.mixedlm(case.formula, frame, weights=weights)
        return model.fit(reml=case.record.get("reml", True))


def family_of(case: ReferenceCase) -> Any:
    """statsmodels' instance, or a name where the dispersion is estimated with it."""
    name = case["family"].lower()
    if name in ("negative_binomial_2", "nbinom2"):
        return "negativebinomial"
    return FAMILIES[name](link=LINKS[case["link"]]())


FAMILIES = {
    "binomial": families.Binomial,
    "poisson": families.Poisson,
    "gamma": families.Gamma,
}
LINKS = {
    "logit": links.Logit,
    "probit": links.Probit,
    "cloglog": links.CLogLog,
    "log": links.Log,
}


def expected_warnings(case: ReferenceCase) -> list[type[Warning]]:
    """The warnings that R's record says are due; any other one fails the test."""
    record = case.record
    dropped = record.get("rows_in_data", 0) != record.get("nobs", 0)
    # An inference item does not say whether its fit is singular: Dyestuff2's is.
    singular = record.get("is_singular") or record["data"] == "Dyestuff2"
    due = [
        (singular, SingularFitWarning),
        (record.get("dropped_columns"), RankDeficiencyWarning),
        (dropped, DroppedRowsWarning),
    ]
    return [category for is_due, category in due if is_due]


POLYNOMIALS = {".Linear": ".L", ".Quadratic": ".Q", ".Cubic": ".C"}


def canonical(name: str) -> frozenset[str]:
    """One key for R's and patsy's name of a column.

    ``MachineB:(Intercept)`` and ``Machine[T.B]:Intercept`` have the same key, whatever
    the order of the interaction.
    """
    name = name.replace("(Intercept)", "Intercept").replace(" ", "")
    name = name.replace("TRUE", "True").replace("scale(", "standardize(")
    name = name.replace(",ddof=1", "")
    name = re.sub(r"factor\((\w+)\)|C\((\w+)(,\w+)?\)", r"\1\2", name)
    name = re.sub(r"\[T\.([^]]*)\]|\[S\.[A-Z]*([^]]*)\]|\[([^]]*)\]", r"\1\2\3", name)
    for ours, theirs in POLYNOMIALS.items():
        name = name.replace(ours, theirs)
    return frozenset(name.replace("**", "^").split(":"))


def poly_aligned(name: str) -> str:
    """R counts the columns of ``poly(x, 2)`` from 1, patsy from 0."""
    return re.sub(r"(poly\([^)]*\))\[(\d)\]", lambda m: f"{m[1]}{int(m[2]) + 1}", name)


def by_name(values: Any, names: Any) -> dict[frozenset[str], float]:
    """Values by the canonical key of their names."""
    keys = [canonical(poly_aligned(str(name))) for name in names]
    return {key: float(value) for key, value in zip(keys, values, strict=True)}


def factor_of(group: str, factors: Any) -> str:
    """Our name of R's grouping factor: the same parts, in whatever order."""
    parts = frozenset(group.split(":"))
    (found,) = [name for name in factors if frozenset(name.split(":")) == parts]
    return found


def our_label(label: str, group: str, factor: str) -> str:
    """R's label of a level with the parts in the order of our factor's name."""
    theirs, ours = group.split(":"), factor.split(":")
    if theirs == ours:
        return label
    pieces = dict(zip(theirs, label.split(":"), strict=True))
    return ":".join(pieces[name] for name in ours)
