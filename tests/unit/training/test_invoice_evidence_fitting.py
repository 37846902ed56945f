"""Trees on single invoices: no client's columns come from trees that saw its label."""

import numpy as np

from fairmeter.core.types import InvoiceRows
from fairmeter.features.invoices.invoice_rows import ROW_COLUMNS
from fairmeter.models.invoice_evidence import TREE_COLUMN_NAMES
from fairmeter.training.invoice_evidence_fitting import fit_invoice_evidence

N, PER_CLIENT = 300, 4
PLACE = -len(TREE_COLUMN_NAMES)  # of the mean score, the first of the trees' columns


def histories(label, shift=0.0):
    """Invoices whose levels are drawn, those of frauds lower by `shift`."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(N * PER_CLIENT, len(ROW_COLUMNS))).astype(np.float32)
    values[:, 0] -= shift * np.repeat(label, PER_CLIENT)
    return InvoiceRows(np.full(N, PER_CLIENT), np.arange(N * PER_CLIENT).astype(np.uint64), values)


LABEL = (np.arange(N) % 3 == 0).astype(float)
FOLDS = np.arange(N) // 3 % 2


def difference(columns):
    return columns[LABEL == 1, PLACE].mean() - columns[LABEL == 0, PLACE].mean()


def test_what_sets_frauds_apart_is_found_out_of_fold_and_in_serving():
    rows = histories(LABEL, shift=3.0)
    fitted = fit_invoice_evidence(rows, LABEL, FOLDS, 1, quick=True)
    assert difference(fitted.columns) > 0.5
    assert difference(fitted.serving.columns(rows)) > 0.5


def test_labels_drawn_at_random_do_not_leak_into_the_training_columns():
    rows = histories(LABEL)
    fitted = fit_invoice_evidence(rows, LABEL, FOLDS, 1, quick=True)
    of_all = difference(fitted.serving.columns(rows))
    assert of_all > 0.1, "trees that saw the labels know them"
    assert abs(difference(fitted.columns)) < of_all / 2


def test_a_clients_label_does_not_reach_its_own_columns():
    rows, flipped = histories(LABEL), LABEL.copy()
    flipped[7] = 1 - flipped[7]
    before, after = (fit_invoice_evidence(rows, label, FOLDS, 1, quick=True).columns for label in (LABEL, flipped))
    np.testing.assert_array_equal(after[7], before[7])
    assert (np.nan_to_num(after) != np.nan_to_num(before)).any()
