"""Versions of model.bin that were served or trained, kept in the folder models/ beside it.

In:  the path of model.bin, and a key if files are signed.
Out: models/VERSION-CHECKSUM.bin with its seals, a file for each model once; one of them in the place of model.bin.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from fairmeter.models import model_file
from fairmeter.models.model_file import ModelError

FOLDER = "models"
MOST = 20  # versions kept; the ones trained longest ago go first
CHECKSUM_DIGITS = 8  # of the SHA-256, in a file's name: two trainings may have one version


class KeptModel(NamedTuple):
    """A kept version. [trained_at: ISO 8601; is_served: model.bin is this one]"""

    name: str
    path: Path
    version: str
    trained_at: str
    is_served: bool


def keep(path: Path, key: bytes | None = None) -> Path:
    """Keep a copy of model.bin; its path. Raises ModelError, OSError."""
    model = model_file.load(path, key)
    target = path.parent / FOLDER / f"{model.manifest['version']}-{model.sha256[:CHECKSUM_DIGITS]}.bin"
    if not target.exists():
        target.parent.mkdir(exist_ok=True)
        model_file.copy(path, target, key)
        for old in list_kept(path, key)[MOST:]:
            model_file.remove(old.path)
    return target


def list_kept(path: Path, key: bytes | None = None) -> list[KeptModel]:
    """The kept versions, the one trained last first; damaged files and those of other keys are left out."""
    served = _sha256_of(path, key)
    found = [_kept(file, key, served) for file in (path.parent / FOLDER).glob("*.bin")]
    return sorted((model for model in found if model), key=lambda model: (model.trained_at, model.name), reverse=True)


def put_back(path: Path, name: str, features: Sequence[str], key: bytes | None = None) -> KeptModel:
    """Let model.bin be the kept version of this name or version; the one that is there is kept first.

    features: of invoices that this program computes. Raises ModelError, after which model.bin is as it was; OSError.
    """
    matching = [model for model in list_kept(path, key) if name in (model.name, model.version)]
    if not matching:
        raise ModelError(f"{path.parent / FOLDER} keeps no version {name}.")
    if len(matching) > 1:
        names = ", ".join(model.name for model in matching)
        raise ModelError(f"{len(matching)} kept models have version {name}: name one of {names}.")
    (chosen,) = matching
    model_file.check_features(model_file.load(chosen.path, key), features, chosen.path)
    if _sha256_of(path, key) is not None:
        keep(path, key)
    model_file.copy(chosen.path, path, key)
    return chosen


def roll_back(path: Path, features: Sequence[str], key: bytes | None = None) -> KeptModel:
    """Let model.bin be the version that was trained before the one that is there. Raises as put_back."""
    kept = list_kept(path, key)
    at = next((i for i, model in enumerate(kept) if model.is_served), -1)
    if at + 1 >= len(kept):
        raise ModelError(f"{path.parent / FOLDER} keeps no version from before {path.name}.")
    return put_back(path, kept[at + 1].name, features, key)


def _kept(file: Path, key: bytes | None, served: str | None) -> KeptModel | None:
    try:
        model = model_file.load(file, key)
    except ModelError:
        return None
    manifest = model.manifest
    trained_at = str(manifest.get("trained_at", ""))
    return KeptModel(file.stem, file, str(manifest["version"]), trained_at, model.sha256 == served)


def _sha256_of(path: Path, key: bytes | None) -> str | None:
    try:
        return model_file.load(path, key).sha256
    except ModelError:
        return None
