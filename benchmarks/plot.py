"""Horizontal bars as SVG, so that a benchmark needs no plotting library."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, LABELS, ROW, BAR = 760, 230, 34, 18
"""Pixels: of the picture, of its left column, of a row, of the bar in it."""


@dataclass(frozen=True)
class Bar:
    """One measured ratio beside what it should be at most."""

    label: str
    value: float
    aim: float


def chart(title: str, subtitle: str, rows: Sequence[Bar]) -> str:
    """The picture: a bar for each value, on a scale from 0 to 1 or to the largest value, and a line at each aim."""
    scale = (WIDTH - LABELS - 90) / max(1.0, *(row.value for row in rows))
    height = 70 + ROW * len(rows)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif"'
        ' font-size="13">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        f'<text x="16" y="24" font-size="16" font-weight="bold">{escape(title)}</text>',
        f'<text x="16" y="44" fill="#555">{escape(subtitle)}</text>',
    ]
    for number, row in enumerate(rows):
        parts += drawn(row, 60 + ROW * number, scale)
    return "\n".join([*parts, "</svg>", ""])


def drawn(row: Bar, top: int, scale: float) -> list[str]:
    fill = "#2a7f62" if row.value <= row.aim else "#c0562e"
    aim, end = LABELS + row.aim * scale, LABELS + row.value * scale
    middle = top + BAR * 0.72
    return [
        f'<text x="{LABELS - 12}" y="{middle:.0f}" text-anchor="end">{escape(row.label)}</text>',
        f'<rect x="{LABELS}" y="{top}" width="{scale:.1f}" height="{BAR}" fill="#e4e4e4"/>',
        f'<rect x="{LABELS}" y="{top}" width="{row.value * scale:.1f}" height="{BAR}" fill="{fill}"/>',
        f'<line x1="{aim:.1f}" x2="{aim:.1f}" y1="{top - 4}" y2="{top + BAR + 4}" stroke="black"/>',
        f'<text x="{max(aim, end) + 8:.0f}" y="{middle:.0f}">{row.value:.3g}</text>',
    ]
