"""The demo's picture is one that any library can read."""

from __future__ import annotations

import io

from PIL import Image

from lambent.cli.picture import png


def test_the_picture_is_a_valid_png_of_many_colours() -> None:
    with Image.open(io.BytesIO(png(300, 200))) as image:
        image.verify()
    with Image.open(io.BytesIO(png(300, 200))) as image:
        assert image.size == (300, 200)
        colors = image.convert("RGB").getcolors(300 * 200)
        assert colors is not None
        assert len(colors) > 100
