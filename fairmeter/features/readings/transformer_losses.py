"""Block on the losses of the client's transformer: energy delivered that no meter behind it registered.

In:  DailySeries (fairmeter/features/readings/series.py) with `transformer_loss`.
Out: BLOCKS; each computes (features, clients), float64; all NaN if no transformer was measured.

Energy that bypasses a client's meter appears as a loss of its transformer: on the same day, in the same amount, and
with the variation of the client's own use. The loss is therefore compared with the client's own days rather than with a
limit: a loss that another client causes, or an error in the technical losses, does not vary with them. A theft from
before the first reading is visible only here. All values are in units of the client's median day.
"""

import numpy as np

from fairmeter.features.base import PLACE, Block, Feature
from fairmeter.features.readings.series import DailySeries, slope

RECENT_DAYS = (30, 90)
MIN_FALL = 0.05  # of the median day: smallest divisor
MAX_RATIO = 5.0  # of the rise of the loss to the client's fall
MOVES_DAYS = 180  # over which day-to-day changes are compared


def _losses(rows: DailySeries) -> np.ndarray:
    if rows.transformer_loss is None or np.isnan(rows.transformer_loss).all():
        return np.full((len(BLOCK.features), len(rows.segments)), np.nan)
    segments = rows.segments
    loss, own = rows.transformer_loss / segments.broadcast(rows.level), rows.relative
    row = np.arange(segments.n_rows)
    is_after = row >= segments.broadcast(np.where(rows.step.row[0] >= 0, rows.step.row[0], segments.starts))
    is_last = segments.rows_left <= np.array(RECENT_DAYS)[:, None]
    spans = np.array([*is_last, is_after, *~is_last, ~is_after])
    both = np.where(np.isnan(loss + own), np.nan, np.array([loss, own]))
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
