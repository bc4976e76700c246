"""What a sweep draws in the images, which have Pillow."""

import pytest

from tests.image.conftest import IMAGES

TWICE = """
for folder in a b; do
    seedbed sweep --seeds 3 --output /tmp/$folder -- python -c "import random; print('loss', random.random())" || exit
done
cmp /tmp/a/loss.svg /tmp/b/loss.svg && cmp /tmp/a/loss.png /tmp/b/loss.png || exit
python -c "from PIL import Image; print(*Image.open('/tmp/a/loss.png').size)"
"""


@pytest.mark.parametrize("name", IMAGES)
def test_a_sweep_draws_its_plot_as_svg_and_png_with_the_same_bytes_each_time(name, record_of, docker) -> None:
    finished = docker.run(record_of(name).digest, ["bash", "-c", TWICE])
    assert finished.status == 0, finished.stderr
    assert finished.stdout.splitlines()[-1] == "1440 840"
    assert "Pillow" not in finished.stderr
