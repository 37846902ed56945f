"""model.bin: a pickle of plain data only, opened after its checksum, by an unpickler that admits nothing else.

In:  a FraudModel, a path, and a key where files are signed.
Out: the file, and beside it `.sha256` (as `sha256sum -c` reads it) and, with a key, `.hmac`; or the model again.

Arrays are stored as dtype, shape and bytes, fitted objects as their fields: the file needs no class and no function,
and none can be called from it. The order of writing keeps the old file whole until the new one is complete.
"""

import hashlib
import hmac
import io
import os
import pickle
import zlib
from dataclasses import fields, is_dataclass
from pathlib import Path

import numpy as np

from fraud import detectors
from fraud.ensemble import Ensemble, FraudModel, Inputs
from fraud.neighbours import CellRates
from fraud.peers import Peers

FORMAT = 1
MAX_BYTES = 512 * 2**20  # unpacked: a model is a tenth of that
KINDS = {
    kind.__name__: kind
    for kind in (Ensemble, Inputs, CellRates, Peers, detectors.Detectors, *detectors.KINDS.values())
}  # fmt: skip


class ModelError(Exception):
    """A model file that cannot be used; the message says why and what to do."""


class PlainUnpickler(pickle.Unpickler):
    """Reads dicts, lists, tuples, numbers, strings and bytes. Anything else in the file would be code."""

    def find_class(self, module: str, name: str):
        raise ModelError(f"The model file asks for {module}.{name}, and a model holds plain data only: do not trust this file.")

    def persistent_load(self, pid):
        raise ModelError("The model file refers to objects outside it, and a model holds plain data only: do not trust this file.")


def save(model: FraudModel, path: Path | str, key: bytes | None = None) -> None:
    """Raises OSError, with the old file untouched."""
    path = Path(path)
    body = zlib.compress(pickle.dumps(plain({"invoices": model.invoices, "aggregates": model.aggregates}), protocol=5), 6)
    data = pickle.dumps({"format": FORMAT, "manifest": model.manifest, "body": body}, protocol=5)
    beside = {path: data, _suffixed(path, ".sha256"): f"{hashlib.sha256(data).hexdigest()}  {path.name}\n".encode()}
    if key:
        beside[_suffixed(path, ".hmac")] = f"{_signature(data, key)}\n".encode()
    drafts = [(_draft(target, content), target) for target, content in beside.items()]
    for draft, target in drafts:
        os.replace(draft, target)


def load(path: Path | str, key: bytes | None = None) -> FraudModel:
    """Raises ModelError."""
    path = Path(path)
    data = _read(path)
    expected = _read(_suffixed(path, ".sha256")).decode("ascii", "replace").split()
    if not expected or not hmac.compare_digest(hashlib.sha256(data).hexdigest(), expected[0]):
        raise ModelError(f"{path} is not the file that {path.name}.sha256 was made for: train again, or copy both files again.")
    if key and not hmac.compare_digest(_signature(data, key), _read(_suffixed(path, ".hmac")).decode("ascii", "replace").strip()):
        raise ModelError(f"{path} is not signed with this key: sign it with the key of MODEL_KEY, or leave MODEL_KEY unset.")
    try:
        content = _unpickled(data)
        if content.get("format") != FORMAT:
            raise ModelError(f"{path} has format {content.get('format')}, this program reads {FORMAT}: train again with this version.")
        parts = restored(_unpickled(_unpacked(content["body"])))
        return FraudModel(parts["invoices"], parts["aggregates"], content["manifest"])
    except ModelError:
        raise
    except Exception as error:  # a pickle can be wrong in too many ways to name
        raise ModelError(f"{path} is no model file ({type(error).__name__}): train again.") from error


def plain(value: object) -> object:
    """Arrays and fitted objects as dicts of what they hold."""
    if isinstance(value, np.ndarray):
        return {"array": value.dtype.str, "shape": value.shape, "bytes": np.ascontiguousarray(value).tobytes()}
    if is_dataclass(value):
        return {"kind": type(value).__name__, "fields": {f.name: plain(getattr(value, f.name)) for f in fields(value)}}
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, np.generic):
        return value.item()
    return value


def restored(value: object) -> object:
    """The reverse of `plain`. Raises ModelError for an array of anything but numbers."""
    if not isinstance(value, dict):
        return value
    if set(value) == {"array", "shape", "bytes"}:
        dtype = np.dtype(value["array"])
        if dtype.kind not in "fiub":
            raise ModelError(f"The model file holds an array of {dtype}, and a model holds numbers only: do not trust this file.")
        return np.frombuffer(value["bytes"], dtype).reshape(value["shape"])
    if set(value) == {"kind", "fields"}:
        return KINDS[value["kind"]](**{name: restored(item) for name, item in value["fields"].items()})
    return {name: restored(item) for name, item in value.items()}


def _suffixed(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _signature(data: bytes, key: bytes) -> str:
    return hmac.new(key, data, hashlib.sha256).hexdigest()


def _draft(target: Path, content: bytes) -> Path:
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        draft.unlink(missing_ok=True)
        raise
    return draft


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror}): run train.py, or set MODEL_PATH.") from error


def _unpickled(data: bytes):
    return PlainUnpickler(io.BytesIO(data)).load()


def _unpacked(body: bytes) -> bytes:
    unpacker = zlib.decompressobj()
    data = unpacker.decompress(body, MAX_BYTES)
    if unpacker.unconsumed_tail:
        raise ModelError(f"The model unpacks to more than {MAX_BYTES // 2**20} MB: it is none of ours.")
    return data
