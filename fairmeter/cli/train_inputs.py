"""What train.py reads: files and inspections -> tables and the Dataset of clients with invoices.

In:  TrainingOptions; the database and the model key of the settings.
Out: `TrainingInputs`, which takes seconds to read, and the Dataset, which takes minutes.
"""

from pathlib import Path
from typing import NamedTuple

from fairmeter.cli.console import console, print_lines
from fairmeter.cli.settings import CommandSettings, secret_value
from fairmeter.core.environment import configure_spark
from fairmeter.data.exogenous import Exogenous, read_exogenous
from fairmeter.data.readings import ReadingTables, has_readings, read_readings
from fairmeter.models.fraud_model import FraudModel
from fairmeter.training.dataset import Dataset, TrainingError
from fairmeter.training.inspection_labels import InspectionLabels, add_stored_readings
from fairmeter.training.invoice_pipeline import load_base_model, read_dataset
from fairmeter.training.options import TrainingOptions


class TrainingInputs(NamedTuple):
    """All that is read before features are computed. [inspection_facts: sentences for the report]"""

    base_model: FraudModel | None
    exogenous: Exogenous
    readings: ReadingTables | None
    readings_name: str
    inspections: InspectionLabels | None
    inspection_facts: list[str]


def read_inputs(options: TrainingOptions, settings: CommandSettings) -> TrainingInputs:
    """Read the small inputs first: an unreadable one ends the run within seconds.

    Raises TableError, TrainingError, ModelError.
    """
    base_model = load_base_model(options.base_model, settings.key) if options.base_model else None
    files = reading_files(options)
    if (options.weather or options.holidays) and not files and options.store is None:
        raise TrainingError(
            "--weather and --holidays are for readings, and no readings were found; name them with --readings."
        )
    exogenous = read_exogenous(options.weather, options.holidays)
    readings = read_reading_tables(files)
    inspections, facts = read_inspections(options, settings)
    if inspections:
        readings = add_stored_readings(readings, inspections.readings)
    name = ", ".join(path.name for path in files) or "the desk"
    return TrainingInputs(base_model, exogenous, readings, name, inspections, facts)


def reading_files(options: TrainingOptions) -> tuple[Path, ...]:
    """The files with readings; none where the sources hold none. Raises TableError."""
    if options.readings:
        return (options.readings,)
    return options.sources if has_readings(*options.sources) else ()


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
    if not options.sources:
        return None
    if options.spark:
        return build_dataset_on_spark(options.spark, options.sources)
    with console.status("Reading tables and computing features"):
        return read_dataset(options.sources, inputs.inspections, options.only_inspections)


def build_dataset_on_spark(master: str, sources: tuple[Path, ...]) -> Dataset:
    from fairmeter.training.spark_dataset import read_dataset_on_spark

    configure_spark()
    with console.status("Computing features on Spark") as status:

        def on_progress(step: str, done: int, of: int | None) -> None:
            status.update(f"{step}: {done:,} of {of:,}" if of else step)

        return read_dataset_on_spark(master, sources, on_progress)
