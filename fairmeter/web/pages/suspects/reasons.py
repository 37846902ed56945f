"""The sentence that speaks first for each client of a list.

In:  rows of a list; the desk's scores and alerts.
Out: by client id, the first reason: the rule of its alert, or what raises its score most.
"""

from collections.abc import Sequence

from fairmeter.desk.client_states import ListedClient
from fairmeter.desk.service import DeskService


def first_reasons(desk: DeskService, rows: Sequence[ListedClient]) -> dict[str, str]:
    """The first reason of each row, by client id; a row without any is left out."""
    scores = desk.store.scores_of([row.client_id for row in rows])
    said = {}
    for row in rows:
        of_score = (reason.text for reason in scores[row.client_id].reasons if reason.effect > 0)
        sentence = row.first_reason or next(of_score, None)
        if sentence:
            said[row.client_id] = sentence
    return said
