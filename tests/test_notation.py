"""The table of symbols and the code have the same letters."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "notation.rst").read_text(encoding="utf-8")
LAYERS = ("likelihood", "covariance", "inference", "optimize")
FILES = sorted(
    p for layer in LAYERS for p in (ROOT / "multilevel" / layer).rglob("*.py")
)
LITERAL = re.compile(r"``([^`]+)``")


def place_of(path: Path) -> str:
    return path.relative_to(ROOT / "multilevel").as_posix()


def table_rows(text: str) -> Iterator[list[str]]:
    """Cells of the rows of simple tables; a row that goes on is one with its first."""
    edges: list[tuple[int, int]] = []
    for line in text.splitlines():
        if line.startswith("==="):
            edges = [found.span() for found in re.finditer("=+", line)]
        elif edges and line.strip():
            ends = [start for start, _ in edges[1:]] + [len(line)]
            cells = zip(edges, ends, strict=True)
            yield [line[start:end].strip() for (start, _), end in cells]
        elif not line.strip():
            edges = []


GLOBAL_PART, _, LOCAL_PART = PAGE.partition("Letters of one room\n")
SYMBOLS = [s for row in table_rows(GLOBAL_PART) for s in LITERAL.findall(row[0])]
LOCAL = [
    (symbol, room)
    for symbols, rooms, *_ in table_rows(LOCAL_PART)
    for symbol in LITERAL.findall(symbols)
    for room in LITERAL.findall(rooms)
]


def bound_names(path: Path) -> set[str]:
    """Arguments, local variables and fields of records."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            inside = (n for n in ast.walk(node) if isinstance(n, ast.Name))
            names |= {n.id for n in inside if isinstance(n.ctx, ast.Store)}
        elif isinstance(node, ast.ClassDef):
            fields = (f.target for f in node.body if isinstance(f, ast.AnnAssign))
            names |= {f.id for f in fields if isinstance(f, ast.Name)}
    return names


def letters(path: Path) -> set[str]:
    """What is bound that is no word."""
    return {name for name in bound_names(path) if name != name.lower()}


def is_listed(name: str, known: set[str]) -> bool:
    """Whether a name is a symbol, one with a word, or a product of symbols."""
    if name in known:
        return True
    ordered = sorted(known, key=len, reverse=True)
    product = re.compile(f"(?:{'|'.join(map(re.escape, ordered))})+")
    return all(
        part == part.lower() or product.fullmatch(part) for part in name.split("_")
    )


def test_no_symbol_has_two_meanings() -> None:
    assert len(SYMBOLS) > 50
    assert sorted(SYMBOLS) == sorted(set(SYMBOLS))
    assert sorted(LOCAL) == sorted(set(LOCAL))


@pytest.mark.parametrize("path", FILES, ids=place_of)
def test_letters_of_the_code_are_in_the_table(path: Path) -> None:
    here = {s for s, room in LOCAL if place_of(path).startswith(room)}
    unknown = {n for n in letters(path) if not is_listed(n, here.union(SYMBOLS))}
    assert unknown == set()


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_symbols_of_the_table_are_in_the_code(symbol: str) -> None:
    word = re.compile(rf"(?<![\w']){re.escape(symbol)}(?![\w'])")
    assert any(word.search(path.read_text(encoding="utf-8")) for path in FILES)


@pytest.mark.parametrize(("symbol", "room"), LOCAL)
def test_letters_of_a_room_are_used_there(symbol: str, room: str) -> None:
    inside = (letters(p) for p in FILES if place_of(p).startswith(room))
    assert any(symbol in found for found in inside)
