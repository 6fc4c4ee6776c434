"""A function that makes thumbnails.

The event holds a picture (``image``, base64) and may say how large the thumbnail may be (``size``, pixels of
the longer side). Without a picture the function paints one, so that ``{}`` is an event as well.
"""

from __future__ import annotations

import base64
import io
from typing import Any

from PIL import Image


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Return the thumbnail as base64 JPEG, with the sizes before and after as [width, height]."""
    picture = _decode(event["image"]) if event.get("image") else _paint()
    original = picture.size
    longest = int(event.get("size", 128))
    picture.thumbnail((longest, longest))
    jpeg = io.BytesIO()
    picture.convert("RGB").save(jpeg, "JPEG", quality=85)
    print(f"{original[0]}x{original[1]} became {picture.size[0]}x{picture.size[1]}, {jpeg.tell()} bytes")  # noqa: T201 - its log
    return {
        "original_size": list(original),
        "size": list(picture.size),
        "thumbnail": base64.b64encode(jpeg.getvalue()).decode(),
    }


def _decode(image: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(image)))


def _paint() -> Image.Image:
    return Image.effect_mandelbrot((640, 480), (-2, -1, 1, 1), 50)
