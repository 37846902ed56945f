"""A fitted model applied to one client, a batch, a client base, partitions."""

from fairmeter.scoring.batches import score_one, score_rows
from fairmeter.scoring.payloads import AggregatedClient, RawClient, RequestLimits
from fairmeter.scoring.problems import InvalidRow, Problem

__all__ = ["AggregatedClient", "InvalidRow", "Problem", "RawClient", "RequestLimits", "score_one", "score_rows"]
