"""A figure as PNG, drawn by Pillow: the images have it, and it brings a font."""

from io import BytesIO

from seedbed.sweep.figure import HEIGHT, INK, WIDTH, Band, Line, Points, Shape, Words

SCALE = 2  # pixels a unit
FINE = 3  # dots a pixel, each way: averaged in the end, since Pillow's edges are hard
OLDEST = 11  # the first releases have no font that scales
ANCHORS = {"start": "ls", "middle": "ms", "end": "rs"}  # Pillow's: left, middle or right, on the base line
MISSING = f"a plot as PNG needs Pillow: pip install 'pillow>={OLDEST}', and give the command again"


def drawn(shapes: list[Shape]) -> bytes:
    """The file's content: 8-bit RGB on white. ImportError: Pillow is missing, too old, or has no FreeType."""
    import PIL
    from PIL import Image, ImageDraw, ImageFont

    if int(PIL.__version__.partition(".")[0]) < OLDEST:
        raise ImportError(PIL.__version__)
    dots = SCALE * FINE
    image = Image.new("RGB", (WIDTH * dots, HEIGHT * dots), "white")
    draw = ImageDraw.Draw(image, "RGBA")  # which lets a colour be seen through

    def scaled(points: Points) -> list[tuple[float, float]]:
        return [(x * dots, y * dots) for x, y in points]

    for shape in shapes:
        match shape:
            case Line() if shape.points:
                draw.line(scaled(shape.points), shape.colour, round(shape.width * dots), "curve")
            case Band() if shape.upper:
                around = scaled((*shape.upper, *reversed(shape.lower)))
                draw.polygon(around, f"{shape.colour}{round(shape.opacity * 255):02x}")
            case Words():
                font = ImageFont.load_default(shape.size * dots)
                draw.text((shape.x * dots, shape.y * dots), shape.text, INK, font, ANCHORS[shape.anchor])
    file = BytesIO()
    image.reduce(FINE).save(file, "PNG", optimize=True)
    return file.getvalue()
