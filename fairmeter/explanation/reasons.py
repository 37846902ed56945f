"""The parts of a score as reasons in words, the largest first.

In:  Shares of a client (fairmeter/explanation/shapley.py), and a teller: the sentence of an aspect of one of its parts, or None; the
     sentence of what invoices said that are not at hand any more.
Out: Reasons, whose effects sum to the score less the typical client's, but for those below LEAST_EFFECT.

A group's sentence is about the aspect that moves the score most in the direction of the group's effect. One that
sounds the other way (a rise, where a fall was to be told) gives way to the next.
"""

from collections.abc import Callable

import numpy as np

from fairmeter.core.types import Reason
from fairmeter.explanation.sentence_inputs import Sentence
from fairmeter.explanation.shapley import ShapleyValues
from fairmeter.explanation.topics import Topic
from fairmeter.features.base import REASON_GROUPS

LEAST_EFFECT = 0.0005  # in probability: less shows as 0.0 %
EARLIER = "what the invoices said"  # the group of the reason that invoices are which are not at hand any more
LOWERS = "; this lowers the score."  # a list may show the sentence without the effect
Tell = Callable[[int, Topic], Sentence | None]


def reasons_of(found: ShapleyValues, tell: Tell, earlier: str = "") -> tuple[Reason, ...]:
    """Of every group whose effect is LEAST_EFFECT or more in size."""
    told = np.flatnonzero(np.abs(found.effects) >= LEAST_EFFECT).tolist()
    reasons = [_reason(REASON_GROUPS[group], float(found.effects[group]), found, tell) for group in told]
    if abs(found.earlier) >= LEAST_EFFECT:
        reasons.append(Reason(EARLIER, found.earlier, _directed(earlier, found.earlier)))
    return tuple(sorted(reasons, key=lambda reason: -abs(reason.effect)))


def _reason(group: str, effect: float, found: ShapleyValues, tell: Tell) -> Reason:
    sign = 1 if effect > 0 else -1
    moves = {at: sign * move for at, move in found.moves.items() if at[1].group == group}
    text = _text(sorted(moves, key=lambda at: -moves[at]), moves, sign, tell)
    text = text or f"No single figure of {group} stands out; together they make this difference."
    return Reason(group, effect, _directed(text, effect))


def _directed(text: str, effect: float) -> str:
    return text if effect > 0 else text.removesuffix(".") + LOWERS


def _text(places: list[tuple[int, Topic]], moves: dict, sign: int, tell: Tell) -> str | None:
    """The first sentence that does not sound the other way; else the first, of those that move the score this way."""
    otherwise = None
    for place in places:
        sentence = tell(*place)
        if sentence is None:
            continue
        if sentence.says * sign >= 0 and moves[place] >= 0:
            return sentence.text
        otherwise = otherwise or sentence.text
    return otherwise
