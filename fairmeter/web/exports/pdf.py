"""PdfDocument: font, lines of text and page numbers shared by the table and the crew sheet.

In:  texts of any language.
Out: pages. [lengths in mm, font sizes in points]

The font is FiraGO of the package pymupdf-fonts: Latin, Greek, Cyrillic, Arabic and more. Without that package it is
Helvetica, which has Western European letters only: others are decomposed, or become question marks
(text_shaping.py).
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path

from fpdf import FPDF

from fairmeter.web.exports.tempdir import writable_folder
from fairmeter.web.exports.text_shaping import displayable, visual_order, without_isolates

FONTS = {"": "FiraGO_Regular", "B": "FiraGO_Bold"}  # by fpdf2's name of the style
MARGIN = 12
LEADING = 0.3528 * 1.25  # line height by font size: a point is 0.3528 mm
INK, QUIET, RULE, SHADE = 20, 95, 190, 238  # greys: 0 is black
CUT = "..."
MIRRORED_ALIGN = {"L": "R", "R": "L", "C": "C"}


class PdfDocument(FPDF):
    """Pages with a footer: a title on the left, the page number on the right.

    A document that runs from right to left is mirrored: what is drawn at x from the left is drawn at x from the right.
    """

    def __init__(self, orientation: str, foot: str = "", page: str = "", direction: str = "ltr") -> None:
        """[page: "Page {n} of {all}"; direction: ltr or rtl]"""
        super().__init__(orientation=orientation, format="A4")
        self.set_margins(MARGIN, MARGIN, MARGIN)
        self.set_auto_page_break(auto=False)
        self.c_margin = 0
        self._foot, self._page, self.is_mirrored = foot, page, direction == "rtl"
        self._family = self._added_fonts()
        self._letters = lru_cache(2**16)(self._measured)
        self.has = self._known if self._family == "house" else _in_latin_1
        self.size(9)

    def _added_fonts(self) -> str:
        if find_spec("pymupdf_fonts") is None:
            return "helvetica"
        for style, name in FONTS.items():
            letters = import_module(f"pymupdf_fonts.{name}").fontbuffer
            with tempfile.NamedTemporaryFile(
                suffix=".ttf", dir=writable_folder()
            ) as file:  # fpdf2 reads fonts from files only
                Path(file.name).write_bytes(letters)
                self.add_font("house", style, file.name)
            reader = self.fonts[f"house{style}"].ttfont.reader
            reader.file.close()  # fpdf2 leaves it open
            reader.file = BytesIO(letters)
        return "house"

    def _known(self, character: str) -> bool:
        return ord(character) in self.fonts["house"].cmap

    @property
    def bottom(self) -> float:
        """Where the footer begins. [mm]"""
        return self.h - MARGIN - 4

    def footer(self) -> None:
        if not self._page:
            return
        self.size(7.5, grey=QUIET)
        self.put(MARGIN, self.h - MARGIN, self._foot)
        alias = self.str_alias_nb_pages  # its brackets must not be mirrored
        alias = f"\u2066{alias}\u2069" if self.is_mirrored else alias
        number = self._page.format(n=self.page_no(), all=alias)
        self._place(self.w - MARGIN - 40, self.h - MARGIN, self.ready(number), 40, "R")

    # --- text ---

    def size(self, points: float, style: str = "", grey: int = INK) -> None:
        """Set the font size, style ("" or B) and grey of the following text."""
        self.set_font(self._family, style, points)
        self.set_text_color(grey)

    @property
    def leading(self) -> float:
        """Line height of the current font. [mm]"""
        return self.font_size_pt * LEADING

    def wide(self, text: str) -> float:
        """Width of a text from `ready`. [mm]"""
        return self._letters(text, self.font_style, self.font_size_pt)

    def _measured(self, text: str, _style: str, _size: float) -> float:
        return self.get_string_width(without_isolates(text))

    def ready(self, text: object) -> str:
        """The text in characters of the font, in reading order."""
        return displayable(text, self.has)

    def put(self, x: float, y: float, text: object, width: float | None = None, align: str = "L") -> None:
        """Draw one line, cut to the width."""
        line = self.ready(text)
        line = line if width is None else self.cut(line, width)
        self._place(x, y, line, width, align)

    def put_lines(self, x: float, y: float, lines: list[str], width: float, align: str = "L") -> float:
        """Draw lines of `lines_of`; the position of the next line. [mm]"""
        for line in lines:
            self._place(x, y, line, width, align)
            y += self.leading
        return y

    def _place(self, x: float, y: float, line: str, width: float | None, align: str) -> None:
        if not line:
            return
        if self.is_mirrored:
            width = self.wide(line) if width is None else width
            x, align = self.mirrored(x, width), MIRRORED_ALIGN[align]
        self.set_xy(x, y)
        self.cell(width, self.leading, visual_order(line, self.is_mirrored), align=align)

    def mirrored(self, x: float, width: float) -> float:
        """Where something of this width begins, from the left. [x: from the side on which lines begin]"""
        return self.w - x - width if self.is_mirrored else x

    @contextmanager
    def left_to_right(self) -> Iterator[None]:
        """Draw as in a document that runs from left to right: a chart, whose axes do."""
        before, self.is_mirrored = self.is_mirrored, False
        yield
        self.is_mirrored = before

    def cut(self, line: str, width: float) -> str:
        if self.wide(line) <= width:
            return line
        while line and self.wide(line + CUT) > width:
            line = line[:-1]
        return line.rstrip() + CUT

    def lines_of(self, text: object, width: float, most: int = 100) -> list[str]:
        """Break a text into lines of a width, between words or within long ones; at most `most`, the last one cut."""
        lines, line = [], ""
        for word in self.ready(text).split(" "):
            longer = f"{line} {word}" if line else word
            if self.wide(longer) <= width:
                line = longer
                continue
            lines += [line] if line else []
            *whole, line = self._broken(word, width)
            lines += whole
        lines.append(line)
        if len(lines) > most:
            lines[most - 1 :] = [self.cut(" ".join(lines[most - 1 :]), width)]
        return lines

    def _broken(self, word: str, width: float) -> list[str]:
        parts = [""]
        for letter in word:
            if parts[-1] and self.wide(parts[-1] + letter) > width:
                parts.append("")
            parts[-1] += letter
        return parts

    # --- lines and areas ---

    def rule(self, x: float, y: float, width: float, grey: int = RULE, thick: float = 0.2) -> None:
        self.set_draw_color(grey)
        self.set_line_width(thick)
        x = self.mirrored(x, width)
        self.line(x, y, x + width, y)

    def box(self, x: float, y: float, side: float) -> None:
        """Draw an empty tick box."""
        self.set_draw_color(INK)
        self.set_line_width(0.25)
        self.rect(self.mirrored(x, side), y, side, side)


def _in_latin_1(character: str) -> bool:
    return ord(character) < 256
