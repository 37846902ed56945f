"""A model in a store of objects or at another place that fsspec reads, such as s3://bucket/model.bin.

In:  an address with ://, a folder.
Out: the model and its seals as files in the folder, complete or not at all.
"""

import sys
from pathlib import Path

from fairmeter.models.model_file import SUFFIXES, ModelError

NAME = "model.bin"
INSTALL = "Install what reads it: `pipenv sync --categories remote`, or the package of fsspec for this kind of address."


def is_remote(place: str) -> bool:
    """Whether a place is an address, and no path."""
    return "://" in place


def fetch(address: str, folder: Path) -> Path:
    """Copy the model and the seals that it has into the folder; the model's path. Raises ModelError."""
    try:
        import fsspec  # of the optional category `remote`

        files, place = fsspec.core.url_to_fs(address)
        for suffix in reversed(("", *SUFFIXES)):  # the model last: with it the seals are there
            if not suffix or files.exists(place + suffix):
                files.get_file(place + suffix, str(folder / (NAME + suffix)))
    except ImportError as error:
        raise ModelError(f"{address} cannot be read ({error}). {INSTALL}") from None
    except Exception as error:  # of whichever kind its store raises
        raise ModelError(
            f"{address} cannot be read ({type(error).__name__}): see that it is there, and the rights."
        ) from error
    return folder / NAME


if __name__ == "__main__":  # of gunicorn.conf.py
    try:
        fetch(sys.argv[1], Path(sys.argv[2]))
    except ModelError as problem:
        sys.exit(str(problem))
