"""All that a check found in the files of a utility.

In:  the tables as they were read, cleaned, and what was noted on the way.
Out: CheckResult, for the terminal, the report and the desk.
"""

from dataclasses import dataclass

from fairmeter.checks.client_checks import ClientChecks
from fairmeter.checks.column_use import describe_lost
from fairmeter.checks.findings import CheckFinding, exit_code
from fairmeter.checks.invoice_checks import InvoiceChecks
from fairmeter.checks.reading_checks import ReadingChecks
from fairmeter.core.types import QualityFlag
from fairmeter.wording.phrases import Phrase

# Flags of rows that no score is made of; the other flags count rows that stay.
LEFT_OUT = frozenset({
    "duplicate_invoices", "repeated_invoices", "cancelled_invoices", "estimated_since", "invoices_of_unknown_clients",
    "readings_of_unknown_clients", "impossible_moments", "old_readings", "duplicate_readings", "superseded_invoices",
    "superseded_readings", "readings_gas_volumes",
    *(f"{kind}_rows_{why}" for kind in ("clients", "invoices", "readings")
      for why in ("not_kept", "dropped", "not_joined", "without_moment")),
})  # fmt: skip


@dataclass(frozen=True)
class SampleRow:
    """One row: as it stands in the file, and as it was understood; texts by column."""

    place: str
    found: dict[str, str]
    understood: dict[str, str]


@dataclass(frozen=True)
class TableSummary:
    """What was looked at of one table. [unused: columns of the file that the map does not name]"""

    name: str
    files: tuple[str, ...]
    unused: tuple[str, ...] = ()
    samples: tuple[SampleRow, ...] = ()


@dataclass(frozen=True)
class CheckResult:
    """Facts and findings; parts that could not be read are None."""

    tables: tuple[TableSummary, ...]
    clients: ClientChecks | None
    invoices: InvoiceChecks | None
    readings: ReadingChecks | None
    flags: tuple[QualityFlag, ...]
    missing: tuple[str, ...]
    findings: tuple[CheckFinding, ...]

    @property
    def exit_code(self) -> int:
        """0 fine, 1 to be looked at, 2 cannot be used."""
        return exit_code(self.findings)

    @property
    def left_out(self) -> list[QualityFlag]:
        """The flags of rows that were left out."""
        return [flag for flag in self.flags if flag.flag in LEFT_OUT]

    @property
    def lost(self) -> list[tuple[str, Phrase]]:
        """(missing columns, what the score loses without them)."""
        return describe_lost(self.missing, self.invoices is not None)
