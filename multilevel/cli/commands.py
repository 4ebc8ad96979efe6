"""What the commands do; the exit status says how it went.

Held by tests/cli/test_commands.py.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from multilevel.cli.arguments import build_parser

if TYPE_CHECKING:
    import pandas as pd

    from multilevel.results.mixed_results import MixedResults

DONE, NOT_CONVERGED, BAD_INPUT = 0, 1, 2


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; by default those of the process.

    Returns
    -------
    int
        Exit status: 0, or 1 for a fit that did not converge, or 2 for bad input,
        which one message on standard error explains.
    """
    arguments = build_parser().parse_args(argv)
    # Only now, so that --version and --help answer without loading pandas.
    from multilevel.errors import MultilevelError

    try:
        with _warnings_on_one_line():
            return COMMANDS[arguments.command](arguments)
    except MultilevelError as problem:
        print(f"multilevel: {problem}", file=sys.stderr)
    except OSError as problem:
        place = f" {problem.filename!r}" if problem.filename else ""
        print(f"multilevel: {problem.strerror}{place}", file=sys.stderr)
    return BAD_INPUT


def fit_command(arguments: argparse.Namespace) -> int:
    """Fit the model, print it, save it if asked.

    Parameters
    ----------
    arguments : argparse.Namespace
        ``formula, data, ml, weights, family, link, nagq, exponentiate, json, save``.

    Returns
    -------
    int
        0, or 1 if the fit did not converge (it is printed all the same), or 2 if it
        could not be saved (it is printed all the same).
    """
    if arguments.save:
        from multilevel.results.saved.replaced_file import refuse_unwritable

        refuse_unwritable(arguments.save)
    result = _fitted(arguments)
    if arguments.json:
        from multilevel.cli.fit_document import as_json

        print(as_json(result))
    else:
        options = {"exponentiate": True} if arguments.exponentiate else {}
        print(result.summary(**options))
    if arguments.save and not _saved(result, arguments.save):
        return BAD_INPUT
    return DONE if result.converged else NOT_CONVERGED


def _saved(result: MixedResults, path: str) -> bool:
    """Whether the result could be saved; the reason is printed if not."""
    from multilevel.errors import MultilevelError

    sys.stdout.flush()  # what was found stands before the complaint, and is not lost
    try:
        result.save(path)
    except (MultilevelError, OSError) as problem:
        why = getattr(problem, "strerror", None) or problem
        print(
            f"multilevel: the fit above could not be saved to {path!r}: {why}",
            file=sys.stderr,
        )
        return False
    return True


def datasets_command(arguments: argparse.Namespace) -> int:
    """List the embedded data sets, or describe one.

    Parameters
    ----------
    arguments : argparse.Namespace
        ``name``, or None for the list.

    Returns
    -------
    int
        0.
    """
    from multilevel.datasets import describe, table

    if arguments.name:
        print(describe(arguments.name))
        return DONE
    for name, rows, title in table()[["rows", "title"]].itertuples(name=None):
        print(f"{name:<12} {rows:>7,} rows  {title}")
    return DONE


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "fit": fit_command,
    "datasets": datasets_command,
}


def _fitted(arguments: argparse.Namespace) -> MixedResults:
    """Return the fit that the arguments ask for."""
    from multilevel.cli.data_source import read_table
    from multilevel.cli.progress import announced

    _refuse_options_of_the_other_model(arguments)
    fitter = _generalized_fitter if arguments.family else _linear_fitter
    fit = fitter(arguments)
    data = read_table(arguments.data)
    with announced(f"fitting {len(data):,} rows", sys.stderr):
        return fit(data)


def _refuse_options_of_the_other_model(arguments: argparse.Namespace) -> None:
    from multilevel.errors import DataError

    if arguments.family:
        if arguments.ml:
            raise DataError("--ml has no meaning with --family: there is no REML")
        return
    for option in ("link", "nagq", "exponentiate"):
        if getattr(arguments, option) not in (None, False):
            raise DataError(f"--{option} needs --family, as in --family binomial")


def _linear_fitter(
    arguments: argparse.Namespace,
) -> Callable[[pd.DataFrame], MixedResults]:
    from multilevel.models.formula_api import mixedlm

    def fit(data: pd.DataFrame) -> MixedResults:
        model = mixedlm(arguments.formula, data, weights=arguments.weights)
        return model.fit(reml=not arguments.ml)

    return fit


def _generalized_fitter(
    arguments: argparse.Namespace,
) -> Callable[[pd.DataFrame], MixedResults]:
    from multilevel.models.formula_api import mixedglm
    from multilevel.models.given_family import family_with_link, read_family

    family = family_with_link(arguments.family, arguments.link)
    if arguments.exponentiate:
        from multilevel.reporting.ratio_names import ratio_name

        ratio_name(read_family(family))  # refuses before the fit, not after it
    n_nodes = 1 if arguments.nagq is None else arguments.nagq

    def fit(data: pd.DataFrame) -> MixedResults:
        model = mixedglm(
            arguments.formula, data, family=family, weights=arguments.weights
        )
        return model.fit(nagq=n_nodes)

    return fit


@contextmanager
def _warnings_on_one_line() -> Iterator[None]:
    """Print warnings as ``multilevel: warning: ...``, without Python's source line."""

    def show(message: Warning | str, *_: object, **__: object) -> None:
        print(f"multilevel: warning: {message}", file=sys.stderr)

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield
