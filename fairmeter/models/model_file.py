"""model.bin: a pickle of plain data, checked against its checksum and read by an unpickler that admits nothing else.

In:  a FraudModel, a path, and a key if files are signed.
Out: the file, with `.sha256` beside it (in the format of `sha256sum -c`) and, with a key, `.hmac`; or the model again.

Arrays are stored as dtype, shape and bytes, fitted objects as their fields. The file therefore needs no class and no
function, and reading it calls none. The model and its seals are several files that cannot be renamed at once. Seals
that admit both the old and the new model are written first, so that a whole model loads whenever the machine stops.
"""

import hashlib
import hmac
import io
import os
import pickle
import zlib
from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from pathlib import Path

import numpy as np

from fairmeter.evaluation.drift import ReferenceDistribution
from fairmeter.features.readings.covariates import Covariates
from fairmeter.features.readings.matrix import FEATURE_NAMES as READING_FEATURES
from fairmeter.models.day_mates import DayMates
from fairmeter.models.detectors import classical
from fairmeter.models.detectors.autoencoder import Autoencoder
from fairmeter.models.detectors.forecaster import Forecaster
from fairmeter.models.detectors.mean_rank import MeanRank
from fairmeter.models.detectors.week_convolution import WeekConvolution
from fairmeter.models.ensemble import Ensemble, EnsembleInputs
from fairmeter.models.fraud_model import FraudModel
from fairmeter.models.invoice_evidence import InvoiceEvidence
from fairmeter.models.peer_groups import PeerGroups
from fairmeter.models.reading_model import ReadingModel
from fairmeter.models.runtime.column_member import ColumnMember
from fairmeter.models.runtime.dense_network import DenseNetwork, InputScaler
from fairmeter.models.runtime.oblivious_trees import ObliviousTrees
from fairmeter.models.runtime.onnx_trees import OnnxTrees
from fairmeter.models.target_encoding import GroupRates

FORMAT = 7
# 6 is without a convolution over weeks; 5 also without the evidence of single invoices; 4 also without dense networks;
# 3 also without reference distributions: such a model has the same scores, but no drift.
OLDER = (3, 4, 5, 6)
PARTS = ("invoices", "aggregates", "readings")
SUFFIXES = (".sha256", ".hmac")  # of the seals beside a file
MAX_BYTES = 512 * 2**20  # unpacked: ten times the size of a model
# Names of the classes in model.bin. They never change, so that files of all versions can be read.
KINDS: dict[str, type] = {
    "Ensemble": Ensemble,
    "Inputs": EnsembleInputs,
    "Fingerprint": ReferenceDistribution,
    "CellRates": GroupRates,
    "Peers": PeerGroups,
    "OnnxTrees": OnnxTrees,
    "SymmetricTrees": ObliviousTrees,
    "DenseNetwork": DenseNetwork,
    "ColumnMember": ColumnMember,
    "Scaling": InputScaler,
    "Detectors": classical.Detectors,
    "ZScore": classical.ZScore,
    "MovingAverage": classical.MovingAverage,
    "Quartiles": classical.Quartiles,
    "IsolationForest": classical.IsolationForest,
    "Autoencoder": Autoencoder,
    "Forecaster": Forecaster,
    "WeekConvolution": WeekConvolution,
    "ReadingModel": ReadingModel,
    "Surroundings": Covariates,
    "MeanRank": MeanRank,
    "DayMates": DayMates,
    "InvoiceEvidence": InvoiceEvidence,
}
FILE_NAMES = {kind: name for name, kind in KINDS.items()}


class ModelError(Exception):
    """A model file that cannot be used; the message gives the reason and the remedy."""


class PlainUnpickler(pickle.Unpickler):
    """Unpickler of dicts, lists, tuples, numbers, strings and bytes; anything else in a file would be code."""

    def find_class(self, module: str, name: str) -> object:
        raise ModelError(f"The model file refers to {module}.{name}; a model holds plain data only: do not trust it.")

    def persistent_load(self, pid: object) -> object:
        raise ModelError(f"The model file refers to {pid!r}; a model holds plain data only: do not trust it.")


