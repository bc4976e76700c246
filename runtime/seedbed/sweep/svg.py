"""A figure as SVG: a file of its own, and a part of the page."""

from html import escape

from seedbed import terminal
from seedbed.sweep.figure import HEIGHT, INK, WIDTH, Band, Line, Points, Shape, Words


def drawn(shapes: list[Shape], description: str) -> str:
    """One `svg` element, on white: a viewer may have a dark background."""
    inside = "\n".join(element(shape) for shape in shapes)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'role="img" aria-label="{escape(terminal.printable(description))}" font-family="system-ui, sans-serif">\n'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>\n{inside}\n</svg>'
    )


def element(shape: Shape) -> str:
    match shape:
        case Line():
            return (
                f'<polyline points="{path(shape.points)}" fill="none" stroke="{shape.colour}" '
                f'stroke-width="{shape.width}" stroke-linejoin="round"/>'
            )
        case Band():
            around = path((*shape.upper, *reversed(shape.lower)))
            return f'<polygon points="{around}" fill="{shape.colour}" fill-opacity="{shape.opacity}"/>'
        case Words():
            return (
                f'<text x="{shape.x:.1f}" y="{shape.y:.1f}" font-size="{shape.size:g}" fill="{INK}" '
                f'text-anchor="{shape.anchor}">{escape(shape.text)}</text>'
            )


def path(points: Points) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
