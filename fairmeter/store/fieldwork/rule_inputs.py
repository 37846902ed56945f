"""What alert rules look at, of every scored client.

In:  nothing.
Out: pairs of Score (without reasons) and facts, one at a time.
"""

import json
from collections.abc import Iterator

from sqlalchemy import select

from fairmeter.core.types import Anomaly, Score
from fairmeter.store.engine.database import Database
from fairmeter.store.engine.schema import findings, profiles
from fairmeter.store.profiles import FETCH_SIZE, rank_share_of

OF_SCORE = tuple(profiles.c[name] for name in ("client_id", "probability", "by_score", "severity", "threshold"))
INPUTS = select(*OF_SCORE, findings.c.anomalies, findings.c.facts)
INPUTS = INPUTS.join_from(profiles, findings, findings.c.client_id == profiles.c.client_id)


class RuleInputStore(Database):
    """Reads what rules need."""

    def rule_inputs(self) -> Iterator[tuple[Score, dict[str, float]]]:
        """Score and facts of each scored client. Reads all of them: seconds for some hundred thousand."""
        with self.reading() as connection:
            for row in connection.execute(INPUTS, execution_options={"yield_per": FETCH_SIZE}):
                anomalies = tuple(Anomaly(**one) for one in json.loads(row.anomalies)) if row.anomalies else ()
                score = Score(
                    row.client_id, row.probability, row.severity, row.threshold, anomalies=anomalies,
                    rank_share=rank_share_of(row.probability, row.by_score),
                )  # fmt: skip
                yield score, json.loads(row.facts)
