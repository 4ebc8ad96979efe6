"""Files and folders that the documentation names are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.rst", *sorted((ROOT / "docs").rglob("*.rst"))]
# A path in double backticks; nested factors of a formula, a/b, have one letter each.
PATH = re.compile(r"``([\w.]{2,}/[\w./]*)``")
NAMED = sorted(
    {
        (page.relative_to(ROOT).as_posix(), path)
        for page in PAGES
        for path in PATH.findall(page.read_text(encoding="utf-8"))
    }
)


@pytest.mark.parametrize(("page", "path"), NAMED)
def test_named_files_exist(page: str, path: str) -> None:
    assert (ROOT / path).exists() or (ROOT / "multilevel" / path).exists()


def test_pages_name_files() -> None:
    assert len(NAMED) > 10
