"""The encoding of a text file, its lines, and its bytes as UTF-8.

In:  a TableFile, and an encoding where one is stated.
Out: the encoding's name; lines of text, bounded in length; a stream of UTF-8 that Arrow can parse.
"""

import codecs
import io
import re
from collections import Counter, deque
from collections.abc import Iterator
from functools import partial
from itertools import pairwise

from fairmeter.data.files import DamagedFile, TableFile

SAMPLE_BYTES = 2**20
MAX_LINE_CHARS = 2**22  # a row of 20,000 columns has less; what is longer has no line ends
UTF8 = {"utf-8", "utf-8-sig", "ascii"}  # of which Arrow takes the bytes as they are
MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
MIN_NUL_SHARE = 0.2  # of the even or odd bytes: UTF-16 without a mark; digits, blanks and Latin letters have one each
MAX_GROWTH = 3  # bytes of UTF-8 for one of another encoding: Arrow must not be given more than it asks for
EMPTY_LINE = re.compile(rb"(?<=\n)\r?\n")


def check_encoding(name: str, source: TableFile) -> str:
    """Python's name of a stated encoding; UTF-8 also drops a mark. Raises DamagedFile."""
    try:
        found = codecs.lookup(name)
    except LookupError:
        found = None
    if found is None or not getattr(found, "_is_text_encoding", True):
        raise DamagedFile(
            f"{source}: there is no encoding {name!r}; write utf-8, utf-16, latin-1, cp1252, cp1256 or cp932, or leave "
            "it out."
        )
    return "utf-8-sig" if found.name == "utf-8" else found.name


def find_encoding(source: TableFile, is_whole: bool = False) -> str:
    """The encoding by its mark, as UTF-16 by its NULs, as UTF-8, or as the first single-byte one that fits.

    is_whole: look at all bytes, not at the first megabyte. Raises DamagedFile.
    """
    with source.open() as stream:
        sample = stream.read(SAMPLE_BYTES)
        marked = next((name for mark, name in MARKS if sample.startswith(mark)), None) or _wide(sample)
        if marked and not (is_whole and marked == "utf-8-sig"):
            return marked
        chunks = [sample, *_later_chunks(stream)] if is_whole else [sample]
    if _is_utf8(chunks):
        return "utf-8-sig"
    seen = b"".join(chunk for chunk in chunks if not chunk.isascii())
    _check_not_mixed(source, seen)
    return _single_byte(seen)


def _later_chunks(stream) -> Iterator[bytes]:
    """The chunks of a stream that are not plain ASCII; the others say nothing."""
    return (chunk for chunk in iter(partial(stream.read, SAMPLE_BYTES), b"") if not chunk.isascii())


def _wide(sample: bytes) -> str | None:
    """UTF-16 without a mark: every other byte of what is mostly Latin is NUL."""
    even, odd = sample[::2], sample[1::2]
    if even.count(0) > MIN_NUL_SHARE * len(even) and not odd.count(0):
        return "utf-16-be"
    return "utf-16-le" if odd.count(0) > MIN_NUL_SHARE * len(odd) and not even.count(0) else None


def _is_utf8(chunks: list[bytes]) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for chunk in chunks:
            decoder.decode(chunk)
    except UnicodeDecodeError:
        return False
    return True


def _check_not_mixed(source: TableFile, seen: bytes) -> None:
    """Refuse UTF-8 with a damaged place: as a single-byte encoding, all its other accents would be misread."""
    text = seen.decode("utf-8", "replace")
    n_bad = text.count("\ufffd")
    n_good = sum(not letter.isascii() for letter in text) - n_bad
    if n_good > n_bad:
        raise DamagedFile(
            f"{source}, line {_first_bad_line(source):,} is not UTF-8, though {n_good:,} other letters are; export it "
            "again, or state its encoding."
        )


def _first_bad_line(source: TableFile) -> int:
    with source.open() as stream:
        return next((number for number, line in enumerate(stream, 1) if not _is_utf8([line])), 1)


