"""What sentences are made from: one client's own figures and what is usual, invoices' and readings'.

In:  a client's row of the members' input, its features, its invoices or its days with readings.
Out: Told and ReadingContext, which the tellers of sentences.py and reading_sentences.py turn into a Sentence.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from fairmeter.core.formatting import counted, figure
from fairmeter.explanation.billed import UNITS, BillingHistory
from fairmeter.explanation.topics import ColumnTopics
from fairmeter.features.base import ENERGY_NAMES
from fairmeter.models.ensemble import Ensemble


class Sentence(NamedTuple):
    """says: 1 where it sounds suspicious, -1 where it sounds harmless, 0 where it is neither."""

    text: str
    says: int = 0


@dataclass(frozen=True)
class InvoiceContext:
    """One client and one energy, or the client as a whole where energy is empty.

    features: by name; row: the members' input, its columns by `layout`; usual: medians by a feature's name, of `like`.
    """

    energy: str
    billed: BillingHistory | None
    ensemble: Ensemble
    layout: ColumnTopics
    row: np.ndarray
    features: Callable[[str], float]
    usual_of: Callable[[str], float]
    like: str

    @property
    def word(self) -> str:
        return ENERGY_NAMES.get(self.energy, "")

    @property
    def unit(self) -> str:
        return UNITS.get(self.energy, "kWh")

    def value(self, name: str) -> float:
        """The client's own feature; of this energy where there is one."""
        return self.features(f"{self.energy}_{name}" if self.energy else name)

    def usual(self, name: str) -> float:
        return self.usual_of(f"{self.energy}_{name}" if self.energy else name)

    def column(self, name: str) -> float:
        """Of what members see; NaN where they do not see it."""
        return self.layout.value(self.row, name)

    def typical(self, name: str) -> float:
        return self.layout.value(self.ensemble.typical, name)

    def a_month(self, kwh: float) -> str:
        return f"{figure(kwh)} {self.unit} a month"

    def beside(self, name: str, form: str, shown: Callable[[float], str]) -> str:
        """What is usual, in a clause with {like} and {usual}; empty where nothing is known."""
        value = self.usual(name)
        return "" if np.isnan(value) else form.format(like=self.like, usual=shown(value))

    @property
    def invoices(self) -> str:
        return f"{self.word} invoice"

    def of_all(self, n: int) -> str:
        """3 of 24 electricity invoices, or: no one of 24 electricity invoices."""
        return f"{n or 'none'} of {counted(len(self.billed), self.invoices)}"


def pointed(value: float, usual: float, high_says: int = 1) -> int:
    """Whether a value above the usual one sounds suspicious (high_says 1) or harmless (-1)."""
    if np.isnan(value) or np.isnan(usual) or value == usual:
        return 0
    return high_says if value > usual else -high_says


@dataclass(frozen=True)
class ReadingContext:
    """One client's days with readings. [day: days since 1970, kwh: NaN where missing; row and layout as in Told]"""

    day: np.ndarray
    kwh: np.ndarray
    ensemble: Ensemble
    layout: ColumnTopics
    row: np.ndarray

    def value(self, name: str) -> float:
        """The client's own feature; NaN where the members do not see it."""
        return self.layout.value(self.row, name)

    def typical(self, name: str) -> float:
        return self.layout.value(self.ensemble.typical, name)

    def beside(self, name: str, form: str, shown: Callable[[float], str]) -> str:
        """What the typical client has, in a clause with {usual}; empty where nothing is known."""
        value = self.typical(name)
        return "" if np.isnan(value) else form.format(usual=shown(value))

    def mean(self, chosen: np.ndarray) -> float:
        """kWh a day over the chosen days with readings. [mask]"""
        known = chosen & ~np.isnan(self.kwh)
        return float(self.kwh[known].mean()) if known.any() else float("nan")
