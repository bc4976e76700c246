"""What benchmarks draw and compute; what they measure is not tested."""

import json
from dataclasses import asdict
from itertools import combinations
from xml.etree import ElementTree

import pytest

from benchmarks import costs
from benchmarks.build import AIMS, Measured, ratios
from benchmarks.plot import Bar, chart
from benchmarks.portable import DEFAULT, KNOWN, other_bits
from builder import paths

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


def test_ratios_have_the_names_of_their_aims_and_none_where_a_part_was_left_out():
    naive = asdict(Measured(cold_s=100, published_s=200, layer_bytes=1000, pull_s=10, second_bytes=500))
    ours = asdict(Measured(cold_s=25, published_s=20, layer_bytes=900, bump_s=3, bump_bytes=10, second_bytes=100))
    assert ratios(naive, ours).keys() == AIMS.keys()
    assert ratios(naive, ours) == {
        "cold_ratio": 0.25,
        "push_ratio": 0.1,
        "unchanged_s": None,
        "bump_s": 3,
        "bump_bytes_ratio": 0.01,
        "pull_ratio": None,
        "second_image_bytes_ratio": 0.2,
    }


def test_the_docs_say_how_many_operations_processors_of_two_makers_share():
    page = (paths.ROOT / "docs/golden.md").read_text()
    for version, profiles in json.loads(KNOWN.read_text()).items():
        compared = [(name, *pair) for name, known in profiles.items() for pair in combinations(known.values(), 2)]
        assert compared or version.startswith("numpy")
        for name, here, there in compared:
            equal = len(here) - len(other_bits(here, there))
            kind = "default" if name == DEFAULT else "the first profile"
            assert f"| {version}, {kind} | {equal} of {len(here)} |" in page


def test_other_bits_are_found_in_what_was_recorded():
    roots = {"sqrt": "ab", "sum": "cd"}
    assert other_bits(roots, roots) == []
    assert other_bits(roots, {"sqrt": "ab", "sum": "ce"}) == ["sum"]
    assert other_bits(roots, {"sqrt": "ab"}) == ["sum"]


def test_costs_are_lines_under_the_names_of_what_was_measured_or_json(capsys):
    measured = [Bar("a", 0.5, 0.25), Bar("long", 1.0, 0.125)]
    costs.show(measured, as_json=False)
    assert capsys.readouterr().out == "label  value    aim\n    a    0.5   0.25\n long    1.0  0.125\n"
    costs.show(measured, as_json=True)
    assert json.loads(capsys.readouterr().out)[1] == {"label": "long", "value": 1.0, "aim": 0.125}
