"""A figure as PNG, with nothing but zlib: what the plot needs is drawn column by column, with soft edges."""

import itertools
import math
import struct
import zlib
from collections.abc import Iterator

from seedbed.sweep import font
from seedbed.sweep.figure import HEIGHT, INK, WIDTH, Band, Line, Points, Shape, Words

SCALE = 2  # pixels a unit
WIDE, HIGH = WIDTH * SCALE, HEIGHT * SCALE
Colour = tuple[int, int, int]


def drawn(shapes: list[Shape]) -> bytes:
    """The file's content: 8-bit RGB on white."""
    canvas = Canvas()
    for shape in shapes:
        match shape:
            case Line():
                canvas.line(shape.points, rgb(shape.colour), shape.width)
            case Band():
                canvas.band(shape.upper, shape.lower, rgb(shape.colour), shape.opacity)
            case Words():
                canvas.words(shape)
    return canvas.png()


def rgb(colour: str) -> Colour:
    return tuple(bytes.fromhex(colour[1:]))


class Canvas:
    """Pixels. Curves are functions of x, so each pixel column of one is a run from a top to a bottom."""

    def __init__(self) -> None:
        self.rows = [bytearray(b"\xff" * 3 * WIDE) for _ in range(HIGH)]

    def blend(self, x: int, y: int, colour: Colour, share: float) -> None:
        """Let the colour cover this share of a pixel."""
        if 0 <= x < WIDE and 0 <= y < HIGH:
            row = self.rows[y]
            for channel in range(3):
                before = row[3 * x + channel]
                row[3 * x + channel] = round(before + (colour[channel] - before) * share)

    def column(self, x: int, top: float, bottom: float, colour: Colour, opacity: float = 1) -> None:
        """From top to bottom; a pixel that is covered in part has that part of the colour."""
        for y in range(math.floor(top), math.ceil(bottom)):
            self.blend(x, y, colour, opacity * (min(bottom, y + 1) - max(top, y)))

    def line(self, points: Points, colour: Colour, width: float) -> None:
        for (x, y), (next_x, next_y) in self.pieces(points):
            slope = (next_y - y) / (next_x - x)
            half = width * SCALE / 2 * math.hypot(1, min(abs(slope), 20))
            for column in range(round(x), round(next_x)):
                middle = y + slope * (column + 0.5 - x)
                self.column(column, middle - half, middle + half, colour)

    def band(self, upper: Points, lower: Points, colour: Colour, opacity: float) -> None:
        above, below = dict(self.heights(upper)), dict(self.heights(lower))
        for column in sorted(above.keys() & below.keys()):
            self.column(column, above[column], below[column], colour, opacity)

    def heights(self, points: Points) -> Iterator[tuple[int, float]]:
        """Where a line is in each pixel column."""
        for (x, y), (next_x, next_y) in self.pieces(points):
            for column in range(round(x), round(next_x)):
                yield column, y + (next_y - y) * (column + 0.5 - x) / (next_x - x)

    def pieces(self, points: Points) -> Iterator[tuple[tuple[float, float], tuple[float, float]]]:
        """The stretches between points, in pixels; upright ones are too narrow to be seen."""
        scaled = [(x * SCALE, y * SCALE) for x, y in points]
        return (pair for pair in itertools.pairwise(scaled) if pair[1][0] > pair[0][0])

    def words(self, words: Words) -> None:
        """Whole pixels a dot, so that letters are sharp."""
        dot = max(1, round(words.size * SCALE / 12))
        advance = (font.COLUMNS + 1) * dot
        left = words.x * SCALE - {"start": 0, "middle": 0.5, "end": 1}[words.anchor] * advance * len(words.text)
        top = words.y * SCALE - font.ROWS * dot
        for place, letter in enumerate(words.text):
            for column, row in font.dots(letter):
                x, y = round(left) + place * advance + column * dot, round(top) + row * dot
                for shift in range(dot * dot):
                    self.blend(x + shift % dot, y + shift // dot, rgb(INK), 1)

    def png(self) -> bytes:
        """ISO/IEC 15948: signature, header, one block of rows that are each stored as they are, end."""
        header = struct.pack(">IIBBBBB", WIDE, HIGH, 8, 2, 0, 0, 0)
        data = zlib.compress(b"".join(b"\0" + bytes(row) for row in self.rows), 9)
        blocks = ((b"IHDR", header), (b"IDAT", data), (b"IEND", b""))
        return b"\x89PNG\r\n\x1a\n" + b"".join(block(kind, content) for kind, content in blocks)


def block(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
