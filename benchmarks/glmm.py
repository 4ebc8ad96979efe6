"""Generalized linear mixed models: this package beside its peers, in one run.

    python benchmarks/glmm.py [--rounds 5] [--case TEXT] [--write FILE]

All models are logistic and fitted by the Laplace approximation.  Peers are timed where
they are installed: ``glmm`` and ``gpboost`` from PyPI, lme4 and glmmTMB through
Rscript.  Times are medians of a whole call, from formula text to standard errors, taken
in turn; BLAS is held to one thread for all.
"""

from __future__ import annotations

import argparse
import os
import warnings

for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

from pathlib import Path

from engines import has_r_package
from glm_cases import GLM_CASES, GlmCase
from glm_engines import available, time_r
from timing import alternate, text_table

import multilevel as ml

NAMES = ("multilevel", "glmm", "gpboost", "lme4", "glmmTMB")


def time_case(case: GlmCase, rounds: int) -> dict[str, tuple[float, float]]:
    """Median seconds and deviance of every engine that fits the case."""
    frame = case.data()
    engines = {n: b for n, b in available().items() if n not in case.slow}
    calls = {name: build(frame, case) for name, build in engines.items()}
    results = alternate(calls, rounds)
    for name in ("lme4", "glmmTMB"):
        if name not in case.slow and has_r_package(name):
            results[name] = time_r(frame, case, rounds, name)
    return results


def case_row(case: GlmCase, results: dict[str, tuple[float, float]]) -> list[str]:
    """Milliseconds of ours, and of the others with their ratio to ours."""
    ours = results["multilevel"][0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = ml.mixedglm(
            case.formula, case.data(), family="binomial", weights=case.weights
        ).fit()
    row = [case.name, f"{1e3 * ours:.1f}", str(result.optimization.evaluations)]
    for name in NAMES[1:]:
        if name in results:
            seconds = results[name][0]
            row.append(f"{1e3 * seconds:.1f} ({seconds / ours:.2f})")
        else:
            row.append("not run")
    return row


def deviance_row(case: GlmCase, results: dict[str, tuple[float, float]]) -> list[str]:
    """Deviance reached by ours, and by how much the others' is higher."""
    ours = results["multilevel"][1]
    row = [case.name, f"{ours:.6f}"]
    for name in NAMES[1:]:
        row.append(f"{results[name][1] - ours:+.1e}" if name in results else "not run")
    return row


def report(cases: list[GlmCase], rounds: int) -> str:
    """Both tables as reStructuredText."""
    speed, deviance = [], []
    for case in cases:
        results = time_case(case, rounds)
        speed.append(case_row(case, results))
        deviance.append(deviance_row(case, results))
        print(" | ".join(speed[-1]), flush=True)
    head = ["model", "multilevel, ms", "evaluations"]
    return "\n".join(
        [
            "Time of the whole call in milliseconds; in brackets, times ours.\n",
            text_table(head + list(NAMES[1:]), speed),
            "Deviance reached: ours, and by how much that of the others is higher.\n",
            text_table(["model", *NAMES], deviance),
        ]
    )


def main() -> None:
    """Run the cases asked for and print or write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--case", help="only cases whose name holds this text")
    parser.add_argument("--write", type=Path, help="file for the tables")
    options = parser.parse_args()
    chosen = [c for c in GLM_CASES if options.case is None or options.case in c.name]
    tables = report(chosen, options.rounds)
    if options.write:
        options.write.write_text(tables)
    else:
        print(tables)


if __name__ == "__main__":
    main()
