from __future__ import annotations

import io
import time

import pytest

from multilevel.cli.progress import announced


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_short_work_is_not_announced() -> None:
    stream = io.StringIO()
    with announced("fitting", stream):
        pass
    assert stream.getvalue() == ""


def test_file_gets_one_line() -> None:
    stream = io.StringIO()
    with announced("fitting", stream, patience=0.01):
        time.sleep(0.1)
    assert stream.getvalue() == "fitting ...\n"


def test_terminal_is_left_clean() -> None:
    stream = Terminal()
    with announced("fitting", stream, patience=0.01):
        time.sleep(0.6)
    assert stream.getvalue().startswith("\rfitting ... 0 s\r")
    assert stream.getvalue().endswith(" \r")


def test_error_passes_through() -> None:
    with pytest.raises(ZeroDivisionError), announced("fitting", io.StringIO()):
        1 / 0  # noqa: B018 - the error is what is tested
