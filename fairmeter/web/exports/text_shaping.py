"""Text -> the characters that a page can show, in the order in which they stand on it.

In:  any text; which characters the font has.
Out: the same without what nobody can see; Arabic in the forms that letters take inside words, right to left. What the
     font does not have is taken apart (é -> e), else a question mark.

Arabic letters are joined by the forms that Unicode names for each (initial, medial, final), which the font has too.
"""

import unicodedata
from collections.abc import Callable
from functools import cache

from fpdf.bidi import BidiParagraph, auto_detect_base_direction
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
FORMS = range(0xFE70, 0xFEFD)  # Unicode's Arabic forms
UNKNOWN = "?"
Has = Callable[[str], bool]


def plain(text: object) -> str:
    """One line, without control characters."""
    return "".join(" " if unicodedata.category(c) in ("Cc", "Zl", "Zp") else c for c in str(text)).strip()


def shown(text: object, has: Has) -> str:
    """In the order in which it is read; `placed` puts a line of it into that in which it stands."""
    return "".join(_shown(character, has) for character in joined(unicodedata.normalize("NFC", plain(text)), has))


def _shown(character: str, has: Has) -> str:
    if has(character):
        return character
    if unicodedata.category(character) in ("Cf", "Mn"):
        return ""
    alike = ALIKE.get(character) or unicodedata.normalize("NFKD", character)
    kept = "".join(part for part in alike if has(part) and not unicodedata.combining(part))
    return kept or UNKNOWN


def placed(line: str) -> str:
    """A line in the order in which it stands: left to right, but for words of Arabic or Hebrew."""
    if not any(unicodedata.bidirectional(character) in ("R", "AL") for character in line):
        return line
    return BidiParagraph(line, auto_detect_base_direction(line)).get_reordered_string()


def is_right_to_left(text: object) -> bool:
    return auto_detect_base_direction(plain(text)) == TextDirection.RTL


# --- Arabic -----------------------------------------------------------------------------------------------------------


@cache
def forms() -> dict[str, dict[str, str]]:
    """Of a letter, or of lam and alef together: its forms by name. A letter without an initial one joins backwards."""
    found: dict[str, dict[str, str]] = {}
    for code in FORMS:
        kind, *parts = unicodedata.decomposition(chr(code)).split() or [""]
        letters = "".join(chr(int(part, 16)) for part in parts)
        if kind and " " not in letters and not any(map(unicodedata.combining, letters)):
            found.setdefault(letters, {})[kind.strip("<>")] = chr(code)
    return found


def joined(text: str, has: Has) -> str:
    """Each Arabic letter in the form it takes between its neighbours, lam and alef as one."""
    if not any(0x0600 <= ord(character) <= 0x06FF for character in text):
        return text
    parts = _parts(text)
    out = []
    for i, part in enumerate(parts):
        own = forms().get(part)
        if own is None:
            out.append(part)
            continue
        before = _joins_on(_beside(parts, i, -1)) and "final" in own
        after = "initial" in own and _beside(parts, i, 1) in forms() and "final" in forms()[_beside(parts, i, 1)]
        kind = ("medial" if after else "final") if before else ("initial" if after else "isolated")
        form = own.get(kind, part)
        out.append(form if has(form) else part)
    return "".join(out)


def _parts(text: str) -> list[str]:
    """Letters, but lam and alef, which are written as one, together."""
    parts, i = [], 0
    while i < len(text):
        n = 2 if text[i : i + 2] in forms() else 1
        parts.append(text[i : i + n])
        i += n
    return parts


def _beside(parts: list[str], i: int, step: int) -> str:
    """The next part that is a letter: marks above and below letters do not part them."""
    i += step
    while 0 <= i < len(parts) and unicodedata.combining(parts[i][0]):
        i += step
    return parts[i] if 0 <= i < len(parts) else ""


def _joins_on(part: str) -> bool:
    return "initial" in forms().get(part, {})
