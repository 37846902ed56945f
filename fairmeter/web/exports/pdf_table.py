"""Rows -> a PDF table: A4 landscape, the header on every page, pages numbered.

In:  title and notes, headings, rows of texts; which columns hold numbers.
Out: the file. Columns are as wide as their content; where they exceed the page, the widest ones shrink and wrap.
"""

from collections.abc import Iterable, Sequence
from itertools import islice

from fairmeter.web.exports.pdf import INK, MARGIN, QUIET, SHADE, PdfDocument

LETTERS = 7.5  # points
GAP = 2.4  # mm between columns
PAD = 0.9  # mm above and below a row's text
MAX_LINES = 4  # of a cell
SAMPLED = 300  # rows that set the columns' widths
MIN_WIDTH = 9  # mm


class PdfTable(PdfDocument):
    """A table. [header: title, notes, columns, is_number (of each), foot, page, direction]"""

    def __init__(self, header: dict, sample: Sequence[Sequence]) -> None:
        super().__init__("landscape", header["foot"], header["page"], header.get("direction", "ltr"))
        self._header = header
        self.set_title(header["title"])
        self.size(LETTERS, "B")
        self._heads = [self.ready(name) for name in header["columns"]]
        self.widths = self._fitting(sample)
        self.add_page()

    def _fitting(self, sample: Sequence[Sequence]) -> list[float]:
        self.size(LETTERS, "B")
        widths = [max(map(self.wide, head.split(" "))) for head in self._heads]
        self.size(LETTERS)
        for row in sample:
            widths = [max(width, self.wide(self.ready(text))) for width, text in zip(widths, row, strict=True)]
        room = self.w - 2 * MARGIN - GAP * (len(widths) - 1)
        fitting = fit_widths([max(width + 0.5, MIN_WIDTH) for width in widths], room)
        spare = (room - sum(fitting)) / max(len(fitting), 1)
        return [width + spare for width in fitting]

    def header(self) -> None:
        y = MARGIN
        if self.page_no() == 1:
            self.size(14, "B")
            self.put(MARGIN, y, self._header["title"])
            y += self.leading + 0.5
            self.size(8.5, grey=QUIET)
            for note in self._header["notes"]:
                y = self.put_lines(MARGIN, y, self.lines_of(note, self.w - 2 * MARGIN), self.w - 2 * MARGIN)
            y += 2
        self.size(LETTERS, "B")
        lines = [self.lines_of(head, width, 3) for head, width in zip(self._heads, self.widths, strict=True)]
        height = max(map(len, lines)) * self.leading + 2 * PAD
        self.set_fill_color(SHADE)
        self.rect(MARGIN, y, self.w - 2 * MARGIN, height, style="F")
        self._cells(y, lines)
        self.rule(MARGIN, y + height, self.w - 2 * MARGIN, INK)
        self.y = y + height
        self.size(LETTERS)

    def add_row(self, row: Sequence[str]) -> None:
        self.size(LETTERS)
        lines = [self.lines_of(text, width, MAX_LINES) for text, width in zip(row, self.widths, strict=True)]
        height = max(map(len, lines)) * self.leading + 2 * PAD
        if self.y + height > self.bottom:
            self.add_page()
        y = self.y
        self._cells(y, lines)
        self.rule(MARGIN, y + height, self.w - 2 * MARGIN)
        self.y = y + height

    def _cells(self, y: float, cells: list[list[str]]) -> None:
        x = MARGIN
        for lines, width, is_number in zip(cells, self.widths, self._header["is_number"], strict=True):
            self.put_lines(x, y + PAD, lines, width, "R" if is_number else "L")
            x += width + GAP


def pdf_table(header: dict, rows: Iterable[Sequence]) -> bytes:
    """The PDF of a table. [header: as for PdfTable, and `empty`, the text for no rows]"""
    rows = iter(rows)
    sample = list(islice(rows, SAMPLED))
    paper = PdfTable(header, sample)
    for some in (sample, rows):
        for row in some:
            paper.add_row(row)
    if not sample:
        paper.size(9, grey=QUIET)
        paper.put(MARGIN, paper.y + 3, header["empty"])
    return bytes(paper.output())


def fit_widths(widths: Sequence[float], room: float) -> list[float]:
    """Widths that sum to at most `room`: the widest are reduced, to one common width."""
    left, n, widest = room, len(widths), max(widths, default=0.0)
    for width in sorted(widths):
        if width * n > left:
            widest = left / n
            break
        left, n = left - width, n - 1
    return [min(width, widest) for width in widths]
