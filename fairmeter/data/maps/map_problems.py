"""The problems of a map as sentences: all at once, at most five of a kind.

In:  what the readers of a map find, with the key of the place.
Out: one MapError.
"""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches

from fairmeter.data.maps.toml_text import MAX_OF_A_KIND, MapError


def nearest(word: str, words: Sequence[str]) -> str | None:
    """The word that is most like another; None if none is."""
    found = get_close_matches(word.lower(), [other.lower() for other in words], 1, 0.5)
    return next((other for other in words if found and other.lower() == found[0]), None)


class MapProblems:
    """Collects problems. [lines: the line of each key, as TomlText has them]"""

    def __init__(self, name: str, lines: Mapping[str, int]) -> None:
        self.name, self._lines = name, lines
        self._unknown: list[tuple[int, str, str]] = []  # (line, what stands there, the sentence)
        self._others: list[str] = []

    def line(self, key: str) -> int | None:
        """The line of a key such as "readings.read_at", or of its table."""
        return self._lines.get(key) or self._lines.get(key.rpartition(".")[0])

    def unknown_table(self, name: str, known: Sequence[str]) -> None:
        """Note a table that no map has."""
        meant = nearest(name, known)
        word = f"[{meant}]" if meant else " ".join(f"[{each}]" for each in known)
        at = self.line(name) or 0
        self._unknown.append((at, f"[{name}]", f'{self.name}, line {at}: there is no table "[{name}]". Meant: {word}.'))

    def unknown_key(self, place: str, name: str, known: Sequence[str], key: str) -> None:
        """Note a key that its place does not have."""
        meant = nearest(name, known)
        word = f"Meant: {meant}." if meant else f"There are: {', '.join(known)}."
        self._unknown.append((self.line(key) or 0, name, f'{self.name}, {place}: there is no key "{name}". {word}'))

    def wrong(self, place: str, sentence: str, key: str) -> None:
        """Note any other problem: what is there, and what to write."""
        line = self.line(key)
        self._others.append(f"{self.name}, {place}{f' (line {line})' if line else ''}: {sentence}")

    def raise_any(self) -> None:
        """Raises MapError if anything was noted."""
        sentences = [] if not self._unknown else [self._unknown_sentence()]
        sentences += self._others[:MAX_OF_A_KIND]
        if len(self._others) > MAX_OF_A_KIND:
            sentences.append(f"{self.name}: {len(self._others) - MAX_OF_A_KIND} more like these.")
        if sentences:
            raise MapError.of(sentences)

    def _unknown_sentence(self) -> str:
        (_, _, first), *rest = sorted(self._unknown)
        likewise = "; ".join(f'line {line}: "{what}" likewise' for line, what, _ in rest[: MAX_OF_A_KIND - 1])
        return f"{first} ({likewise})" if likewise else first