def save(model: FraudModel, path: Path | str, key: bytes | None = None) -> None:
    """Write the model and its seals.

    Raises OSError, after which the old file still loads; ModelError if the model could not be read again.
    """
    _save_bytes(_packed(model), Path(path), key)


def copy(source: Path, target: Path, key: bytes | None = None) -> None:
    """Write the bytes of a model at another path, with seals. Raises ModelError where they cannot be used, OSError."""
    _save_bytes(_checked(source, key), target, key)


def remove(path: Path) -> None:
    """Delete a model with its seals. Raises OSError."""
    for suffix in ("", *SUFFIXES):
        _suffixed(path, suffix).unlink(missing_ok=True)


def _save_bytes(data: bytes, path: Path, key: bytes | None) -> None:
    _opened(data, path)  # a file that cannot be read must not replace one that can
    seals = {_suffixed(path, suffix): line for suffix, line in _seals(path, data, key).items()}
    first = [(seal, line + _former(seal)) for seal, line in seals.items()]
    _written_in_order([*first, (path, data), *seals.items()])


def load(path: Path | str, key: bytes | None = None) -> FraudModel:
    """Check the seals and read the model. Raises ModelError."""
    path = Path(path)
    data = _checked(path, key)
    return replace(_opened(data, path), sha256=hashlib.sha256(data).hexdigest())


def _checked(path: Path, key: bytes | None) -> bytes:
    """The bytes of a file whose seals admit it. Raises ModelError."""
    data = _read(path)
    sums, *signed = _seals(path, data, key).items()
    if not _is_sealed(path, *sums):
        raise ModelError(
            f"{path} does not match its checksum in {path.name}.sha256: train again, or copy both files again."
        )
    if not all(_is_sealed(path, *seal) for seal in signed):
        raise ModelError(
            f"{path} is not signed with the key in MODEL_KEY: sign it with this key, or leave MODEL_KEY unset."
        )
    return data


def file_sha256(model: FraudModel) -> str:
    """The checksum of the file that `save` writes of this model."""
    return hashlib.sha256(_packed(model)).hexdigest()


def content_sha256(model: FraudModel) -> str:
    """A checksum of what was fitted, and of when: it differs between any two trainings."""
    body = pickle.dumps(to_plain({name: getattr(model, name) for name in PARTS}), protocol=5)
    return hashlib.sha256(body + str(model.manifest.get("trained_at")).encode()).hexdigest()


def check_features(model: FraudModel, names: Sequence[str], path: Path | str) -> None:
    """Raise ModelError if the model expects other features than those computed, or another order of them.

    names: the features of invoices; those of readings are imported here.
    """
    _check_names(model.manifest.get("features", ()), names, path, "features.py computes")
    check_reading_features(model, path)


def check_reading_features(model: FraudModel, path: Path | str) -> None:
    """As `check_features`, for the ensemble on readings alone, if the model has one."""
    if model.readings is not None:
        expected = model.manifest.get("reading_features", ())
        _check_names(expected, READING_FEATURES, path, "fairmeter/features/readings/matrix.py computes")


def _check_names(expected: Sequence[str], names: Sequence[str], path: Path | str, source: str) -> None:
    if tuple(expected) == tuple(names):
        return
    odd = sorted(set(expected) ^ set(names))
    what = f"{len(odd)} differ, {odd[0]} is one" if odd else "their order differs"
    raise ModelError(f"{path} was trained on other features than {source} ({what}): train again.")


def _opened(data: bytes, path: Path) -> FraudModel:
    """The model of a file's content. Raises ModelError."""
    try:
        content = _unpickled(data)
        if content["format"] not in (FORMAT, *OLDER):
            found = content["format"]
            raise ModelError(f"{path} has format {found}, this program reads {FORMAT}: train again with this version.")
        parts = from_plain(_unpickled(_unpacked(content["body"])))
        return FraudModel(**{name: parts[name] for name in PARTS}, manifest=from_plain(content["manifest"]))
    except ModelError:
        raise
    except Exception as error:  # a damaged pickle can raise almost any exception
        raise ModelError(f"{path} is not a model file ({type(error).__name__}): train again.") from error


