"""A figure as SVG, which stands in the page itself."""

from html import escape

from seedbed.sweep.figure import HEIGHT, INK, WIDTH, Band, Line, Points, Shape, Words


def drawn(shapes: list[Shape], description: str) -> str:
    """One `svg` element."""
    inside = "\n".join(element(shape) for shape in shapes)
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(description)}" '
        f'font-family="system-ui, sans-serif" xmlns="http://www.w3.org/2000/svg">\n{inside}\n</svg>'
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
