"""Simulated studies over numbers of groups and group sizes, in several processes.

Held by tests/simulation/test_power.py.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from numpy.random import Generator, SeedSequence
from scipy.special import betaincinv
from tqdm import tqdm

from multilevel.design.design_record import ModelDesign
from multilevel.errors import DataError, FitError
from multilevel.option_values import as_count
from multilevel.simulation.extended_design import Extension
from multilevel.simulation.power_study import Outcome, Study, outcomes, refuse_unfit

_MONTE_CARLO = 0.05


def read_extensions(
    design: ModelDesign, groups: Any, size: Any
) -> tuple[Extension, ...]:
    """Every combination of the numbers of groups and sizes that are asked for.

    Parameters
    ----------
    design : ModelDesign
    groups : mapping of factor to numbers, numbers of the only factor, or None
    size : int, sequence of int or None
        Rows in each group of the first factor of `groups`.

    Raises
    ------
    DataError
        For factors that the model does not have, and numbers that are none.
    """
    names = design.factor_names
    if groups is None or not isinstance(groups, Mapping):
        if len(names) > 1 and (groups is not None or size is not None):
            raise DataError(
                f"the model has the grouping factors {list(names)}; say of which in "
                f"groups={{{names[0]!r}: ...}}"
            )
        groups = {} if groups is None else {names[0]: groups}
    unknown = [name for name in groups if name not in names]
    if unknown:
        raise DataError(
            f"groups has {unknown[0]!r}, which is no grouping factor; there are "
            f"{list(names)}"
        )
    counts = [_counts(own, f"groups[{name!r}]", 2) for name, own in groups.items()]
    sizes = [None] if size is None else _counts(size, "size", 1)
    sized = next(iter(groups), names[0])
    return tuple(
        Extension(
            groups=dict(zip(groups, combination[:-1], strict=True)),
            sized=sized,
            size=combination[-1],
        )
        for combination in product(*counts, sizes)
    )


def _counts(given: Any, name: str, least: int) -> list[Any]:
    listed = list(given) if np.ndim(given) else [given]
    if not listed:
        raise DataError(f"{name} is empty; give one number or several")
    return [as_count(value, name, least=least) for value in listed]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How often to simulate, and how.

    Parameters
    ----------
    n : int
        Studies of each size.
    alpha : float
        Level of the test.
    n_jobs : int
        Processes; -1 for one a core.
    progress : bool
        A bar on standard error.
    """

    n: int
    alpha: float
    n_jobs: int
    progress: bool


