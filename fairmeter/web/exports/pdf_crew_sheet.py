"""The crew's page for one client: its place, the reasons for the visit, what to check, boxes for the outcome.

In:  texts and a chart's values, made by pages/client/crew_sheet.py.
Out: a PDF of one A4 page, upright. The font shrinks until everything fits; what is still too much is cut.
"""

from collections.abc import Callable, Sequence

from fairmeter.web.exports.pdf import INK, MARGIN, QUIET, RULE, SHADE, PdfDocument
from fairmeter.web.exports.text_shaping import is_right_to_left

FITS = (
    (9.0, 4),
    (8.5, 4),
    (8.0, 3),
    (7.5, 3),
    (7.0, 2),
)  # font size in points and lines of a paragraph, the largest first
COLUMN_GAP, GAP = 8, 3.2  # mm
CHART_HEIGHT, AXIS_WIDTH, AXIS_HEIGHT = 40, 12, 5
LABEL_SHARE = 0.36  # of a column of facts
BOX = 3.2
BLANK_HEIGHT, NOTE_LINES = 10, 2
TICKS = 4


class CrewSheet(PdfDocument):
    """The page. [content: of pages/client/crew_sheet.py; points: font size; most: lines of a paragraph]"""

    def __init__(self, content: dict, points: float, most: int) -> None:
        super().__init__("portrait", content["foot"], direction=content.get("direction", "ltr"))
        self._content, self._points, self._most = content, points, most
        self.wide_all = self.w - 2 * MARGIN
        self.set_title(content["client"])
        self.add_page()

    def drawn(self) -> float:
        """Draw everything; the space left above the boxes at the bottom, negative if the content overlaps. [mm]"""
        top, content = self._head(), self._content
        half = (self.wide_all - COLUMN_GAP) / 2
        top = max(
            self._facts(MARGIN, top, half, content["facts"]),
            self._facts(MARGIN + half + COLUMN_GAP, top, half, content["stakes"]),
        )
        if content["chart"]:
            top = self._titled(MARGIN, top + GAP, self.wide_all, content["chart"]["title"])
            with self.left_to_right():
                top = SheetChart(self, content["chart"], top).drawn()
        top = self._items(MARGIN, top + GAP, self.wide_all, content["reasons"], self._reason)
        under = top + GAP
        top = max(
            self._items(MARGIN, under, half, content["harmless"], self._paragraph),
            self._items(MARGIN + half + COLUMN_GAP, under, half, content["checks"], self._to_tick),
        )
        bottom = self.bottom - self._found_height()
        self._found(bottom)
        return bottom - top - GAP

    def _normal(self, style: str = "", grey: int = INK) -> None:
        self.size(self._points, style, grey)

    def _head(self) -> float:
        content, y = self._content, MARGIN
        self.size(8.5, grey=QUIET)
        self.put(MARGIN, y, content["title"])
        self.put(MARGIN, y, content["printed"], self.wide_all, "R")
        y += self.leading + 1
        self.size(11, "B")
        word = self.ready(content["severity"])
        tag = self.wide(word) + 6
        self.set_fill_color(INK)
        self.rect(self.mirrored(self.w - MARGIN - tag, tag), y, tag, self.leading + 2, style="F")
        self.set_text_color(255)
        self.put(self.w - MARGIN - tag, y + 1, word, tag, "C")
        self.size(16, "B")
        self.put(MARGIN, y, content["client"], self.wide_all - tag - 4)
        y += self.leading + 0.5
        self.size(8.5, grey=QUIET)
        self.put(MARGIN, y, content["about"], self.wide_all)
        y += self.leading + 1
        self.rule(MARGIN, y, self.wide_all, INK, 0.4)
        return y + 2

    def _titled(self, x: float, y: float, width: float, title: str) -> float:
        self._normal("B")
        self.put(x, y, title, width)
        return y + self.leading + 0.6

    def _facts(self, x: float, y: float, width: float, facts: Sequence[Sequence[str]]) -> float:
        for label, value in facts:
            self._normal(grey=QUIET)
            self.put(x, y, label, width * LABEL_SHARE - 2)
            self._normal()
            room = width * (1 - LABEL_SHARE)
            y = self.put_lines(x + width * LABEL_SHARE, y, self.lines_of(value, room, self._most - 1), room) + 0.3
        return y

    def _items(self, x: float, y: float, width: float, part: dict, draw: Callable) -> float:
        if not part["items"]:
            return y
        y = self._titled(x, y, width, part["title"])
        for item in part["items"]:
            y = draw(x, y, width, item) + 0.5
        return y

    def _reason(self, x: float, y: float, width: float, item: Sequence[str]) -> float:
        effect, text = item
        self._normal("B")
        self.put(x, y, effect, 12, "R")
        return self._paragraph(x + 15, y, width - 15, text)

    def _paragraph(self, x: float, y: float, width: float, text: str) -> float:
        self._normal()
        is_other_way = is_right_to_left(text) and not self.is_mirrored
        return self.put_lines(x, y, self.lines_of(text, width, self._most), width, "R" if is_other_way else "L")

    def _to_tick(self, x: float, y: float, width: float, text: str) -> float:
        self._normal()
        self.box(x, y + (self.leading - BOX) / 2, BOX)
        return self._paragraph(x + BOX + 2, y, width - BOX - 2, text)

    # --- outcome ---

    def _found_height(self) -> float:
        return 2 + 5 + 6 + BLANK_HEIGHT * (1 + NOTE_LINES) + 3

    def _found(self, y: float) -> None:
        found, x = self._content["found"], MARGIN
        self.rule(x, y, self.wide_all, INK, 0.4)
        self.size(9, "B")
        self.put(x, y + 2, found["title"])
        self.size(9)
        y += 7.5
        step = self.wide_all / len(found["outcomes"])
        for n, outcome in enumerate(found["outcomes"]):
            self.box(x + n * step, y, BOX + 0.6)
            self.put(x + n * step + BOX + 2.4, y, outcome, step - BOX - 4)
        y += 6
        self._blanks(y, found["blanks"])
        y += BLANK_HEIGHT
        for n in range(NOTE_LINES):
            self._blanks(y + n * BLANK_HEIGHT, [found["notes"] if n == 0 else ""])

    def _blanks(self, y: float, labels: Sequence[str]) -> None:
        width = (self.wide_all - 4 * (len(labels) - 1)) / len(labels)
        for n, label in enumerate(labels):
            x = MARGIN + n * (width + 4)
            self.rule(x, y + BLANK_HEIGHT - 3, width, INK)
            self.size(6.5, grey=QUIET)
            self.put(x, y + BLANK_HEIGHT - 2.8, label, width)


