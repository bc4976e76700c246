"""Which earlier builds will do in the place of another."""

import pytest

from builder.image.build import Options
from builder.image.record import LayerRecord, Record

DIGEST = f"sha256:{'1' * 64}"


@pytest.mark.parametrize(
    ("options", "substituted", "will_do"),
    [
        (Options(), (), True),
        (Options(), ("tzdata: 1 -> 2",), True),
        (Options(locked=True), (), True),
        (Options(locked=True), ("tzdata: 1 -> 2",), False),
        (Options(cached=False), (), False),
    ],
)
def test_an_unlocked_build_will_not_do_where_a_locked_one_is_asked_for(options, substituted, will_do):
    layer = LayerRecord(digest=DIGEST, size=1, what="a layer")
    known = Record(
        image="tiny", inputs="i", lock="l", digest=DIGEST, config=DIGEST, layers=(layer,), unpacked=0, seconds=1,
        substituted=substituted,
    )  # fmt: skip
    assert options.take(known) is will_do
