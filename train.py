"""Tables -> features -> members -> stack -> calibrate -> threshold -> report -> model.bin.

    python train.py data/archive.zip              measure on a held-out fifth, then fit the model on all clients
    python train.py data/archive.zip --validate   five outer folds of both views; writes the report, no model
    python train.py data/archive.zip --onto model.bin   as the first, and keep the ensemble on readings of model.bin

In:  clients and invoices (a zip, a folder, or files; see data/README.md), a view; smart-meter readings (--readings).
Out: model.bin with its checksum; report/ with metrics.json, report.html and a model card.
Exit codes: 0 done, 2 the data or a place to write cannot be used (one sentence on stderr), 130 stopped by Ctrl-C.
However a run ends, model.bin is the old file or the complete new one.
"""

import sys
import time
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from fairmeter.cli.console import describe_results, fitting_progress, print_lines
from fairmeter.cli.settings import CommandSettings, describe_invalid
from fairmeter.cli.train_inputs import TrainingInputs, build_dataset, read_inputs
from fairmeter.cli.train_options import check_places, parse_options
from fairmeter.core.environment import configure_numeric_libraries
from fairmeter.data.files import TableError
from fairmeter.data.partitioned.spark import SparkError
from fairmeter.models import kept_versions, model_file
from fairmeter.models.model_file import ModelError, file_sha256
from fairmeter.reports.training_report import write_training_report
from fairmeter.scoring.population_drift import describe_references
from fairmeter.training import invoice_pipeline, reading_pipeline
from fairmeter.training.dataset import Dataset, TrainingError, describe_selection
from fairmeter.training.invoice_pipeline import TrainingResult
from fairmeter.training.manifest import new_stamp, with_version
from fairmeter.training.options import TrainingOptions

# Settings. The seed, the number of test parts and the promised precision are in fairmeter/training/options.py.
BAD_USE, STOPPED = 2, 130  # exit codes; 130 is a shell's for Ctrl-C
READING_STEPS = 24  # fits on readings, about: for the progress bar only
configure_numeric_libraries()  # here and not in main: before any of them is loaded


def main(arguments: list[str] | None = None) -> int:
    options = parse_options(arguments)
    try:
        run(options, CommandSettings.from_environment())
    except ValidationError as error:
        print(describe_invalid(error), file=sys.stderr)
        return BAD_USE
    except (TableError, TrainingError, ModelError, SparkError) as error:
        print(error, file=sys.stderr)
        return BAD_USE
    except OSError as error:
        place = error.filename or options.out
        print(f"{place} cannot be written ({error.strerror}); {options.out} is unchanged.", file=sys.stderr)
        return BAD_USE
    except KeyboardInterrupt:
        print(f"Stopped; {options.out} is unchanged.", file=sys.stderr)
        return STOPPED
    return 0


def run(options: TrainingOptions, settings: CommandSettings) -> None:
    """Check the places, read, compute features, fit and measure, add readings, write the report, write the model."""
    started = time.monotonic()
    check_places(options)
    stamp = new_stamp()
    inputs = read_inputs(options, settings)
    dataset = build_dataset(inputs, options)
    result = learn_invoices(dataset, inputs, options, stamp)
    result = learn_readings(result, dataset, inputs, options, stamp)
    result = TrainingResult(*with_version(*result))
    write_metrics(result, options)
    if result.model:
        keep_version(options.out, settings.key)
        model_file.save(result.model, options.out, settings.key)  # last: a failure before this leaves the old model
        keep_version(options.out, settings.key)
    print_lines(*describe_results(result.metrics))
    print_lines(f"{options.report}/report.html written; {(time.monotonic() - started) / 60:.1f} minutes.")


def keep_version(path: Path, key: bytes | None) -> None:
    """Keep the model that is there, for `python -m fairmeter.cli.versions --rollback`; a full disk keeps none."""
    with suppress(ModelError, OSError):
        kept_versions.keep(path, key)


def learn_invoices(
    dataset: Dataset | None, inputs: TrainingInputs, options: TrainingOptions, stamp: dict
) -> TrainingResult:
    """Fit and measure the ensembles on invoices; without invoices those of the base model stay. Raises TrainingError.

    With invoices and a base model, the ensemble on readings stays.
    """
    if dataset is None:
        result = invoice_pipeline.without_invoices(options.view, stamp, inputs.base_model)
    else:
        flag_texts = (f"  {flag.text}" for flag in dataset.tables.flags)
        print_lines(dataset.summary(), *describe_selection(dataset.label), *flag_texts)
        with fitting_progress(invoice_pipeline.count_steps(options, dataset.has_labels)) as on_step:
            result = invoice_pipeline.train_on_invoices(dataset, options, stamp, on_step)
        if inputs.base_model is not None:
            result = reading_pipeline.keep_readings(result, inputs.base_model)
    run = result.metrics["run"]
    return result._replace(metrics=result.metrics | {"run": run | {"how": [*run["how"], *inputs.inspection_facts]}})


def learn_readings(
    result: TrainingResult, dataset: Dataset | None, inputs: TrainingInputs, options: TrainingOptions, stamp: dict
) -> TrainingResult:
    """Add the ensemble on readings where there are any.

    Raises TrainingError if they are unusable, and were asked for or are all there is.
    """
    if not inputs.readings:
        return result
    try:
        training_set = reading_pipeline.prepare_readings(
            inputs.readings, inputs.readings_name, dataset, inputs.inspections, inputs.exogenous, options
        )
        selection = [] if training_set.label is None else describe_selection(training_set.label)
        flag_texts = (f"  {text}" for text in training_set.flag_texts)
        print_lines(f"{training_set.n_clients:,} clients with readings.", *selection, *flag_texts)
        with fitting_progress(READING_STEPS) as on_step:
            return reading_pipeline.train_on_readings(result, training_set, options, stamp, on_step)
    except TrainingError as error:
        if options.readings or dataset is None:
            raise
        print_lines(f"The readings found with the invoices are not used: {error}")
        return result


def write_metrics(result: TrainingResult, options: TrainingOptions) -> None:
    of_model = {}
    if result.model:
        of_model = {"fingerprints": describe_references(result.model), "model_sha256": file_sha256(result.model)}
    write_training_report(result.metrics | {"command": options.command} | of_model, options.report)


if __name__ == "__main__":
    sys.exit(main())
