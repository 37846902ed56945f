"""The readers of meter data formats by their names, what their columns mean, and which one a file needs.

In:  a TableFile.
Out: the name of a reader, by the first bytes of the file; the map that says what the reader's columns mean.
"""

import re
from collections.abc import Callable, Iterator
from importlib.resources import files

from fairmeter.data.files import TableFile, file_errors
from fairmeter.data.formats.dlms import read_dlms
from fairmeter.data.formats.enedis import read_enedis, read_enedis_index
from fairmeter.data.formats.espi import read_espi
from fairmeter.data.formats.mscons import read_mscons
from fairmeter.data.formats.nem12 import read_nem12
from fairmeter.data.formats.nem13 import read_nem13
from fairmeter.data.layouts.raw_table import RawTable

HEAD_BYTES = 4096
READERS: dict[str, Callable[[TableFile], Iterator[RawTable]]] = {
    "nem12": read_nem12,
    "nem13": read_nem13,
    "espi": read_espi,
    "mscons": read_mscons,
    "enedis": read_enedis,
    "enedis_index": read_enedis_index,
    "dlms": read_dlms,
}
# An array of at most 255 structures of four: the capture objects, which begin with a class of two bytes.
DLMS_BYTES = re.compile(rb"\x01(?:[\x01-\x7f]|\x81.)\x02\x04\x12", re.DOTALL)
DLMS_DIGITS = re.compile(rb"\s*01\s*(?:[0-7][0-9a-f]|81\s*..)\s*02\s*04\s*12", re.IGNORECASE)
XML_ROOT = r"(?:<\?.*?\?>|<!--.*?-->|\s)*<(?:\w+:)?(?:{})[\s>]"
# A record 200 may come first, where a portal gives a part of a file.
STARTS = {
    "nem12": re.compile(r"100,NEM12\b|200,\w{10,11},\w+,[^,\n]*,[A-Z]\w,"),
    "nem13": re.compile(r"100,NEM13\b|250,\w{10,11},"),
    "espi": re.compile(r"<.*http://naesb\.org/espi", re.DOTALL),
    "mscons": re.compile(r"(UNA|UNB).*UNH.[^+]*.MSCONS\b", re.DOTALL),
    "enedis": re.compile(XML_ROOT.format("Courbe|R50"), re.DOTALL),
    "enedis_index": re.compile(XML_ROOT.format("R151|R171"), re.DOTALL),
}


def detect(source: TableFile) -> str | None:
    """The name of the reader that a file needs; None if it is a table, or of no known format. Raises DamagedFile."""
    with file_errors(source), source.open() as stream:
        head = stream.read(HEAD_BYTES)
    encoding = "utf-16" if head[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    if DLMS_BYTES.match(head) or DLMS_DIGITS.match(head):
        return "dlms"
    text = head.decode(encoding, "replace").lstrip()
    return next((name for name, start in STARTS.items() if start.match(text)), None)


def default_map(reader: str) -> str:
    """What the columns of a reader mean: a map in TOML. A map that names the reader changes single keys of it."""
    return files("fairmeter.data.formats").joinpath("defaults", f"{reader}.toml").read_text(encoding="utf-8")