class SheetChart:
    """Consumption over time with the band of its peers and the levels around the onset.

    [content: values, low, high (each a list or none), labels [(place, text)], onset (a place or none), levels (before,
    after), unit, onset_text; a place counts values from 0]
    """

    def __init__(self, sheet: CrewSheet, content: dict, top: float) -> None:
        self._sheet, self._content = sheet, content
        self._left, self._top = MARGIN + AXIS_WIDTH, top + 1
        self._width, self._height = sheet.wide_all - AXIS_WIDTH, CHART_HEIGHT - AXIS_HEIGHT
        known = [v for name in ("values", "low", "high") for v in content[name] or () if v is not None]
        self._most = round_up(max(known, default=1.0))

    def drawn(self) -> float:
        """Draw the chart; the position below it. [mm]"""
        self._axes()
        if self._content["low"]:
            self._band()
        self._line(self._content["values"])
        self._onset()
        return self._top + self._height + AXIS_HEIGHT

    def _x(self, place: float) -> float:
        return self._left + self._width * place / max(len(self._content["values"]) - 1, 1)

    def _y(self, value: float) -> float:
        return self._top + self._height * (1 - min(max(value / self._most, 0), 1))

    def _axes(self) -> None:
        sheet = self._sheet
        sheet.size(6.5, grey=QUIET)
        for n in range(TICKS + 1):
            value = self._most * n / TICKS
            sheet.rule(self._left, self._y(value), self._width, RULE, 0.1)
            sheet.put(MARGIN, self._y(value) - sheet.leading / 2, f"{value:,.10g}", AXIS_WIDTH - 2, "R")
        for place, label in self._content["labels"]:
            sheet.put(self._x(place) - 10, self._top + self._height + 0.6, label, 20, "C")

    def _band(self) -> None:
        self._sheet.set_fill_color(SHADE - 20)
        for first, last in runs(self._content["low"]):
            places = range(first, last)
            edge = [(self._x(i), self._y(self._content["high"][i])) for i in places]
            edge += [(self._x(i), self._y(self._content["low"][i])) for i in reversed(places)]
            if len(places) > 1:
                self._sheet.polygon(edge, style="F")

    def _line(self, values: Sequence[float | None]) -> None:
        self._sheet.set_draw_color(INK)
        self._sheet.set_line_width(0.35)
        for first, last in runs(values):
            points = [(self._x(i), self._y(values[i])) for i in range(first, last)]
            self._sheet.polyline(points if len(points) > 1 else [points[0], (points[0][0] + 0.4, points[0][1])])

    def _onset(self) -> None:
        onset, sheet = self._content["onset"], self._sheet
        if onset is None:
            return
        before, after = self._content["levels"]
        ends = ((0, onset, before), (onset, len(self._content["values"]) - 1, after))
        for start, end, level in ends:
            if level is not None:
                sheet.rule(self._x(start), self._y(level), self._x(end) - self._x(start), INK, 0.5)
        sheet.set_draw_color(INK)
        sheet.set_line_width(0.3)
        with sheet.local_context():
            sheet.set_dash_pattern(dash=1, gap=1)
            sheet.line(self._x(onset), self._top, self._x(onset), self._top + self._height)
        sheet.size(6.5)
        word = sheet.ready(self._content["onset_text"])
        is_late = self._x(onset) + sheet.wide(word) + 2 > self._left + self._width
        x = self._x(onset) - sheet.wide(word) - 1 if is_late else self._x(onset) + 1
        sheet.put(x, self._top, self._content["onset_text"])


def runs(values: Sequence[float | None]) -> list[tuple[int, int]]:
    """Runs of values without a gap: the first place, and one past the last."""
    known = [False, *(value is not None for value in values), False]
    starts = [i for i in range(len(values)) if known[i + 1] and not known[i]]
    ends = [i + 1 for i in range(len(values)) if known[i + 1] and not known[i + 2]]
    return list(zip(starts, ends, strict=True))


def round_up(value: float) -> float:
    """Round up to 1, 2, 4 or 8 times a power of ten, so that a quarter of it is a short number."""
    step = 10.0 ** (len(str(int(value))) - 1) if value >= 1 else 0.1
    return next((n * step for n in (1, 2, 4, 8) if value <= n * step), 10 * step)


def crew_sheet(content: dict) -> bytes:
    """The PDF, in the largest font in which everything fits one page."""
    for points, most in FITS:
        sheet = CrewSheet(content, points, most)
        if sheet.drawn() >= 0:
            break
    return bytes(sheet.output())
