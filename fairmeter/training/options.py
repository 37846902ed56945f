"""What a training run is asked for, and the figures that every run shares.

Out: `TrainingOptions`, made of a command line by fairmeter/cli/train_options.py; constants with their units.
"""

from dataclasses import dataclass
from pathlib import Path

from fairmeter.training.dataset import PROSPECTIVE

SEED = 20261101
TEST_PARTS = 5  # parts of the clients: one is held out, or each in turn with --validate
# Lowest precision of the clients from each severity's score on, at 95 % confidence, out of fold; below is "low".
PROMISED_PRECISION = {"critical": 0.5, "high": 0.3, "medium": 0.15}
MISSING_SHARE = 0.3  # of the aggregates, hidden in training, because older scripts send only some of them


@dataclass(frozen=True)
class TrainingOptions:
    """Files, switches and places of one run.

    sources: files of invoices; empty where only readings are learned. clients, invoices, readings, weather, base_model:
    files. map: a file or the name of a shipped map.
    holidays: a file or a country's code. store: URL of the desk's database, "" for the configured one, None for no
    desk. spark: master of a cluster. convolution: whether attacked households train one. command: the command line as
    the model card may show it.
    """

    sources: tuple[Path, ...] = ()
    view: str = PROSPECTIVE
    clients: Path | None = None
    invoices: Path | None = None
    readings: Path | None = None
    map: str | None = None
    weather: Path | None = None
    holidays: str | None = None
    attack: bool = False
    convolution: bool = False
    base_model: Path | None = None
    store: str | None = None
    only_inspections: bool = False
    spark: str | None = None
    quick: bool = False
    out: Path = Path("model.bin")
    report: Path = Path("report")
    validate: bool = False
    command: str = ""

    @property
    def has_invoices(self) -> bool:
        """Whether invoices are learned."""
        return bool(self.sources or self.invoices)

    @property
    def keeps_readings(self) -> bool:
        """Whether the base model's ensemble on readings stays, and its ensembles on invoices are replaced."""
        return self.base_model is not None and self.has_invoices

    @property
    def invoice_paths(self) -> tuple[Path, ...]:
        """All files of clients and invoices, to be named in the report."""
        return (*self.sources, *filter(None, (self.clients, self.invoices)))
