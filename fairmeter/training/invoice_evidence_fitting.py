"""Fit the evidence of single invoices: mates' means, and boosted trees that score each invoice. Training only.

In:  InvoiceRows and labels of the training clients. An invoice has the label of its client.
Out: an InvoiceEvidence, and the training clients' columns, which come from trees that did not see the client.
"""

from typing import NamedTuple

import numpy as np

from fairmeter.core.types import InvoiceRows
from fairmeter.models.day_mates import DayMates, beside_others
from fairmeter.models.invoice_evidence import InvoiceEvidence, client_columns, tree_inputs
from fairmeter.models.runtime.onnx_trees import OnnxTrees
from fairmeter.training.member_fitting import fit_invoice_trees

TREE_FOLDS = 2  # each costs a fit on millions of invoices
HONEST_PER_FRAUD = 4  # honest clients whose invoices the trees are fitted on: the frauds are what is rare
MIN_HONEST = 2000


class FittedEvidence(NamedTuple):
    """The evidence as served, and the training clients' columns out of fold [float32, (clients, columns)]."""

    serving: InvoiceEvidence
    columns: np.ndarray


def fit_invoice_evidence(
    rows: InvoiceRows, label: np.ndarray, folds: np.ndarray, seed: int, quick: bool = False
) -> FittedEvidence:
    """Fit on all clients, and for each fold on the others. [label: 1 or 0; folds: one a client]"""
    beside = beside_others(rows)
    inputs, of_row = tree_inputs(rows, beside), np.repeat(folds, rows.counts)
    log_odds = np.full(len(inputs), np.nan)
    for fold in np.unique(folds):
        trees = _fit_trees(inputs, rows.counts, label, folds != fold, seed + int(fold), quick)
        log_odds[of_row == fold] = trees.values(inputs[of_row == fold])
    serving = _fit_trees(inputs, rows.counts, label, np.ones(len(label), bool), seed, quick)
    return FittedEvidence(InvoiceEvidence(DayMates.fit(rows), serving), client_columns(rows, beside, log_odds))


def _fit_trees(
    inputs: np.ndarray, counts: np.ndarray, label: np.ndarray, used: np.ndarray, seed: int, quick: bool
) -> OnnxTrees:
    """Trees on the invoices of the used clients, of which honest ones are sampled and weigh more. [used: mask]"""
    honest = np.flatnonzero(used & (label == 0))
    n_drawn = max(HONEST_PER_FRAUD * int(label[used].sum()), MIN_HONEST)
    drawn = np.random.default_rng((seed, n_drawn)).permutation(honest)[:n_drawn]
    chosen = used & (label == 1)
    chosen[drawn] = True
    # A long history has more rows, but is no more than one client; its rows still say more than those of a short one.
    weight = np.where(label == 1, 1.0, len(honest) / max(len(drawn), 1)) / np.sqrt(np.maximum(counts, 1))
    rows = np.repeat(chosen, counts)
    return fit_invoice_trees(inputs[rows], np.repeat(label, counts)[rows], np.repeat(weight, counts)[rows], seed, quick)
