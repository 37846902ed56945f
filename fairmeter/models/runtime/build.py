"""Compiles _trees.c with the machine's C compiler, where there is one: `python fairmeter/models/runtime/build.py`.

In:  _trees.c beside this file; a C compiler and Python's headers.
Out: _trees.*.so beside it, for this Python alone. Without it, NumPy and ONNX Runtime compute the same more slowly.
Exit codes: 0 built, or already built of this source; 1 not built, with a sentence on stderr unless --quiet.

It imports nothing of the package, so that a stage of the image's build needs no library.
"""

import hashlib
import os
import subprocess
import sys
import sysconfig
from functools import cache
from pathlib import Path

NAME = "_trees"
SOURCE_FILE = Path(__file__).with_name(f"{NAME}.c")
COMPILER = "cc"
# No contraction: a fused multiplication and addition rounds once, where NumPy rounds twice.
FLAGS = ("-O3", "-fPIC", "-shared", "-std=c11", "-ffp-contract=off", "-fno-strict-aliasing", "-Wall", "-Wextra")
TIMEOUT = 120.0  # seconds


@cache
def source_digest() -> str:
    """Checksum of the source, which the module holds of the one that it was made of; empty without a source."""
    return hashlib.sha256(SOURCE_FILE.read_bytes()).hexdigest() if SOURCE_FILE.exists() else ""


def module_file(folder: Path = SOURCE_FILE.parent) -> Path:
    """Where the module of this Python stands."""
    return folder / f"{NAME}{sysconfig.get_config_var('EXT_SUFFIX')}"


def build(folder: Path = SOURCE_FILE.parent) -> Path:
    """Compile the source into a folder. Raises OSError or subprocess.SubprocessError where that fails."""
    target = module_file(folder)
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    include = f"-I{sysconfig.get_path('include')}"
    command = [COMPILER, *FLAGS, include, f'-DSOURCE="{source_digest()}"', str(SOURCE_FILE), "-o", str(draft)]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=TIMEOUT)  # noqa: S603  our own list of words
        os.replace(draft, target)  # a server that runs keeps the file that it has opened
    finally:
        draft.unlink(missing_ok=True)
    return target


def is_current() -> bool:
    """Whether the module of this Python was made of this source."""
    return module_file().exists() and source_digest().encode() in module_file().read_bytes()


def main(arguments: list[str]) -> int:
    if is_current():
        return 0
    try:
        build()
    except (OSError, subprocess.SubprocessError) as error:
        if "--quiet" not in arguments:
            detail = (getattr(error, "stderr", None) or b"").decode(errors="replace").strip()
            print(f"The trees were not compiled, and run in NumPy. {error}\n{detail}".strip(), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
