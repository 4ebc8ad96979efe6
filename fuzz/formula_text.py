"""Coverage-guided search for formula text that escapes the package's own errors.

Not part of the tests: it runs until it is stopped, and needs atheris from PyPI.

    python -m venv .venv-fuzz
    .venv-fuzz/bin/pip install . atheris
    .venv-fuzz/bin/python fuzz/formula_text.py -max_total_time=300 -max_len=80

Every text must be read, or refused by an error of `multilevel.errors`; what is read
must give a design of the small data below, or be refused likewise.  A text that fails
is written to a file ``crash-...``; put it into ``tests/fuzz`` as an example.
"""

from __future__ import annotations

import sys
import warnings

import atheris

with atheris.instrument_imports(include=["multilevel.formula", "multilevel.design"]):
    from multilevel.design.model_design import build_design
    from multilevel.errors import MultilevelError
    from multilevel.formula.parse import parse_formula

import numpy as np
import pandas as pd

ROWS = np.arange(24)
DATA = pd.DataFrame(
    {
        "y": np.sin(1.7 * ROWS) + ROWS % 4,
        "x": np.cos(2.3 * ROWS),
        "f": np.array(["a", "b", "c"])[ROWS % 3],
        "g": ROWS % 4,
    }
)
PIECES = [
    *("y", "x", "f", "g", "z", "~", "+", "-", "*", ":", "/", "**", "|", "||", "(", ")"),
    *("1", "0", "C(f)", "C(f, Sum)", "I(", "np.log(", "poly(x, 2)", "bs(x, 4)", "Q('"),
    *("offset(", "us(", "diag(", "cs(", "cbind(", "factor(", "log(", "'", '"', ","),
    *("==", "=", "[", "]", "{", "}", ".", "%in%", "^", "lambda", "\n", "\\", "#", " "),
    *("(1 | g)", "(x | g)", "(0 + f || g)", "y ~ x + (1 | g)", "@", ";", "\x00", "é"),
]


def text_of(data: bytes) -> str:
    """Raw text, or pieces of formulas chosen by the bytes, or a random term with them.

    The first byte chooses which.
    """
    if data[:1] < b"\x40":
        return data[1:].decode("utf-8", errors="surrogateescape")
    pieces = " ".join(PIECES[byte % len(PIECES)] for byte in data[1:])
    return pieces if data[:1] < b"\x80" else f"y ~ {pieces} + (1 | g)"


def read_one(data: bytes) -> None:
    """Read the text and build its design; only our own errors may come."""
    text = text_of(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            build_design(parse_formula(text), DATA)
        except MultilevelError as error:
            str(error)


if __name__ == "__main__":
    atheris.Setup(sys.argv, read_one)
    atheris.Fuzz()
