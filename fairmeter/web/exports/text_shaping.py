"""Text -> characters that a page can show, in their order on the page.

In:  any text; which characters the font has.
Out: the text without invisible characters; Arabic in contextual forms, right to left. A character that the font lacks
     is decomposed (é -> e), or becomes a question mark.

Arabic letters are joined by Unicode's presentation forms (initial, medial, final), which the font has.
"""

import unicodedata
from collections.abc import Callable
from functools import cache

from fpdf.bidi import BidiCharacter, BidiParagraph, auto_detect_base_direction
from fpdf.enums import TextDirection

ALIKE = {
    "\u202f": "\u00a0",
    "\u2013": "-",
    "\u2212": "-",
    "\u2019": "'",
    "\u2026": "...",
    "\u0153": "oe",
    "\u00b3": "3",
}
# Unicode's forms of Arabic letters: of Persian and other languages (without ligatures), and of Arabic itself.
FORMS = (*range(0xFB50, 0xFBE8), *range(0xFBFC, 0xFC00), *range(0xFE70, 0xFEFD))
UNKNOWN = "?"
# Marks that keep a part of a text in its own direction: the reordering reads them, nothing shows them.
ISOLATES = "\u2066\u2067\u2068\u2069"
MIRRORED = str.maketrans("()[]{}<>\u00ab\u00bb", ")(][}{><\u00bb\u00ab")
Has = Callable[[str], bool]


def single_line(text: object) -> str:
    """One line, without control characters."""
    return "".join(" " if unicodedata.category(c) in ("Cc", "Zl", "Zp") else c for c in str(text)).strip()


def displayable(text: object, has: Has) -> str:
    """The text in characters of the font, in reading order; `visual_order` reorders a line of it."""
    return "".join(
        _shown(character, has) for character in join_arabic(unicodedata.normalize("NFC", single_line(text)), has)
    )


def _shown(character: str, has: Has) -> str:
    if has(character) or character in ISOLATES:
        return character
    if unicodedata.category(character) in ("Cf", "Mn"):
        return ""
    alike = ALIKE.get(character) or unicodedata.normalize("NFKD", character)
    remaining = "".join(part for part in alike if has(part) and not unicodedata.combining(part))
    return remaining or UNKNOWN


def without_isolates(line: str) -> str:
    """A line without the marks that are not shown."""
    return line.translate(dict.fromkeys(map(ord, ISOLATES)))


def visual_order(line: str, is_right_to_left: bool = False) -> str:
    """A line in display order: left to right, except for Arabic and Hebrew words; brackets within these are mirrored.

    is_right_to_left: the direction of the document, for a line that has Arabic or Hebrew; else its first letter's.
    """
    if not any(unicodedata.bidirectional(character) in ("R", "AL") for character in line):
        return without_isolates(line)
    base = TextDirection.RTL if is_right_to_left else auto_detect_base_direction(line)
    ordered = BidiParagraph(line, base).get_reordered_characters()
    return without_isolates("".join(_mirrored(one) for one in ordered))


def _mirrored(one: BidiCharacter) -> str:
    return one.character.translate(MIRRORED) if one.embedding_level % 2 else one.character


def is_right_to_left(text: object) -> bool:
    return auto_detect_base_direction(single_line(text)) == TextDirection.RTL


# --- Arabic -----------------------------------------------------------------------------------------------------------


@cache
def forms() -> dict[str, dict[str, str]]:
    """Forms by name of each letter, and of lam-alef. A letter without an initial form joins only the letter before."""
    found: dict[str, dict[str, str]] = {}
    for code in FORMS:
        kind, *parts = unicodedata.decomposition(chr(code)).split() or [""]
        letters = "".join(chr(int(part, 16)) for part in parts)
        if kind and " " not in letters and not any(map(unicodedata.combining, letters)):
            found.setdefault(letters, {})[kind.strip("<>")] = chr(code)
    return found


def join_arabic(text: str, has: Has) -> str:
    """Replace each Arabic letter by its form between its neighbours, lam and alef by their ligature."""
    if not any(0x0600 <= ord(character) <= 0x06FF for character in text):
        return text
    parts = _parts(text)
    out = []
    for i, part in enumerate(parts):
        own = forms().get(part)
        if own is None:
            out.append(part)
            continue
        before = _joins_on(_neighbour(parts, i, -1)) and "final" in own
        after = "initial" in own and _neighbour(parts, i, 1) in forms() and "final" in forms()[_neighbour(parts, i, 1)]
        kind = ("medial" if after else "final") if before else ("initial" if after else "isolated")
        form = own.get(kind, part)
        out.append(form if has(form) else part)
    return "".join(out)


def _parts(text: str) -> list[str]:
    """The letters of a text, lam-alef as one."""
    parts, i = [], 0
    while i < len(text):
        n = 2 if text[i : i + 2] in forms() else 1
        parts.append(text[i : i + n])
        i += n
    return parts


def _neighbour(parts: list[str], i: int, step: int) -> str:
    """The next letter; combining marks are skipped."""
    i += step
    while 0 <= i < len(parts) and unicodedata.combining(parts[i][0]):
        i += step
    return parts[i] if 0 <= i < len(parts) else ""


def _joins_on(part: str) -> bool:
    return "initial" in forms().get(part, {})
