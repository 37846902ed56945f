"""The command line of train.py -> TrainingOptions.

In:  arguments, the working directory.
Out: TrainingOptions, with the default data filled in. Raises SystemExit with a usage message, TrainingError.
"""

import argparse
import os
import re
import shlex
import sys
from pathlib import Path

from fairmeter.cli.console import print_lines
from fairmeter.training.dataset import PROSPECTIVE, VIEWS, TrainingError
from fairmeter.training.options import TrainingOptions

ARCHIVE, SAMPLE = Path("data/archive.zip"), Path("data/sample.zip")


def parse_options(arguments: list[str] | None) -> TrainingOptions:
    """[arguments: without the program's name; None for those of this process]"""
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = _parser()
    found = parser.parse_args(arguments)
    _check_combinations(parser, found)
    named = found.clients or found.invoices or found.readings
    return TrainingOptions(
        sources=() if named and not found.data else default_sources(tuple(found.data)),
        view=found.view,
        clients=found.clients,
        invoices=found.invoices,
        readings=found.readings,
        map=found.map,
        weather=found.weather,
        holidays=found.holidays,
        attack=found.attack,
        convolution=found.convolution,
        base_model=found.onto,
        store=found.store,
        only_inspections=found.only_visits,
        spark=found.spark,
        quick=found.quick,
        out=found.out,
        report=found.report,
        validate=found.validate,
        command=command_of(arguments),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="train.py", description="Fit the model; write model.bin and report/.")
    add = parser.add_argument
    add("data", nargs="*", type=Path, help=f"clients and invoices: a zip, a folder or files ({ARCHIVE}, else {SAMPLE})")
    add("--view", choices=VIEWS, default=PROSPECTIVE, help="prospective excludes features that may follow a detection")
    add("--clients", type=Path, help="the clients' file, whatever its name")
    add("--invoices", type=Path, help="the invoices' file, whatever its name")
    add("--map", metavar="FILE_OR_NAME", help="what the columns mean: a .toml file, or a shipped map such as fluvius")
    add("--readings", type=Path, help="smart-meter readings: a zip, a folder or a file; alone, train on these only")
    add("--weather", type=Path, help="a file with a date and a temperature in each row, for the days of the readings")
    add("--holidays", metavar="FILE_OR_COUNTRY", help="a file with a date in each row, or a country code: GB or GB-ENG")
    add("--attack", action="store_true", help="treat the readings as honest and inject thefts into half of them")
    add("--convolution", action="store_true", help="with --attack, a convolution over weeks too; half an hour more")
    add("--onto", type=Path, metavar="MODEL", help="replace the half of this model that is trained, keep the other")
    add("--store", nargs="?", const="", metavar="URL", help="add labels of the desk's inspections (URL: DATABASE_URL)")
    add("--only-visits", action="store_true", help="use labels of inspections alone; ignore the labels of the data")
    add("--spark", metavar="MASTER", help="compute features of invoices on Apache Spark: local[*], spark://HOST:7077")
    add("--quick", action="store_true", help="small members for a first look: under a minute on the sample")
    add("--out", type=Path, default=Path("model.bin"), help="the model file (model.bin)")
    add("--report", type=Path, default=Path("report"), help="a folder (report)")
    add("--validate", action="store_true", help="five outer folds, for invoices of both views; write the report only")
    return parser


def _check_combinations(parser: argparse.ArgumentParser, found: argparse.Namespace) -> None:
    has_invoices = bool(found.data or found.clients or found.invoices)
    if found.attack and not found.readings:
        parser.error("--attack needs --readings")
    if found.convolution and (found.quick or not found.attack):
        parser.error("--convolution needs --attack, and more attacked files than --quick makes")
    if found.onto and has_invoices == bool(found.readings):
        parser.error("--onto replaces one half of the model: name either the files of invoices or --readings")
    if found.store is None and found.only_visits:
        parser.error("--only-visits needs --store")
    if found.store is not None and (found.attack or found.spark):
        parser.error("--store cannot be combined with --attack, which needs no labels, nor with --spark")
    if found.store is not None and found.readings and not (found.data or found.invoices or found.onto):
        parser.error("--store needs invoices or --onto MODEL: inspections alone give no share of thieves")


def command_of(arguments: list[str]) -> str:
    """The command for the model card: file names without folders, and no URL, which may hold a password."""
    arguments = [re.sub(r"[\w+]+://.*", "URL", word) for word in arguments]
    return shlex.join(["python", "train.py", *(re.sub("[^=]*/(?=.)", "", word) for word in arguments)])


def default_sources(given: tuple[Path, ...]) -> tuple[Path, ...]:
    """The files given; without any the archive, or else the sample with a notice."""
    if given:
        return given
    if ARCHIVE.exists():
        return (ARCHIVE,)
    print_lines(f"{ARCHIVE} is missing (data/README.md says where to get it): training on the simulated {SAMPLE}.")
    return (SAMPLE,)


def check_places(options: TrainingOptions) -> None:
    """Check that model and report can be written, before the fit takes half an hour. Raises TrainingError."""
    for folder in (options.out.resolve().parent, options.report.resolve().parent):
        if not os.access(folder, os.W_OK | os.X_OK):
            raise TrainingError(f"{folder} is not a writable folder; choose another with --out or --report.")
    inputs = [*options.invoice_paths, *filter(None, [options.readings])]
    if options.out.is_dir() or options.out.resolve() in [path.resolve() for path in inputs]:
        raise TrainingError(f"{options.out} is a folder or an input file; name another file with --out.")
    if options.report.exists() and not (options.report.is_dir() and os.access(options.report, os.W_OK | os.X_OK)):
        raise TrainingError(f"{options.report} is not a writable folder; choose another with --report.")
