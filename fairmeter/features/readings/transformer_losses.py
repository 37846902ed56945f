"""Block on what the client's transformer delivered and no meter behind it registered.

In:  DailySeries (fairmeter/features/readings/series.py) with `lost`; where no transformer was measured, all is NaN.
Out: BLOCKS; each computes (features, clients), float64.

Energy that leaves a thief's meter turns up as its transformer's loss: on the same day, in the same amount, and with the
thief's own ups and downs, which no neighbour has. So it is set beside the client's own days, not beside a limit: a
loss that somebody else causes, or that an engineer has reckoned wrong, does not move with them. Energy that was
stolen before the first reading shows here alone. All of it is in units of the client's median day.
"""

import numpy as np

from fairmeter.features.base import PLACE, Block, Feature
from fairmeter.features.readings.series import DailySeries, slope

RECENT_DAYS = (30, 90)
MIN_FALL = 0.05  # of the median day: by less nothing is divided
MAX_RATIO = 5.0  # times the fall
MOVES_DAYS = 180  # days that day-to-day changes are compared over


def _losses(rows: DailySeries) -> np.ndarray:
    if rows.lost is None or np.isnan(rows.lost).all():
        return np.full((len(BLOCK.features), len(rows.segments)), np.nan)
    segments = rows.segments
    lost, own = rows.lost / segments.broadcast(rows.level), rows.relative
    row = np.arange(segments.n_rows)
    is_after = row >= segments.broadcast(np.where(rows.step.row[0] >= 0, rows.step.row[0], segments.starts))
    is_last = segments.rows_left <= np.array(RECENT_DAYS)[:, None]
    spans = np.array([*is_last, is_after, *~is_last, ~is_after])
    both = np.where(np.isnan(lost + own), np.nan, np.array([lost, own]))
    mean = segments.mean(np.where(spans, both[:, None], np.nan))  # (2, spans, clients)
    n = len(spans) // 2
    after, rise = mean[:, :n], mean[:, :n] - mean[:, n:]
    explained = np.clip(rise[0] / np.maximum(-rise[1], MIN_FALL), -MAX_RATIO, MAX_RATIO)
    change = both - segments.lag(both)
    noise = np.sqrt(segments.mean(change[0] * change[0]))
    when = np.array([segments.rows_left <= MOVES_DAYS, is_after, ~is_after])
    moves = slope(rows, np.where(when, change[0], np.nan), np.where(when, change[1], np.nan))
    return np.concatenate([after[0], rise[0], explained, after[0] / noise, *moves])


SPANS = (
    *((str(days), f"the last {days} days") for days in RECENT_DAYS),
    ("step", "the days since its clearest change"),
)
CHANGES = (
    (str(MOVES_DAYS), f"in the last {MOVES_DAYS} days"),
    ("after", "since its clearest change"),
    ("before", "before its clearest change"),
)
BLOCK = Block(
    (
        *(Feature(f"transformer_lost_{s}", PLACE, "of the median day", f"its transformer's loss, mean of {text}")
          for s, text in SPANS),
        *(Feature(f"transformer_rise_{s}", PLACE, "of the median day",
                  f"its transformer's loss, mean of {text} less that before") for s, text in SPANS),
        *(Feature(f"transformer_explains_{s}", PLACE, "ratio",
                  f"rise of its transformer's loss over the client's own fall, {text} against before")
          for s, text in SPANS),
        *(Feature(f"transformer_surely_{s}", PLACE, "ratio",
                  f"its transformer's loss, mean of {text}, over its usual change from day to day")
          for s, text in SPANS),
        *(Feature(f"transformer_slope_{s}", PLACE, "",
                  f"rise of its transformer's loss with its own consumption from day to day, {text}")
          for s, text in CHANGES),
        *(Feature(f"transformer_moves_{s}", PLACE, "",
                  f"correlation of its transformer's loss with its own consumption from day to day, {text}")
          for s, text in CHANGES),
    ),
    _losses,
)  # fmt: skip

BLOCKS = (BLOCK,)