def power_frame(
    study: Study, extensions: Sequence[Extension], plan: Plan, rng: Generator
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Share of studies in which the test rejects, by size of the study.

    Parameters
    ----------
    study : Study
    extensions : sequence of Extension
    plan : Plan
    rng : Generator

    Returns
    -------
    frame : DataFrame
        A row for each extension.
    notes : tuple of str
        What failed.

    Raises
    ------
    FitError
        If all studies of some size failed, with the reason.
    DataError
        If the model cannot be estimated from studies of some size.
    """
    for extension in extensions:
        _refuse(study, extension)
    entropy = [int(word) for word in rng.integers(0, 2**32, size=4)]
    tasks = list(_tasks(extensions, plan, entropy))
    found: dict[int, list[Outcome]] = {number: [] for number in range(len(extensions))}
    total = plan.n * len(extensions)
    with tqdm(total=total, disable=not plan.progress, desc="power") as bar:
        for number, results in _run(study, extensions, tasks, plan):
            found[number] += results
            bar.update(len(results))
    rows = [
        _row(study, extension, found[number], plan)
        for number, extension in enumerate(extensions)
    ]
    return pd.DataFrame(rows), _notes(found)


def _refuse(study: Study, extension: Extension) -> None:
    try:
        refuse_unfit(study, extension)
    except DataError as error:
        raise DataError(f"in a study of {_described(extension)}: {error}") from None


_Task = tuple[int, list[SeedSequence]]


def _tasks(
    extensions: Sequence[Extension], plan: Plan, entropy: list[int]
) -> Iterator[_Task]:
    """Positions of extensions with the seeds of some of their studies."""
    chunk = max(1, min(25, plan.n // (2 * max(_n_processes(plan), 1)) or 1))
    for number, extension in enumerate(extensions):
        # By the size of the study, not by its place: other sizes leave it alone.
        key = (*extension.groups.values(), extension.size or 0)
        seeds = [
            SeedSequence(entropy, spawn_key=(*key, repeat)) for repeat in range(plan.n)
        ]
        for start in range(0, plan.n, chunk):
            yield number, seeds[start : start + chunk]


def _n_processes(plan: Plan) -> int:
    return (os.cpu_count() or 1) if plan.n_jobs < 0 else plan.n_jobs


def _run(
    study: Study, extensions: Sequence[Extension], tasks: Sequence[_Task], plan: Plan
) -> Iterator[tuple[int, list[Outcome]]]:
    if _n_processes(plan) <= 1:
        for number, seeds in tasks:
            yield number, outcomes(study, extensions[number], seeds)
        return
    # Started afresh: a copy of a process that has threads may hang.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(_n_processes(plan), mp_context=context) as pool:
        pending: dict[Future[list[Outcome]], int] = {
            pool.submit(outcomes, study, extensions[number], seeds): number
            for number, seeds in tasks
        }
        try:
            for done in as_completed(pending):
                yield pending[done], done.result()
        finally:
            # Whoever stops early does not wait for the rest.
            pool.shutdown(wait=False, cancel_futures=True)


def _row(
    study: Study, extension: Extension, results: Sequence[Outcome], plan: Plan
) -> dict[str, float]:
    failed = [one.failure for one in results if one.failure]
    if len(failed) == len(results):
        raise FitError(
            f"all {len(failed)} simulated studies of {_described(extension)} failed; "
            f"the first: {failed[0]}"
        )
    # A study that cannot be analysed finds nothing.
    rejected = sum(one.pvalue < plan.alpha for one in results)
    lower, upper = clopper_pearson(rejected, len(results))
    names = list(extension.groups)
    return {
        **_group_columns(study, extension, names),
        "size": extension.size if extension.size is not None else np.nan,
        "power": rejected / len(results),
        "lower": lower,
        "upper": upper,
        "n_failed": len(failed),
    }


def _group_columns(
    study: Study, extension: Extension, names: Sequence[str]
) -> dict[str, float]:
    """`groups` of one factor; of several a column for each."""
    if len(names) > 1:
        return {f"groups_{name}": extension.groups[name] for name in names}
    own = study.design.factor(names[0] if names else extension.sized).n_levels
    return {"groups": extension.groups[names[0]] if names else own}


def _described(extension: Extension) -> str:
    parts = [f"{count} levels of {name!r}" for name, count in extension.groups.items()]
    if extension.size is not None:
        rows = "row" if extension.size == 1 else "rows"
        parts.append(f"{extension.size} {rows} in each level of {extension.sized!r}")
    return " and ".join(parts) or "this design"


def _notes(found: Mapping[int, Sequence[Outcome]]) -> tuple[str, ...]:
    failed = [one.failure for own in found.values() for one in own if one.failure]
    if not failed:
        return ()
    return (
        f"{len(failed)} studies could not be analysed and count as no rejection; the "
        f"first: {failed[0]}",
    )


def clopper_pearson(
    successes: int, n: int, alpha: float = _MONTE_CARLO
) -> tuple[float, float]:
    """Exact limits of a probability.

    Examples
    --------
    >>> [round(limit, 4) for limit in clopper_pearson(8, 10)]
    [0.4439, 0.9748]
    """
    k, tail = float(successes), alpha / 2.0
    low = float(betaincinv(k, n - k + 1.0, tail)) if k > 0 else 0.0
    high = float(betaincinv(k + 1.0, n - k, 1.0 - tail)) if k < n else 1.0
    return low, high