def _packed(model: FraudModel) -> bytes:
    body = pickle.dumps(to_plain({name: getattr(model, name) for name in PARTS}), protocol=5)
    content = {"format": FORMAT, "manifest": to_plain(model.manifest), "body": zlib.compress(body, 6)}
    return pickle.dumps(content, protocol=5)


def to_plain(value: object) -> object:
    """Convert arrays and fitted objects to dicts of their content."""
    if isinstance(value, np.ndarray):
        return {"array": value.dtype.str, "shape": value.shape, "bytes": np.ascontiguousarray(value).tobytes()}
    if is_dataclass(value):
        return {
            "kind": FILE_NAMES[type(value)],
            "fields": {f.name: to_plain(getattr(value, f.name)) for f in fields(value)},
        }
    if isinstance(value, dict):
        return {name: to_plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [to_plain(item) for item in value]
    if isinstance(value, np.generic):
        return value.item()
    return value


def from_plain(value: object) -> object:
    """Inverse of `to_plain`; arrays are read-only. Raises ModelError for an array of anything but numbers."""
    if isinstance(value, list):
        return [from_plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"array", "shape", "bytes"}:
        dtype = np.dtype(value["array"])
        if dtype.kind not in "fiub":
            raise ModelError(f"The model file holds an array of {dtype}; a model holds numbers only: do not trust it.")
        return np.frombuffer(value["bytes"], dtype).reshape(value["shape"])
    if set(value) == {"kind", "fields"}:
        return KINDS[value["kind"]](**{name: from_plain(item) for name, item in value["fields"].items()})
    return {name: from_plain(item) for name, item in value.items()}


# --- seals ------------------------------------------------------------------------------------------------------------


def _seals(path: Path, data: bytes, key: bytes | None) -> dict[str, bytes]:
    """Line of each seal by suffix: the checksum of these bytes and, with a key, their signature."""
    seals = {".sha256": f"{hashlib.sha256(data).hexdigest()}  {path.name}\n".encode()}
    if key:
        seals[".hmac"] = f"{hmac.new(key, data, hashlib.sha256).hexdigest()}\n".encode()
    return seals


def _is_sealed(path: Path, suffix: str, line: bytes) -> bool:
    """Whether a line of the seal admits the file, under any file name. Raises ModelError."""
    lines = _read(_suffixed(path, suffix)).splitlines()
    return any(hmac.compare_digest(found.split()[0], line.split()[0]) for found in lines if found.strip())


def _former(seal: Path) -> bytes:
    """Content of the present seal; empty if there is none."""
    try:
        return seal.read_bytes()
    except FileNotFoundError:
        return b""


# --- files ------------------------------------------------------------------------------------------------------------


def _suffixed(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _written_in_order(contents: list[tuple[Path, bytes]]) -> None:
    """Write all drafts before renaming any, so that a full disk changes nothing. Raises OSError."""
    drafts = [target.with_name(f".{target.name}.{os.getpid()}.{i}") for i, (target, _) in enumerate(contents)]
    try:
        for draft, (_, content) in zip(drafts, contents, strict=True):
            _write(draft, content)
        for draft, (target, _) in zip(drafts, contents, strict=True):
            os.replace(draft, target)
    finally:
        for draft in drafts:
            draft.unlink(missing_ok=True)


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror}): run train.py, or set MODEL_PATH.") from error


# --- pickle -----------------------------------------------------------------------------------------------------------


def _unpickled(data: bytes) -> dict:
    return PlainUnpickler(io.BytesIO(data)).load()


def _unpacked(body: bytes) -> bytes:
    unpacker = zlib.decompressobj()
    data = unpacker.decompress(body, MAX_BYTES)
    if unpacker.unconsumed_tail:
        raise ModelError(
            f"The model unpacks to more than {MAX_BYTES // 2**20} MB, which no trained model does: do not trust it."
        )
    return data
