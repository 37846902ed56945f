"""Scores of single invoices, summed up for the client."""

import numpy as np
import pytest

from fairmeter.features.invoices.invoice_rows import ROW_COLUMNS
from fairmeter.models.day_mates import DayMates
from fairmeter.models.invoice_evidence import COLUMN_NAMES, TREE_COLUMN_NAMES, InvoiceEvidence, tree_columns
from tests.unit.models.test_day_mates import rows


class Level:
    """Trees that score an invoice by its level."""

    def values(self, matrix):
        return matrix[:, ROW_COLUMNS.index("level")].astype(float)


HISTORY = rows([1.0, 4.0, 2.0, 3.0], [7] * 4, [4], day=[0, 100, 1000, 900], energy=[0, 0, 0, 1])


def by_name(of_rows, log_odds):
    return dict(zip(TREE_COLUMN_NAMES, tree_columns(of_rows, np.array(log_odds)).T.tolist(), strict=True))


def test_a_client_has_the_statistics_of_its_invoices_scores():
    found = {name.removeprefix("invoice_trees_"): value[0] for name, value in by_name(HISTORY, [1, 4, 2, 3]).items()}
    assert found == pytest.approx({
        "mean": 2.5, "std": np.std([1, 2, 3, 4]), "max": 4, "q90": 3.7, "median": 2.5, "min": 1, "last": 2, "top_3": 3,
        "odds": np.log(np.mean(np.exp([1, 2, 3, 4]))), "recent": 2.5, "recent_max": 3, "peak_ago": 900,
        "elec": 7 / 3, "gas": 3,
    }, rel=1e-5)  # fmt: skip


def test_a_client_is_scored_alike_alone_and_among_others():
    rng = np.random.default_rng(0)
    counts = np.array([3, 0, 1, 40, 7])
    levels, days = rng.normal(size=51), rng.integers(0, 3000, 51).astype(float)
    everyone = rows(levels, [7] * 51, counts, day=days, energy=rng.integers(0, 2, 51))
    evidence = InvoiceEvidence(DayMates.fit(rows(np.arange(10.0), [7] * 10)), Level())
    together = evidence.columns(everyone)
    assert together.shape == (5, len(COLUMN_NAMES))
    for i in range(5):
        alone = evidence.columns(everyone.of(np.arange(5) == i))
        assert alone.tobytes() == together[i : i + 1].tobytes()


def test_a_client_without_invoices_has_missing_columns():
    evidence = InvoiceEvidence(DayMates.fit(rows([1.0], [7])), Level())
    assert np.isnan(evidence.columns(rows([], [], [0, 0]))).all()