def _single_byte(seen: bytes) -> str:
    """latin-1, cp1252 or cp1256. Latin accents stand alone among letters; Arabic ones stand side by side."""
    high = [byte >= 0xC0 for byte in seen]
    n_pairs = sum(one and other for one, other in pairwise(high))
    if n_pairs > sum(high) / 2:
        return "cp1256"
    if not any(0x80 <= byte < 0xA0 for byte in seen):
        return "latin-1"
    try:
        seen.decode("cp1252")
    except UnicodeDecodeError:
        return "cp1256"
    return "cp1252"


def lines_of(source: TableFile, encoding: str) -> Iterator[str]:
    """The lines of a file with their ends, which may be CR, LF or both. Raises DamagedFile."""
    with source.open() as stream, io.TextIOWrapper(stream, encoding, newline="") as text:
        for number, line in enumerate(iter(partial(text.readline, MAX_LINE_CHARS), ""), 1):
            if len(line) == MAX_LINE_CHARS and not line.endswith(("\n", "\r")):
                raise DamagedFile(
                    f"{source}, line {number:,} is longer than {MAX_LINE_CHARS:,} characters; "
                    "this is no table of rows, export it again."
                )
            if "\0" in line:
                raise nul_error(source, number)
            yield line


def nul_error(source: TableFile, line: int) -> DamagedFile:
    """The error for a NUL, which a disk that was full or cut off leaves."""
    return DamagedFile(f"{source}, line {line:,} has NUL bytes, so the file is damaged; export or copy it again.")


class ForwardStream:
    """What Arrow asks of a stream that is read once, from its start to its end."""

    closed = False
    is_ended = False  # from then on no bytes follow, whatever the file holds

    def end(self) -> None:
        self.is_ended = True

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def writable(self) -> bool:
        return False


class Utf8Stream(ForwardStream):
    """The bytes of a file as UTF-8, without those before its rows, for Arrow.

    It counts what Arrow passes over: `n_empty` lines, and whether the quotes are odd. Raises DamagedFile at a NUL.
    """

    def __init__(self, source: TableFile, stream, encoding: str, n_skipped: int) -> None:
        self._source, self._stream, self._n_skipped = source, stream, n_skipped
        is_utf8 = encoding in UTF8
        self._decode = None if is_utf8 else codecs.getincrementaldecoder(encoding)().decode
        self._encoding, self._is_first, self._tail, self._n_quotes = encoding, is_utf8, b"", 0
        self.n_empty = 0

    @property
    def has_odd_quotes(self) -> bool:
        return self._n_quotes % 2 == 1

    def read(self, n: int = -1) -> bytes:
        """The next bytes, at least one before the end."""
        while not self.is_ended:
            packed = self._stream.read(max(1, n // MAX_GROWTH) if self._decode and n > 0 else n)
            chunk = self._decode(packed, not packed).encode() if self._decode else packed
            if self._is_first:
                chunk, self._is_first = chunk.removeprefix(codecs.BOM_UTF8), False
            if self._n_skipped:
                chunk, self._n_skipped = chunk[self._n_skipped :], max(0, self._n_skipped - len(chunk))
            if chunk or not packed:
                self._look_at(chunk)
                return chunk
        return b""

    def _look_at(self, chunk: bytes) -> None:
        if b"\0" in chunk:
            deque(lines_of(self._source, self._encoding), 0)  # raises with the line
        self._n_quotes += chunk.count(b'"')
        has_empty = b"\n\n" in chunk or b"\n\r\n" in chunk
        if has_empty or self._tail:  # an empty line may begin in the chunk before
            seen = self._tail + (chunk if has_empty else chunk[:2])
            self.n_empty += sum(found.end() > len(self._tail) for found in EMPTY_LINE.finditer(seen))
        tail = (self._tail + chunk[-2:])[-2:]
        self._tail = tail if tail.endswith((b"\n", b"\r")) else b""

    def close(self) -> None:
        self.closed = True
        self._stream.close()


def said(encoding: str) -> Counter[str]:
    """The note on an encoding other than UTF-8."""
    return Counter() if encoding in UTF8 else Counter({f"read as {encoding}": 1})
