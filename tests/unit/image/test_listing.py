"""The table of images: what each would add to the others, and no column without content."""

from typing import Any

from builder.image import listing


def built(**layers: int) -> dict[str, Any]:
    """The entry of an image with these layers, by digest with their bytes."""
    found = [{"digest": digest, "size": size} for digest, size in layers.items()]
    sizes = {"compressed": sum(layers.values()), "unpacked": 0}
    return {"tag": "1", "digest": "sha256:1", "locked": True, "smoke": [], "full": False, "layers": found, **sizes}


NOT_BUILT = {"tag": "1", "digest": None, "layers": []}


def test_an_images_own_bytes_are_those_of_layers_that_no_other_has():
    images = {"a": built(debian=100, cuda=30, a=4), "b": built(debian=100, cuda=30, b=5), "c": built(debian=100, c=6)}
    assert {name: entry["own"] for name, entry in listing.with_own(images).items()} == {"a": 4, "b": 5, "c": 6}


def test_an_image_that_has_only_layers_of_others_adds_nothing():
    images = {"a": built(debian=1, a=2), "b": built(debian=1, b=3), "both": built(debian=1, a=2, b=3)}
    assert listing.with_own(images)["both"]["own"] == 0


def test_a_layer_that_an_image_has_twice_is_its_own():
    image = built(debian=1) | {"layers": [{"digest": "sha256:2", "size": 3}] * 2}
    assert listing.with_own({"a": image})["a"]["own"] == 3


def test_what_is_not_built_has_no_bytes():
    assert "own" not in listing.with_own({"a": NOT_BUILT, "b": built(debian=1)})["a"]


def test_what_is_past_its_end_of_life_is_named_below_the_table(capsys):
    ended = {"end_of_life": "2026-04-23", "past_end_of_life": True}
    listing.print_summaries({"a": built(debian=1) | ended, "b": NOT_BUILT | ended, "c": built(debian=1)})
    assert [line for line in capsys.readouterr().out.splitlines() if "end of life" in line] == [
        "a: end of life since 2026-04-23",
        "b: end of life since 2026-04-23",
    ]


def test_the_table_has_the_column_only_if_it_has_numbers(capsys):
    listing.print_summaries(listing.with_own({"a": built(debian=1_000_000), "b": NOT_BUILT}))
    head, of_a, of_b = capsys.readouterr().out.splitlines()
    assert head.split() == ["image", "tag", "digest", "pull", "own", "unpacked", "layers", "smoke", "tests"]
    assert of_a.split()[3:7] == ["1", "MB", "1", "MB"] and of_b.split() == ["b", "1", "not", "built"]
    listing.print_summaries({"a": built(debian=1_000_000)})
    assert "own" not in capsys.readouterr().out
