"""Reasons of a score in sentences, the largest effect first.

In:  ShapleyValues of a client (fairmeter/explanation/shapley.py); a function that gives the sentence on a topic of one
     of the score's parts, or None; the text of a stored invoice score.
Out: Reasons, whose effects sum to the score less the typical client's score, except for effects below MIN_EFFECT.

A group's sentence is about the topic that moves the score most in the direction of the group's effect. A sentence that
sounds like the opposite direction (a rise as a reason for suspicion) is passed over for the next one.
"""

from collections.abc import Callable

import numpy as np

from fairmeter.core.types import Reason
from fairmeter.explanation.sentence_inputs import Sentence
from fairmeter.explanation.shapley import ShapleyValues
from fairmeter.explanation.topics import Topic
from fairmeter.features.base import REASON_GROUPS
from fairmeter.wording.phrases import Phrase, sentence, with_clause

MIN_EFFECT = 0.0005  # in probability: less is displayed as 0.0 %
STORED_SCORE_GROUP = "what the invoices said"  # the group of the reason for a stored invoice score
LOWERS = Phrase("reason.lowers")  # a clause, as a list may display the sentence without its effect
SentenceOf = Callable[[int, Topic], Sentence | None]


def make_reasons(found: ShapleyValues, sentence_of: SentenceOf, stored_text: str = "") -> tuple[Reason, ...]:
    """One reason for every group whose effect is at least MIN_EFFECT in size."""
    groups = np.flatnonzero(np.abs(found.effects) >= MIN_EFFECT).tolist()
    reasons = [_reason(REASON_GROUPS[group], float(found.effects[group]), found, sentence_of) for group in groups]
    if abs(found.stored_effect) >= MIN_EFFECT:
        text = _with_direction(stored_text, found.stored_effect)
        reasons.append(Reason(STORED_SCORE_GROUP, found.stored_effect, text))
    return tuple(sorted(reasons, key=lambda reason: -abs(reason.effect)))


def _reason(group: str, effect: float, found: ShapleyValues, sentence_of: SentenceOf) -> Reason:
    sign = 1 if effect > 0 else -1
    moves = {at: sign * move for at, move in found.moves.items() if at[1].group == group}
    text = _text(sorted(moves, key=lambda at: -moves[at]), moves, sign, sentence_of)
    text = text or sentence(Phrase("reason.none", group=group), Phrase("reason.together"))
    return Reason(group, effect, _with_direction(text, effect))


def _with_direction(text: str, effect: float) -> str:
    return text if effect > 0 else with_clause(text, LOWERS)


def _text(places: list[tuple[int, Topic]], moves: dict, sign: int, sentence_of: SentenceOf) -> str | None:
    """The first sentence that fits the direction of the effect; the first of all if none fits."""
    otherwise = None
    for place in places:
        sentence = sentence_of(*place)
        if sentence is None:
            continue
        if sentence.suspicion * sign >= 0 and moves[place] >= 0:
            return sentence.text
        otherwise = otherwise or sentence.text
    return otherwise
