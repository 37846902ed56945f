"""Photos to send, and what came of them."""

import io

from PIL import Image


def a_photo(size: tuple[int, int] = (64, 48), kind: str = "JPEG", mode: str = "RGB", colour=None, **more) -> bytes:
    stream = io.BytesIO()
    Image.new(mode, size, colour).save(stream, kind, **more)
    return stream.getvalue()


def seen_picture(picture: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(picture))
    image.load()
    return image
