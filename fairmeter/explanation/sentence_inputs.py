"""Inputs of sentences: the figures of one client and what is usual, for invoices and for readings.

In:  a client's row of the members' input, its features, its invoices or its days with readings.
Out: InvoiceContext and ReadingContext, from which invoice_sentences.py and reading_sentences.py make each Sentence.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from fairmeter.core.code_names import NO_CODE_NAMES, CodeNames
from fairmeter.explanation.billing_history import BillingHistory
from fairmeter.explanation.topics import ColumnTopics
from fairmeter.features.base import ENERGY_NAMES
from fairmeter.models.ensemble import Ensemble
from fairmeter.wording.phrases import Phrase


class Sentence(NamedTuple):
    """One sentence; suspicion: 1 if it sounds suspicious, -1 if it sounds harmless, 0 if neither."""

    text: Phrase
    suspicion: int = 0


@dataclass(frozen=True)
class InvoiceContext:
    """Figures of one client and one energy, or of the client as a whole if `energy` is empty.

    row: the members' input, its columns by `columns`; features: the client's feature by name;
    usual_features: the median of a feature by name among clients like this one; like: a phrase that names them;
    names: of codes that are texts.
    """

    energy: str
    history: BillingHistory | None
    ensemble: Ensemble
    columns: ColumnTopics
    row: np.ndarray
    features: Callable[[str], float]
    usual_features: Callable[[str], float]
    like: Phrase
    names: CodeNames = NO_CODE_NAMES

    @property
    def energy_name(self) -> str:
        return ENERGY_NAMES.get(self.energy, "")

    def value(self, name: str) -> float:
        """The client's feature, for this energy if there is one."""
        return self.features(f"{self.energy}_{name}" if self.energy else name)

    def usual(self, name: str) -> float:
        """The median of a feature among clients like this one, for this energy if there is one."""
        return self.usual_features(f"{self.energy}_{name}" if self.energy else name)

    def column(self, name: str) -> float:
        """A value of the members' input; NaN if it has no such column."""
        return self.columns.value(self.row, name)

    def typical(self, name: str) -> float:
        """The typical client's value of the members' input; NaN if it has no such column."""
        return self.columns.value(self.ensemble.typical, name)

    def phrase(self, code: str, /, **values: Any) -> Phrase:
        """A phrase that also names the energy."""
        return Phrase(code, energy=self.energy_name, **values)

    def usual_clause(self, name: str, code: str, convert: Callable[[float], float] = float) -> Phrase | str:
        """A clause on the usual value of a feature; empty if that is unknown. [code: of values `like` and `usual`]"""
        value = self.usual(name)
        return "" if np.isnan(value) else Phrase(code, like=self.like, usual=convert(value))

    def invoices_named(self, n: int) -> Phrase:
        """A phrase such as "3 electricity invoices"."""
        return Phrase("count.invoices", n=n, energy=self.energy_name)

    @property
    def all_invoices(self) -> Phrase:
        return self.invoices_named(len(self.history))

    def count_of_invoices(self, n: int) -> Phrase:
        """A phrase such as "3 of 24 electricity invoices", or "none of 24 electricity invoices"."""
        return Phrase("count.of", n=n, of=self.all_invoices)


def direction(value: float, usual: float, if_high: int = 1) -> int:
    """How suspicious a value sounds beside the usual one: 1, -1 or 0. [if_high: the answer for a higher value]"""
    if np.isnan(value) or np.isnan(usual) or value == usual:
        return 0
    return if_high if value > usual else -if_high


@dataclass(frozen=True)
class ReadingContext:
    """One client's days with readings. [day: days since 1970; kwh: NaN if missing; row, columns: as InvoiceContext]"""

    day: np.ndarray
    kwh: np.ndarray
    ensemble: Ensemble
    columns: ColumnTopics
    row: np.ndarray

    def value(self, name: str) -> float:
        """The client's feature; NaN if the members' input has no such column."""
        return self.columns.value(self.row, name)

    def typical(self, name: str) -> float:
        """The typical client's feature; NaN if the members' input has no such column."""
        return self.columns.value(self.ensemble.typical, name)

    def usual_clause(self, name: str, code: str, convert: Callable[[float], float] = float) -> Phrase | str:
        """A clause on the typical client's value of a feature; empty if that is unknown. [`code`: of `usual`]"""
        value = self.typical(name)
        return "" if np.isnan(value) else Phrase(code, usual=convert(value))

    def mean(self, chosen: np.ndarray) -> float:
        """Mean consumption of the chosen days that have readings. [mask -> kWh a day, NaN without a day]"""
        known = chosen & ~np.isnan(self.kwh)
        return float(self.kwh[known].mean()) if known.any() else float("nan")
