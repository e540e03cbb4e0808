"""Pieces of HTML that the report's page is put together from."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING

from farlook.benchmarks.page_styles import label

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def html_table(header: Sequence[str], rows: Iterable[str], kind: str = "") -> str:
    """A table that can be scrolled on its own; header cells are escaped, rows are HTML."""
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in header)
    body = "".join(rows)
    return (
        f'<div class="scroll" tabindex="0" role="group" aria-label="Table"><table class="{kind}">'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def codec_row(codec: str, cells: Sequence[str], more: str = "") -> str:
    """A codec's row: its name, and `more`, before cells of HTML."""
    ours = ' class="ours"' if codec.startswith("farlook:") else ""
    return f'<tr{ours}><th scope="row">{escape(label(codec) + more)}</th>{"".join(cells)}</tr>'


def signed(value: float, digits: int) -> str:
    """A number with its sign."""
    return f"{value:+.{digits}f}".replace("-", "&minus;")


def three_digits(value: float) -> str:
    """Three significant digits, without an exponent."""
    if not value:
        return "0"
    return f"{value:.{max(0, 2 - math.floor(math.log10(abs(value))))}f}"


def times(ratio: float) -> str:
    """A ratio in words."""
    return f"{ratio:.2g} times" if ratio < 10 else f"{ratio:.0f} times"


def counted(number: int, noun: str) -> str:
    """A number of things."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def joined(words: Sequence[str]) -> str:
    """Words with commas, and "and" before the last."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
