"""Headers and a look at the values -> the text of a map, each guess with its reason; never used without a person."""

from fairmeter.data.guess.map_text import guess_map

__all__ = ["guess_map"]
