"""Explanations wrap, keep code in one piece, and escape markup."""

from __future__ import annotations

from multilevel.display.explanation import Explanation, Point

CODE = (
    "y ~ x + (1 + a_long_name + another_long_name | a_group) + (1 | another_group) + z"
)
SHOWN = Explanation(
    "A title",
    "A verdict. " * 12,
    (
        ("Checks", (Point("words " * 30, mark="ok"), Point("w", mark="problem"))),
        ("To try", (Point("x < 1 & y_2", code=CODE),)),
    ),
)


def test_text_is_narrow_and_code_is_not_broken() -> None:
    lines = str(SHOWN).split("\n")
    assert CODE in [line.strip() for line in lines]
    assert max(len(line) for line in lines if line.strip() != CODE) <= 78
    assert "  ok       words words" in str(SHOWN)
    assert "  problem  w" in lines


def test_html_and_latex_are_escaped() -> None:
    html = SHOWN._repr_html_()
    assert "x &lt; 1 &amp; y_2" in html
    assert f"<code>{CODE}</code>" in html
    assert r"x \textless{} 1 \& y\_2" in SHOWN.as_latex()
