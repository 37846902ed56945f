"""Versions of the model that are kept: list them, and put one back in the place of model.bin.

    python -m fairmeter.cli.versions
    python -m fairmeter.cli.versions --rollback
    python -m fairmeter.cli.versions --put 2026.11.1

A running service takes it at its next reload (`kill -HUP` of gunicorn's master).
Exit codes: 0 done, 2 not possible (one sentence on stderr, and model.bin is as it was).
"""

import argparse
import sys
from pathlib import Path

from pydantic import ValidationError

from fairmeter.cli.settings import CommandSettings, describe_invalid
from fairmeter.features.invoices.matrix import FEATURE_NAMES
from fairmeter.models import kept_versions, remote_files
from fairmeter.models.kept_versions import KeptModel
from fairmeter.models.model_file import ModelError


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m fairmeter.cli.versions", description="List the kept versions of model.bin, or put one back."
    )
    chosen = parser.add_mutually_exclusive_group()
    chosen.add_argument("--rollback", action="store_true", help="the version trained before the one that is there")
    chosen.add_argument("--put", metavar="VERSION", help="a version, or a name of the list")
    options = parser.parse_args(arguments)
    try:
        settings = CommandSettings.from_environment()
        return _run(options, _local(settings.model_path), settings.key)
    except ValidationError as error:
        print(describe_invalid(error), file=sys.stderr)
    except (ModelError, OSError) as error:
        print(f"Nothing was changed: {error}", file=sys.stderr)
    return 2


def _run(options: argparse.Namespace, path: Path, key: bytes | None) -> int:
    if options.rollback:
        _tell(path, kept_versions.roll_back(path, FEATURE_NAMES, key))
    elif options.put:
        _tell(path, kept_versions.put_back(path, options.put, FEATURE_NAMES, key))
    else:
        for model in kept_versions.list_kept(path, key):
            print(f"{'*' if model.is_served else ' '} {model.name}  trained {model.trained_at}")
    return 0


def _local(place: str) -> Path:
    if remote_files.is_remote(place):
        raise ModelError(f"{place} is kept by its store: put the version back there.")
    return Path(place)


def _tell(path: Path, model: KeptModel) -> None:
    print(f"{path} is version {model.version} of {model.trained_at}.")
    print("Reload the service: kill -HUP of gunicorn's master.")


if __name__ == "__main__":
    sys.exit(main())
