"""What benchmarks draw and compute; what they measure is not tested."""

from xml.etree import ElementTree

import pytest

from benchmarks.plot import Bar, chart

SVG = "{http://www.w3.org/2000/svg}"


def drawn(*bars: Bar) -> list[ElementTree.Element]:
    """The bars' rectangles, without the grey ones behind them and the background."""
    picture = ElementTree.fromstring(chart("a < b", "machine & load", bars))
    return picture.findall(f"{SVG}rect")[2::2]


def test_a_bar_is_as_long_as_its_value_and_shows_whether_it_reached_its_aim():
    good, bad = drawn(Bar("good", 0.2, 0.25), Bar("bad", 0.4, 0.25))
    assert float(bad.get("width")) == pytest.approx(2 * float(good.get("width")), rel=1e-3)
    assert good.get("fill") != bad.get("fill")


def test_a_value_above_one_stays_in_the_picture():
    [bar] = drawn(Bar("worse than naive", 3.0, 0.25))
    assert float(bar.get("x")) + float(bar.get("width")) < 760
