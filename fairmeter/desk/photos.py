"""Photos of visits: what is sent -> pictures of our own making in a folder, and back by their names.

In:  bytes that somebody calls a photo; the folder (PHOTOS).
Out: names, which an inspection keeps; the picture of a name. What is kept was decoded and encoded anew: the picture
     alone, without place, device, words or other bytes of the original. A name is ours, and no other opens anything.
"""

import errno
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from secrets import token_hex
from threading import Lock
from typing import TYPE_CHECKING

from fairmeter.scoring.problems import FieldProblem, Problem, bad_value

if TYPE_CHECKING:
    from PIL import Image

MOST_PHOTOS = 6  # of one visit
MOST_BYTES = 10 * 2**20  # of one photo as it is sent; a phone's have 2 to 6 MB
# A few bytes can say that they are a picture of a gigabyte. Decoded at a fraction of its size, as only a plain JPEG can
# be, a picture of 50 million pixels takes 60 MB for a moment; all of one of 16 million takes 150.
MOST_PIXELS, MOST_OF_PLAIN_JPEG = 16_000_000, 50_000_000
LEAST_SIDE, MOST_SIDE = 16, 1600  # pixels; a seal and an index can be read at 1600
QUALITY = 82
FORMATS = ("JPEG", "PNG")  # no other decoder is even tried
NAME = re.compile(r"[0-9a-f]{32}-[0-9a-f]{8}\.jpg")
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
NO_FOLDER = "Photos are not taken here, as PHOTOS names no folder for them: send the visit without photos."
NOT_RECORDED = "Nothing was recorded: send the visit without photos, or again later."
_one_at_a_time = Lock()  # decoding takes memory for a moment; eight at once would not fit a small host


class Photos:
    """A folder of photos. [folder: None where none are taken]"""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder and folder.absolute()

    @contextmanager
    def kept(self, sent: Sequence[bytes]) -> Iterator[tuple[str, ...]]:
        """The names of photos that are there while the block records them, and gone again where it raises.

        Raises Problem.
        """
        pictures, names = self._pictures(sent), []
        try:
            for picture in pictures:
                # By chance too: what is taken back where one recording fails is not what another one has kept.
                names.append(f"{sha256(picture).hexdigest()[:32]}-{token_hex(4)}.jpg")
                self._write(names[-1], picture)
            yield tuple(names)
        except BaseException:
            for name in names:
                with suppress(OSError):
                    (self.folder / name).unlink()
            raise

    def find(self, name: str) -> bytes | None:
        """The picture of a name that this room made; None for any other."""
        if self.folder is None or not NAME.fullmatch(name):
            return None
        try:
            return (self.folder / name).read_bytes()
        except OSError:
            return None

    def _pictures(self, sent: Sequence[bytes]) -> list[bytes]:
        if sent and self.folder is None:
            raise Problem(422, "bad_value", NO_FOLDER, (FieldProblem("photos", "not taken here"),))
        if len(sent) > MOST_PHOTOS:
            raise bad_value("photos", f"{len(sent)} where {MOST_PHOTOS} are taken")
        return [picture_of(data, i) for i, data in enumerate(sent)]

    def _write(self, name: str, picture: bytes) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with (self.folder / name).open("xb") as file:
                file.write(picture)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            if error.errno in FULL:
                raise Problem(507, "no_space", f"The disk is full: a photo cannot be kept. {NOT_RECORDED}") from error
            message = f"The folder of photos cannot be written to. {NOT_RECORDED}"
            raise Problem(503, "photos_unavailable", message) from error


def picture_of(data: bytes, number: int = 0) -> bytes:
    """A photo as a JPEG of our own, upright and no larger than MOST_SIDE. Raises Problem. [number: of those sent]"""
    if len(data) > MOST_BYTES:
        raise refused(number, f"is larger than {MOST_BYTES // 2**20} MB; make it smaller")
    with _one_at_a_time:
        try:
            return _encoded(_decoded(data, number))
        except Problem:
            raise
        except Exception:  # a decoder that is given nonsense raises whatever it likes
            raise refused(number, "is no picture that can be read; send JPEG or PNG") from None


def refused(number: int, words: str) -> Problem:
    return Problem(422, "bad_value", f"Photo {number + 1} {words}.", (FieldProblem(f"photos.{number}", words),))


def _decoded(data: bytes, number: int) -> "Image.Image":
    from PIL import Image, ImageOps  # 10 MB that a worker without photos does not need

    with Image.open(BytesIO(data), formats=FORMATS) as picture:
        width, height = picture.size
        is_plain = picture.format in ("JPEG", "MPO") and not picture.info.get("progressive")
        most = MOST_OF_PLAIN_JPEG if is_plain else MOST_PIXELS
        if width * height > most:  # told by the header, before anything is decoded
            raise refused(number, f"has {width} x {height} pixels; {most // 10**6} million are taken")
        if min(width, height) < LEAST_SIDE:
            raise refused(number, f"has {width} x {height} pixels; nothing can be seen on it")
        picture.thumbnail((MOST_SIDE, MOST_SIDE), reducing_gap=1.0)
        return ImageOps.exif_transpose(picture).convert("RGBA")


def _encoded(picture: "Image.Image") -> bytes:
    from PIL import Image

    plain = Image.new("RGB", picture.size, "white")  # new: what an image carries along, its encoder would write too
    plain.paste(picture, mask=picture.getchannel("A"))
    stream = BytesIO()
    plain.save(stream, "JPEG", quality=QUALITY)
    return stream.getvalue()
