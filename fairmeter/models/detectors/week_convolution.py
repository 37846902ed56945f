"""Convolution over the weeks of a series, fitted on attacked households: log-odds of theft.

In:  DailyConsumption and neighbours' factors, as autoencoder.py takes them.
Out: one score a client, NaN with fewer than MIN_DAYS known days. A client's score depends on its own rows, to the last
     bit. NumPy and ONNX Runtime only; convolution_fit.py fits the layers.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fairmeter.data.daily import DailyConsumption
from fairmeter.models.detectors.week_channels import week_channels
from fairmeter.models.detectors.windows import BLOCK
from fairmeter.models.runtime import onnx_trees


@dataclass(frozen=True)
class WeekConvolution:
    """A fitted convolution, as an ONNX graph."""

    MIN_DAYS: ClassVar[int] = 28  # known days: fewer weeks have no before and after
    names: ClassVar[tuple[str, ...]] = ("convolution_log_odds",)

    graph: bytes

    def scores(self, days: DailyConsumption, factor: np.ndarray | None = None) -> np.ndarray:
        """Scores of each client. [float32, (clients, 1)]"""
        n_known = days.segments.total((~np.isnan(days.kwh)).astype(np.int64))
        out = np.full((len(days.segments), 1), np.nan, dtype=np.float32)
        for start in range(0, len(out), BLOCK):
            stop = min(start + BLOCK, len(out))
            first = int(days.segments.starts[start])
            some = days.slice(start, stop)
            usual = None if factor is None else factor[first : first + len(some.kwh)]
            # One client at a time: the last bit of a matrix product depends on the number of rows.
            found = [onnx_trees.run(self.graph, one[None])[0, 0] for one in week_channels(some, usual)]
            out[start:stop, 0] = np.where(n_known[start:stop] >= self.MIN_DAYS, found, np.nan)
        return out
