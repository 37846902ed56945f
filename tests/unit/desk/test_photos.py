"""Photos: decoded, made our own, kept by names that nobody else can make, gone again where nothing was recorded."""

import errno
import os
import struct
import zlib
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from fairmeter.desk import photos
from fairmeter.desk.photos import Photos, picture_of
from fairmeter.scoring.problems import Problem
from tests.builders.examples import fewer
from tests.builders.photos import a_photo, seen_picture

PLACE = b"36 deg 48' N"  # what must not come back


def with_exif(orientation: int = 1) -> bytes:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = orientation, PLACE.decode()
    exif.get_ifd(0x8825)[1] = "N"
    return a_photo(exif=exif, comment=PLACE, xmp=b"<x>" + PLACE + b"</x>", icc_profile=PLACE)


def bomb(width: int, height: int) -> bytes:
    """A PNG whose header says that it is large."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 1000))


@pytest.fixture
def folder(tmp_path):
    return Photos(tmp_path / "photos")


def files(folder):
    return sorted(path.name for path in folder.folder.glob("*")) if folder.folder.exists() else []


# --- what is kept of a picture ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "mode"), [("JPEG", "RGB"), ("JPEG", "L"), ("JPEG", "CMYK"), ("PNG", "P"), ("PNG", "RGBA")]
)
def test_what_a_phone_or_a_scanner_sends_is_a_jpeg_afterwards(kind, mode):
    image = seen_picture(picture_of(a_photo(kind=kind, mode=mode)))
    assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (64, 48))


def test_place_device_and_words_of_the_original_are_gone():
    sent = with_exif()
    assert PLACE in sent
    kept = picture_of(sent)
    assert PLACE not in kept
    assert set(seen_picture(kept).info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
    words = PngInfo()
    words.add_text("Comment", PLACE.decode())
    assert PLACE not in picture_of(a_photo(kind="PNG", pnginfo=words) + PLACE)


def test_a_picture_that_was_taken_sideways_stands_upright():
    assert seen_picture(picture_of(with_exif(orientation=6))).size == (48, 64)


def test_what_is_transparent_is_white():
    assert seen_picture(picture_of(a_photo(kind="PNG", mode="RGBA", colour=(0, 0, 0, 0)))).getpixel((5, 5)) == (
        255,
        255,
        255,
    )


@pytest.mark.parametrize("size", [(4000, 3000), (8000, 6000)])
def test_a_large_picture_is_made_smaller(size):
    assert seen_picture(picture_of(a_photo(size))).size == (1600, 1200)


def with_scans(n):
    """A progressive JPEG with the last of its scans again and again: 10 MB of them would take minutes."""
    whole = a_photo((400, 300), progressive=True)
    last = whole[whole.rindex(photos.SCAN) : -2]
    return whole[:-2] + last * n + whole[-2:]


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        (b"", "cannot be read as a picture"),
        (b"<script>alert(1)</script>", "cannot be read as a picture"),
        (b"%PDF-1.4", "cannot be read as a picture"),
        (a_photo()[:200], "cannot be read as a picture"),
        (a_photo(kind="GIF"), "cannot be read as a picture"),
        (a_photo(kind="WEBP"), "cannot be read as a picture"),
        (a_photo(kind="TIFF"), "cannot be read as a picture"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "cannot be read as a picture"),
        (bomb(60_000, 60_000), "cannot be read as a picture"),
        (bomb(9_000, 9_000), "9000 x 9000 pixels"),
        (bomb(4_001, 4_000), "4001 x 4000 pixels"),
        (a_photo((4_001, 4_000), progressive=True), "4001 x 4000 pixels"),
        (a_photo((15, 400)), "each side needs 16"),
        (with_scans(200), "has over 100 scans"),
        (b"\0" * (photos.MAX_BYTES + 1), "larger than 10 MB"),
    ],
)
def test_what_is_no_photo_is_refused_in_words(sent, told):
    with pytest.raises(Problem, match=told) as refused:
        picture_of(sent, 2)
    assert (refused.value.status, refused.value.fields[0].path) == (422, "photos.2")


def test_the_scans_of_an_ordinary_progressive_picture_are_taken():
    assert seen_picture(picture_of(with_scans(0))).size == (400, 300)


@fewer(2, suppress_health_check=list(HealthCheck))  # an example encodes and decodes a picture
@given(
    st.sampled_from(photos.FORMATS),
    st.lists(st.tuples(st.integers(0, 700), st.binary(min_size=1, max_size=8)), max_size=6),
)
def test_no_bytes_break_the_decoder(kind, changes):
    sent = bytearray(a_photo(kind=kind))
    for place, data in changes:
        sent[place : place + len(data)] = data
    with suppress(Problem):
        assert seen_picture(picture_of(bytes(sent))).format == "JPEG"


# --- the folder -------------------------------------------------------------------------------------------------------


def test_photos_are_kept_by_names_of_our_own_and_found_by_them(folder):
    with folder.saved([a_photo(), a_photo(colour="red")]) as names:
        assert len(set(names)) == 2
    assert files(folder) == sorted(names)
    assert seen_picture(folder.find(names[0])).format == "JPEG"


def test_the_same_photo_twice_is_two_files_so_that_neither_goes_with_the_other(folder):
    with folder.saved([a_photo()]) as first:
        pass
    with suppress(LookupError), folder.saved([a_photo()]) as second:
        assert files(folder) == sorted(first + second)
        raise LookupError
    assert files(folder) == list(first)


def test_nothing_stays_where_one_of_them_is_no_photo(folder):
    with pytest.raises(Problem), folder.saved([a_photo(), b"x"]):
        raise AssertionError
    assert files(folder) == []


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../store.db", "/etc/passwd", "a" * 32 + "-" + "b" * 8 + ".jpg", "A" * 32 + "-" + "b" * 8 + ".jpg",
     "a" * 32 + "-" + "b" * 8 + ".jpg\n", "a" * 32 + "-" + "b" * 8 + ".jpg\0", "x.jpg"],
)  # fmt: skip
def test_no_other_name_opens_anything(folder, name):
    folder.folder.mkdir()
    for there in ("x.jpg", "A" * 32 + "-" + "b" * 8 + ".jpg"):
        (folder.folder / there).write_bytes(b"not ours")
    assert folder.find(name) is None


def test_without_a_folder_none_are_taken_and_a_visit_without_photos_is():
    with pytest.raises(Problem, match="PHOTOS names no folder"), Photos().saved([a_photo()]):
        raise AssertionError
    with Photos().saved([]) as names:
        assert names == ()
    assert Photos().find("a" * 32 + "-" + "b" * 8 + ".jpg") is None


def test_more_than_anybody_needs_of_one_visit_are_refused(folder):
    with pytest.raises(Problem, match="7 photos; the limit is 6 a visit"), folder.saved([a_photo()] * 7):
        raise AssertionError


@pytest.mark.parametrize(
    ("number", "status"), [(errno.ENOSPC, 507), (errno.EDQUOT, 507), (errno.EIO, 503), (errno.EROFS, 503)]
)
def test_a_disk_that_takes_no_more_is_said_and_leaves_no_half_file(folder, monkeypatch, number, status):
    def fails(_descriptor):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(photos.os, "fsync", fails)
    with pytest.raises(Problem, match="Nothing was recorded") as refused, folder.saved([a_photo()]):
        raise AssertionError
    assert refused.value.status == status
    assert files(folder) == []


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with (
        pytest.raises(Problem, match="cannot be written to") as refused,
        Photos(tmp_path / "file" / "photos").saved([a_photo()]),
    ):
        raise AssertionError
    assert refused.value.status == 503
