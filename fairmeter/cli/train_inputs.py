"""What train.py reads: files and inspections -> tables and the Dataset of clients with invoices.

In:  TrainingOptions; the database and the model key of the settings.
Out: `TrainingInputs`, which takes seconds to read, and the Dataset, which takes minutes.
"""

from pathlib import Path
from typing import NamedTuple

from fairmeter.cli.console import console, print_lines
from fairmeter.cli.settings import CommandSettings, secret_value
from fairmeter.core.environment import configure_spark
from fairmeter.data.exogenous import Exogenous
from fairmeter.data.maps import DataMap, map_of_files
from fairmeter.data.maps.mapped_base import read_mapped_base, read_mapped_exogenous, read_readings_of_map
from fairmeter.data.readings import ReadingTables, has_readings, read_readings
from fairmeter.data.tables import Tables, read_tables
from fairmeter.models.fraud_model import FraudModel
from fairmeter.training.dataset import Dataset, TrainingError
from fairmeter.training.inspection_labels import InspectionLabels, add_stored_readings
from fairmeter.training.invoice_pipeline import label_dataset, load_base_model
from fairmeter.training.options import TrainingOptions


class TrainingInputs(NamedTuple):
    """All that is read before features are computed. [inspection_facts: sentences for the report]

    tables: of clients with invoices, where a map states them; without a map, or on Spark, they are read later.
    """

    base_model: FraudModel | None
    exogenous: Exogenous
    readings: ReadingTables | None
    readings_name: str
    inspections: InspectionLabels | None
    inspection_facts: list[str]
    tables: Tables | None = None
    data_map: DataMap | None = None


def read_inputs(options: TrainingOptions, settings: CommandSettings) -> TrainingInputs:
    """Read the small inputs first: an unreadable one ends the run within seconds.

    Raises TableError, TrainingError, ModelError.
    """
    base_model = None
    if options.base_model:
        base_model = load_base_model(options.base_model, settings.key, options.keeps_readings)
    inputs = _read_others(options, settings, base_model)
    return inputs._replace(readings=None) if options.keeps_readings else inputs


def _read_others(options: TrainingOptions, settings: CommandSettings, base_model: FraudModel | None) -> TrainingInputs:
    """As `read_inputs`, with the base model as given."""
    data_map = map_of_files(options.map, options.sources, options.readings)
    if data_map is not None and not data_map.is_empty:
        return _read_mapped(data_map, options, settings, base_model)
    files = reading_files(options)
    if (options.weather or options.holidays) and not files and options.store is None:
        raise TrainingError(
            "--weather and --holidays are for readings, and no readings were found; name them with --readings."
        )
    exogenous = read_mapped_exogenous(None, options.sources, options.weather, options.holidays)
    readings = read_reading_tables(files)
    inspections, facts = read_inspections(options, settings)
    if inspections:
        readings = add_stored_readings(readings, inspections.readings)
    name = ", ".join(path.name for path in files) or "the desk"
    return TrainingInputs(base_model, exogenous, readings, name, inspections, facts)


def _read_mapped(
    data_map: DataMap, options: TrainingOptions, settings: CommandSettings, base_model: FraudModel | None
) -> TrainingInputs:
    """As `read_inputs`, all tables as a map states them."""
    exogenous = read_mapped_exogenous(data_map, options.sources, options.weather, options.holidays)
    with console.status(f"Reading tables by {data_map.name}"):
        tables, readings = _read_mapped_tables(data_map, options)
    inspections, facts = read_inspections(options, settings)
    if inspections:
        readings = add_stored_readings(readings, inspections.readings)
    name = ", ".join(path.name for path in (*options.invoice_paths, *filter(None, [options.readings]))) or "the desk"
    return TrainingInputs(base_model, exogenous, readings, name, inspections, facts, tables, data_map)


def _read_mapped_tables(data_map: DataMap, options: TrainingOptions) -> tuple[Tables | None, ReadingTables | None]:
    """(clients with invoices, None without any or on Spark; readings)"""
    if options.spark:
        return None, read_readings_of_map(data_map, options.sources, options.readings)
    base = read_mapped_base(data_map, options.sources, options.clients, options.invoices, options.readings)
    return base.tables if base.has_invoices else None, base.readings


def reading_files(options: TrainingOptions) -> tuple[Path, ...]:
    """The files with readings; none where the sources hold none. Raises TableError."""
    if options.readings:
        return (options.readings,)
    return options.sources if not options.keeps_readings and has_readings(*options.sources) else ()


def read_reading_tables(files: tuple[Path, ...]) -> ReadingTables | None:
    """None without files. Raises TableError."""
    if not files:
        return None
    with console.status("Reading smart-meter readings"):
        return read_readings(*files)


def read_inspections(options: TrainingOptions, settings: CommandSettings) -> tuple[InspectionLabels | None, list[str]]:
    """Labels of the desk's inspections, and sentences about them; none without --store. Raises TrainingError."""
    if options.store is None:
        return None, []
    from fairmeter.desk import training_labels  # loads SQLAlchemy, which training on files does not need

    inspections, facts = training_labels.labels_at(options.store or secret_value(settings.database_url))
    print_lines(*facts)
    return inspections, facts


def build_dataset(inputs: TrainingInputs, options: TrainingOptions) -> Dataset | None:
    """Features and labels of all clients with invoices; None where only readings are learned.

    Raises TableError, TrainingError, SparkError.
    """
    if not options.has_invoices:
        return None
    if options.spark:
        return build_dataset_on_spark(
            options.spark, options.sources, options.clients, options.invoices, inputs.data_map
        )
    if inputs.data_map is not None and inputs.tables is None:
        return None
    with console.status("Reading tables and computing features"):
        tables = inputs.tables or read_tables(*options.sources, clients=options.clients, invoices=options.invoices)
        return label_dataset(tables, options.invoice_paths, inputs.inspections, options.only_inspections)


def build_dataset_on_spark(
    master: str,
    sources: tuple[Path, ...],
    clients: Path | None = None,
    invoices: Path | None = None,
    data_map: DataMap | None = None,
) -> Dataset:
    from fairmeter.training.spark_dataset import read_dataset_on_spark

    configure_spark()
    with console.status("Computing features on Spark") as status:

        def on_progress(step: str, done: int, of: int | None) -> None:
            status.update(f"{step}: {done:,} of {of:,}" if of else step)

        return read_dataset_on_spark(master, sources, on_progress, clients, invoices, data_map)
