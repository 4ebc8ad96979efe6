"""The words of the command line.

Held by tests/cli/test_commands.py.
"""

from __future__ import annotations

import argparse
from typing import NoReturn

from multilevel import __version__

FIT_EXAMPLES = """\
examples:
  multilevel fit "math ~ ses + (ses | school)" hsb
  multilevel fit "score ~ age + (1 | class/pupil)" grades.csv --ml --json
  multilevel fit "use ~ age + urban + (1 | district)" contraception --family binomial
"""


class OneLineErrorParser(argparse.ArgumentParser):
    """A parser that refuses in one line, and says where the words are explained."""

    def error(self, message: str) -> NoReturn:
        """Print one line on standard error and exit with status 2."""
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of ``multilevel``.

    Returns
    -------
    argparse.ArgumentParser
        Parsed arguments carry ``command``: ``"fit"`` or ``"datasets"``.
    """
    parser = OneLineErrorParser(
        prog="multilevel", description="Fit linear and generalized linear mixed models."
    )
    parser.add_argument(
        "--version", action="version", version=f"multilevel {__version__}"
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _add_fit(commands)
    _add_datasets(commands)
    return parser


def _add_fit(commands: argparse._SubParsersAction[OneLineErrorParser]) -> None:
    fit = commands.add_parser(
        "fit",
        help="fit a model and print its summary",
        description="Fit a mixed-effects model and print its summary.",
        epilog=FIT_EXAMPLES
        + "\nexit status: 0, or 1 if the fit did not converge, or 2 for bad input",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    fit.add_argument("formula", metavar="FORMULA", help='"y ~ x + (x | group)"')
    fit.add_argument(
        "data",
        metavar="DATA",
        help="a .csv, .csv.gz or .parquet file, or the name of an embedded data set",
    )
    fit.add_argument(
        "--ml",
        action="store_true",
        help="maximum likelihood instead of restricted maximum likelihood",
    )
    fit.add_argument(
        "--weights",
        metavar="COL",
        help="column of prior weights, or of numbers of trials (binomial)",
    )
    fit.add_argument(
        "--family",
        metavar="F",
        help="generalized model: binomial, poisson, gamma, inversegaussian, "
        "negativebinomial",
    )
    fit.add_argument(
        "--link",
        metavar="L",
        help="another link than the family's usual one, such as probit",
    )
    fit.add_argument(
        "--nagq",
        metavar="K",
        type=int,
        help="nodes of the quadrature of a generalized model; 1, the default, is the "
        "Laplace approximation",
    )
    fit.add_argument(
        "--exponentiate",
        action="store_true",
        help="show odds ratios or rate ratios in the summary of a generalized model",
    )
    fit.add_argument("--json", action="store_true", help="print JSON, not text")
    fit.add_argument("--save", metavar="FILE", help="save the result for ml.load(FILE)")


def _add_datasets(commands: argparse._SubParsersAction[OneLineErrorParser]) -> None:
    datasets = commands.add_parser(
        "datasets",
        help="list the embedded data sets",
        description="List the embedded data sets, or describe one of them.",
    )
    datasets.add_argument("name", nargs="?", metavar="NAME", help="the one to describe")
