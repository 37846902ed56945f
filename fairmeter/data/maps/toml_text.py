"""The text of a map -> its keys and the line of each; errors of writing in sentences that give the line to write.

In:  the bytes of a TOML file, with or without BOM, UTF-8 or UTF-16, “curly” quotes or straight ones.
Out: nested dicts, and the line of each table and key. tomllib's own messages are never shown.
"""

import re
import tomllib
from typing import NamedTuple

from fairmeter.data.files import TableError

MAX_OF_A_KIND = 5
QUOTES = str.maketrans("\u201c\u201d\u201e\u00ab\u00bb\u2018\u2019\u201a", '"""""' + "'''")
SECTION = re.compile(r"\s*\[\[?\s*([^\[\]]+?)\s*\]\]?\s*(?:#.*)?$")
KEY = re.compile(r"""\s*("[^"]*"|'[^']*'|[^\s="'{\[#]+(?:[ \t]+[^\s="'{\[#]+)*)\s*=(?!=)\s*(.*)$""")
STRINGS = re.compile(r"""'[^']*'|"(?:[^"\\]|\\.)*\"""")
ESCAPES = re.compile(r'"(?:[^"\\\n]|\\.)*"')
BARE_KEY = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")
TRUTH = {"True": "true", "False": "false", "yes": "true", "no": "false"}


class MapError(TableError):
    """A map that cannot be used: a sentence for each problem, at most MAX_OF_A_KIND of a kind."""

    @classmethod
    def of(cls, sentences: list[str]) -> "MapError":
        """One error of several sentences, each on its own line."""
        return cls("\n".join(dict.fromkeys(sentences)))


class TomlText(NamedTuple):
    """Parsed TOML. [lines: {"readings": 12, "readings.read_at": 15, "readings#2.read_at": 21}]"""

    name: str
    data: dict
    lines: dict[str, int]


def decode(data: bytes) -> str:
    """The text of a map's bytes, whatever editor wrote it."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "replace")
    if data[:4].count(0) == 2:  # UTF-16 without a byte order mark
        return data.decode("utf-16-le" if data[1] == 0 else "utf-16-be", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def parse_toml(data: bytes | str, name: str) -> TomlText:
    """Parse a map. Raises MapError."""
    text = decode(data) if isinstance(data, bytes) else data.removeprefix("\ufeff")
    text = straight_quotes(text).replace("\r\n", "\n").replace("\r", "\n").replace("\u00a0", " ")
    try:
        return TomlText(name, tomllib.loads(text), key_lines(text))
    except tomllib.TOMLDecodeError as error:
        raise MapError.of(_syntax_problems(text, name, str(error))) from None


def straight_quotes(text: str) -> str:
    """The text with straight quotes, where curly ones stand in for them: not inside straight ones."""
    out = []
    for line in text.split("\n"):
        kept, at = [], 0
        for found in STRINGS.finditer(line):
            kept += [line[at : found.start()].translate(QUOTES), found[0]]
            at = found.end()
        out.append("".join((*kept, line[at:].translate(QUOTES))))
    return "\n".join(out)


def key_lines(text: str) -> dict[str, int]:
    """The line of each table and of each of its keys; of [[readings]] the second is readings#2."""
    lines, section, seen = {}, "", {}
    for number, line in enumerate(text.split("\n"), 1):
        if found := SECTION.match(line):
            name = found[1].replace('"', "").replace("'", "")
            seen[name] = seen.get(name, 0) + 1
            section = name if seen[name] == 1 else f"{name}#{seen[name]}"
            lines.setdefault(section, number)
        elif (found := KEY.match(line)) and not line.lstrip().startswith("#"):
            lines.setdefault(f"{section}.{found[1].strip(chr(34) + chr(39))}".lstrip("."), number)
    return lines


# --- what is wrong ----------------------------------------------------------------------------------------------------


def _syntax_problems(text: str, name: str, message: str) -> list[str]:
    """A sentence for each line that is written wrongly; without any, one that names the place."""
    kinds: dict[str, list[str]] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if found := _line_problem(line):
            kind, sentence = found
            kinds.setdefault(kind, []).append(f"{name}, line {number}: {sentence}")
    found = [sentence for sentences in kinds.values() for sentence in sentences[:MAX_OF_A_KIND]]
    return found or [_other_problem(text, name, message)]


def _line_problem(line: str) -> tuple[str, str] | None:
    """(kind, sentence) of what is wrong in one line."""
    bare = STRINGS.sub(lambda quoted: " " * len(quoted[0]), line)
    if "#" in bare:
        line = line[: bare.index("#")]
    line = line.strip()
    if not line or SECTION.match(line):
        return None
    if any(_has_bad_escape(quoted) for quoted in ESCAPES.findall(line)):
        return "escape", f"a backslash inside \"double quotes\". Write the pattern in 'single quotes': {_single(line)}"
    found = KEY.match(line)
    if found is None:
        return None
    key, value = found[1], found[2].strip()
    if key[0] not in "\"'" and not BARE_KEY.fullmatch(key):
        return "key", f'the name {key} has a blank or an accent and needs quotes. Write: "{key}" = {value}'
    inner = _bad_inner_key(value)
    if inner:
        return "key", f'the name {inner} has a blank, a dot or an accent and needs quotes. Write: "{inner}" = ...'
    if value.startswith("{") and bare.count("{") > bare.count("}"):
        return "brace", f"the {{...}} of {key} is not closed on its line. Write it on one line, up to its }}"
    if value in TRUTH:
        return "word", f"{value} has no quotes. Write: {key} = {TRUTH[value]}"
    if re.fullmatch(r"[^\W\d][\w ./*-]*", value) and value not in ("true", "false", "inf", "nan"):
        return "word", f'{value} has no quotes. Write: {key} = "{value}"'
    for mark in "\"'":
        if value.startswith(mark) and value.count(mark) == 1:
            return "quote", f"the {mark} of {key} is not closed. Write: {key} = {value}{mark}"
    if not value:
        return "nothing", f'nothing stands after {key} =. Write: {key} = "..."'
    return None


def _has_bad_escape(quoted: str) -> bool:
    try:
        tomllib.loads(f"x = {quoted}")
    except tomllib.TOMLDecodeError:
        return "\\" in quoted
    return False


def _single(line: str) -> str:
    return ESCAPES.sub(lambda quoted: f"'{quoted[0][1:-1]}'" if "\\" in quoted[0] else quoted[0], line)


def _bad_inner_key(value: str) -> str | None:
    """A name inside {...} that needs quotes."""
    bare = STRINGS.sub(lambda quoted: "Q" * len(quoted[0]), value)
    for found in re.finditer(r"[{,]\s*([^={},\[\]]+?)\s*=", bare):
        name = value[found.start(1) : found.end(1)]
        if name[0] not in "\"'" and not re.fullmatch(r"[A-Za-z0-9_-]+", name):
            return name
    return None


def _other_problem(text: str, name: str, message: str) -> str:
    """A sentence about what tomllib found and no rule above covers."""
    at = re.search(r"\(at line (\d+), column (\d+)\)", message)
    number = int(at[1]) if at else text.count("\n") + 1
    lines = text.split("\n")
    line = lines[number - 1].strip() if number <= len(lines) else ""
    if "overwrite" in message or "twice" in message or "Cannot declare" in message or "mutate" in message:
        return f"{name}, line {number}: {line} stands in this table before. Keep one of them; two tables: [[readings]]"
    return f'{name}, line {number}: {line or "the end"} is not written as key = "text". Correct it, or put # before it'
