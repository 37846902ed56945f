"""Photos of visits: uploaded bytes -> re-encoded JPEG files in a folder, found by name.

In:  bytes of an alleged photo; the folder (PHOTOS).
Out: names, which an inspection stores; the picture of a name. Every photo is decoded and encoded again, so that nothing
     but the picture remains of the upload: no place, device, text or other bytes. Only generated names open a file.
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

from fairmeter.core.caller import check_caller
from fairmeter.scoring.problems import FieldProblem, Problem, bad_value

if TYPE_CHECKING:
    from PIL import Image

MAX_PHOTOS = 6  # per visit
MAX_BYTES = 10 * 2**20  # per uploaded photo; those of phones have 2 to 6 MB
# A few bytes can decode to a gigabyte. A baseline JPEG of 50 million pixels takes 60 MB for a moment, as it can be
# decoded at a fraction of its size; any other picture of 16 million pixels takes 150 MB.
MAX_PIXELS, MAX_PIXELS_BASELINE_JPEG = 16_000_000, 50_000_000
SCAN, MAX_SCANS = b"\xff\xda", 100  # of a JPEG, each decoded over the whole picture; cameras write one, the web ten
MIN_SIDE, MAX_SIDE = 16, 1600  # pixels; a seal and an index are legible at 1600
QUALITY = 82
FORMATS = ("JPEG", "PNG")  # no other decoder is tried
OWNER_ONLY, OWNER_ONLY_FOLDER = 0o600, 0o700  # modes
HASH_DIGITS = 32  # of a picture's SHA-256, in its name
NAME = re.compile(r"[0-9a-f]{32}-[0-9a-f]{8}\.jpg")
DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
NO_FOLDER = "This service stores no photos, as PHOTOS names no folder: send the visit without photos."
NOT_RECORDED = "Nothing was recorded: send the visit without photos, or again later."
_decoding = Lock()  # decoding takes memory for a moment; eight at once would not fit a small host


class Photos:
    """A folder of photos. [folder: None: photos are refused]"""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder and folder.absolute()

    @contextmanager
    def saved(self, sent: Sequence[bytes]) -> Iterator[tuple[str, ...]]:
        """Save photos for the block that records their names; they are deleted again if it raises. Raises Problem."""
        pictures, names = self._pictures(sent), []
        try:
            for picture in pictures:
                # Partly random: deleting a photo after a failure must not delete an equal one of another recording.
                names.append(f"{sha256(picture).hexdigest()[:HASH_DIGITS]}-{token_hex(4)}.jpg")
                with _disk_errors():
                    self._write(names[-1], picture)
            yield tuple(names)
        except BaseException:
            for name in names:
                with suppress(OSError):
                    (self.folder / name).unlink()
            raise

    def find(self, name: str) -> bytes | None:
        """The picture of a generated name; None for any other name."""
        if self.folder is None or not is_photo_name(name):
            return None
        try:
            return (self.folder / name).read_bytes()
        except OSError:
            return None

    def first_damaged(self, names: Sequence[str]) -> str | None:
        """The first of these photos that is gone or differs from what was saved; None where all are as they were."""
        for name in names:
            picture = self.find(name)
            if picture is None or not name.startswith(sha256(picture).hexdigest()[:HASH_DIGITS]):
                return name
        return None

    def restore(self, name: str, picture: bytes) -> None:
        """Write a photo of a backup under its name; one that is there already stays. Raises OSError."""
        with suppress(FileExistsError):
            self._write(name, picture)

    def delete(self, names: Sequence[str]) -> None:
        """Delete the files of these photos; one that is gone already is skipped."""
        for name in names:
            if self.folder is not None and is_photo_name(name):
                (self.folder / name).unlink(missing_ok=True)

    def _pictures(self, sent: Sequence[bytes]) -> list[bytes]:
        if sent and self.folder is None:
            raise Problem(422, "bad_value", NO_FOLDER, (FieldProblem("photos", "not accepted here"),))
        if len(sent) > MAX_PHOTOS:
            raise bad_value("photos", f"{len(sent)} photos; the limit is {MAX_PHOTOS} a visit")
        return list(_pictures_of(sent))

    def _write(self, name: str, picture: bytes) -> None:
        self.folder.mkdir(OWNER_ONLY_FOLDER, parents=True, exist_ok=True)
        with os.fdopen(os.open(self.folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY), "wb") as file:
            file.write(picture)
            file.flush()
            os.fsync(file.fileno())


@contextmanager
def _disk_errors() -> Iterator[None]:
    """What cannot be written as a Problem."""
    try:
        yield
    except OSError as error:
        if error.errno in DISK_FULL:
            raise Problem(507, "no_space", f"The disk is full: a photo cannot be saved. {NOT_RECORDED}") from error
        message = f"The folder of photos cannot be written to. {NOT_RECORDED}"
        raise Problem(503, "photos_unavailable", message) from error


def is_photo_name(name: str) -> bool:
    """Whether a photo can have this name: no other opens or makes a file."""
    return NAME.fullmatch(name) is not None


def _pictures_of(sent: Sequence[bytes]) -> Iterator[bytes]:
    """The photos encoded again, while somebody waits for it."""
    for i, data in enumerate(sent):
        check_caller()
        yield picture_of(data, i)


def picture_of(data: bytes, number: int = 0) -> bytes:
    """A photo as a new JPEG, upright, with sides up to MAX_SIDE. Raises Problem. [number: of the upload, from 0]"""
    if len(data) > MAX_BYTES:
        raise invalid_photo(number, f"is larger than {MAX_BYTES // 2**20} MB; make it smaller")
    with _decoding:
        try:
            return _encoded(_decoded(data, number))
        except Problem:
            raise
        except Exception:  # decoders raise errors of many kinds on invalid data
            raise invalid_photo(number, "cannot be read as a picture; send JPEG or PNG") from None


def invalid_photo(number: int, message: str) -> Problem:
    """The problem with one photo. [number: from 0; message: continues a sentence]"""
    return Problem(422, "bad_value", f"Photo {number + 1} {message}.", (FieldProblem(f"photos.{number}", message),))


def _decoded(data: bytes, number: int) -> "Image.Image":
    from PIL import Image, ImageOps  # 10 MB that a worker without photos does not need

    with Image.open(BytesIO(data), formats=FORMATS) as picture:
        width, height = picture.size
        is_baseline = picture.format in ("JPEG", "MPO") and not picture.info.get("progressive")
        limit = MAX_PIXELS_BASELINE_JPEG if is_baseline else MAX_PIXELS
        if width * height > limit:  # known from the header, before anything is decoded
            raise invalid_photo(number, f"has {width} x {height} pixels; the limit is {limit // 10**6} million")
        if picture.format != "PNG" and data.count(SCAN) > MAX_SCANS:  # a few bytes each, and milliseconds
            raise invalid_photo(number, f"has over {MAX_SCANS} scans; save it anew as an ordinary JPEG")
        if min(width, height) < MIN_SIDE:
            raise invalid_photo(number, f"has {width} x {height} pixels; each side needs {MIN_SIDE} at least")
        picture.thumbnail((MAX_SIDE, MAX_SIDE), reducing_gap=1.0)
        return ImageOps.exif_transpose(picture).convert("RGBA")


def _encoded(picture: "Image.Image") -> bytes:
    from PIL import Image

    plain = Image.new("RGB", picture.size, "white")  # a new image: the encoder would write the metadata of the old one
    plain.paste(picture, mask=picture.getchannel("A"))
    stream = BytesIO()
    plain.save(stream, "JPEG", quality=QUALITY)
    return stream.getvalue()
