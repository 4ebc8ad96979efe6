"""Linear mixed models: this package beside its peers, in one run.

    python benchmarks/lmm.py [--rounds 5] [--case TEXT] [--write FILE]

Peers are timed where they are installed (``glmm``, ``mixedlm`` and ``gpboost`` from
PyPI, lme4 through Rscript), statsmodels always.  Times are medians of a whole call,
from formula text to standard errors, taken in turn; BLAS is held to one thread for all.
"""

from __future__ import annotations

import argparse
import os
import warnings

for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

from pathlib import Path

from cases import LMM_CASES, Case
from engines import available, fits, has_lme4, time_lme4
from growth import growth_rows
from memory import peak_memory
from timing import alternate, text_table

import multilevel as ml

NAMES = ("multilevel", "smf.ols", "statsmodels", "glmm", "mixedlm", "gpboost", "lme4")


def time_case(case: Case, rounds: int) -> dict[str, tuple[float, float]]:
    """Median seconds and deviance of every engine that fits the case."""
    frame = case.data()
    engines = {n: b for n, b in available().items() if fits(n, case)}
    calls = {name: build(frame, case) for name, build in engines.items()}
    results = alternate(calls, rounds)
    if has_lme4() and "lme4" not in case.slow:
        seconds, deviances = time_lme4(frame, case, rounds)
        results["lme4"] = sorted(seconds)[len(seconds) // 2], deviances[0]
    return results


def case_row(case: Case, results: dict[str, tuple[float, float]]) -> list[str]:
    """Milliseconds of ours, and of the others with their ratio to ours."""
    ours = results["multilevel"][0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = ml.mixedlm(case.formula, case.data()).fit(reml=case.reml)
    evaluations = result.optimization.evaluations
    row = [case.name, f"{1e3 * ours:.1f}", str(evaluations)]
    for name in NAMES[1:]:
        if name in results:
            seconds = results[name][0]
            row.append(f"{1e3 * seconds:.1f} ({seconds / ours:.2f})")
        else:
            row.append("not run")
    return row


def deviance_row(case: Case, results: dict[str, tuple[float, float]]) -> list[str]:
    """Deviance reached by ours, and by how much the others' is higher."""
    ours = results["multilevel"][1]
    row = [case.name, f"{ours:.6f}"]
    for name in NAMES[2:]:
        if name not in results:
            row.append("not run")
        elif name == "gpboost" and case.reml:
            row.append("ML only")
        else:
            row.append(f"{results[name][1] - ours:+.1e}")
    return row


def report(cases: list[Case], rounds: int, *, extras: bool) -> str:
    """All tables as reStructuredText."""
    speed, deviance = [], []
    for case in cases:
        results = time_case(case, rounds)
        speed.append(case_row(case, results))
        deviance.append(deviance_row(case, results))
        print(" | ".join(speed[-1]), flush=True)
    head = ["model", "multilevel, ms", "evaluations"]
    parts = [
        "Time of the whole call in milliseconds; in brackets, times ours.\n",
        text_table(head + list(NAMES[1:]), speed),
        "Deviance reached: ours, and by how much that of the others is higher.\n",
        text_table(["model", "multilevel", *NAMES[2:]], deviance),
    ]
    if extras:
        parts += _extras(rounds)
    return "\n".join(parts)


def _extras(rounds: int) -> list[str]:
    rows = growth_rows(rounds)
    memory = []
    for labels in ("numbers", "text"):
        frame, peak = peak_memory(labels)
        memory.append([labels, f"{frame:.0f}", f"{peak:.0f}", f"{peak / frame:.1f}"])
    head = ["series", "sizes", "milliseconds", "exponent"]
    for row in rows + memory:
        print(" | ".join(row), flush=True)
    return [
        "Growth of the time of the whole call.\n",
        text_table(head, rows),
        "Peak memory of the fit of 2,000,000 rows above the data frame's, in MB.\n",
        text_table(["group labels", "data frame", "peak", "ratio"], memory),
    ]


def main() -> None:
    """Run the cases asked for and print or write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--case", help="only cases whose name holds this text")
    parser.add_argument("--write", type=Path, help="file for the tables")
    options = parser.parse_args()
    chosen = [c for c in LMM_CASES if options.case is None or options.case in c.name]
    tables = report(chosen, options.rounds, extras=options.case is None)
    if options.write:
        options.write.write_text(tables)
    else:
        print(tables)


if __name__ == "__main__":
    main()
