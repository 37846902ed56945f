"""model.bin gives back what was put in; what is not such a file is refused in one sentence, and nothing of it runs."""

import copy
import dataclasses
import errno
import hashlib
import os
import pickle
import shutil
import zlib
from pathlib import Path

import numpy as np
import pytest

from fairmeter.evaluation.conformal_selection import calibration_table
from fairmeter.features.invoices.matrix import FEATURE_NAMES
from fairmeter.models import model_file
from fairmeter.models.model_file import FORMAT, OLDER, ModelError, check_features, from_plain, load, save, to_plain

KEY = b"a key"
COMMITTED = Path(__file__).parents[2] / "model.bin"
FULL = OSError(errno.ENOSPC, "No space left on device")


# --- builders ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def path(trained, tmp_path):
    """A model with its checksum, to spoil."""
    for name in ("model.bin", "model.bin.sha256"):
        shutil.copy(trained.model.with_name(name), tmp_path / name)
    return tmp_path / "model.bin"


def sealed(path, data):
    """Any bytes as a model file whose checksum is right."""
    path.write_bytes(data)
    path.with_name(f"{path.name}.sha256").write_text(f"{hashlib.sha256(data).hexdigest()}  {path.name}\n")
    return path


def content_of(path):
    return pickle.loads(path.read_bytes())  # noqa: S301  (made by these tests)


def refused(path, key=None):
    """The sentence of the refusal."""
    with pytest.raises(ModelError) as refusal:
        load(path, key)
    sentence = str(refusal.value)
    assert path.name in sentence or "do not trust" in sentence or "none of ours" in sentence
    assert "\n" not in sentence
    assert sentence.endswith(".")
    return sentence


def state_of(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir()}


@pytest.fixture
def no_unpickling(monkeypatch):
    def reached(_data):
        pytest.fail("a file was unpickled before its seals were checked")

    monkeypatch.setattr(model_file, "_unpickled", reached)


# --- there and back ---------------------------------------------------------------------------------------------------


def test_a_model_comes_back_with_the_same_scores_bit_for_bit(small_model, small_dataset, tmp_path):
    save(small_model, tmp_path / "model.bin")
    again = load(tmp_path / "model.bin")
    assert again.manifest == small_model.manifest
    np.testing.assert_array_equal(
        again.probability(small_dataset.evidence), small_model.probability(small_dataset.evidence)
    )
    row = {"consumption_level_1_mean": 900.0}
    assert again.score_aggregates([row], ["a"]) == small_model.score_aggregates([row], ["a"])


def test_the_checksum_is_as_sha256sum_writes_it_and_nothing_else_is_left_behind(small_model, tmp_path):
    save(small_model, tmp_path / "model.bin")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["model.bin", "model.bin.sha256"]
    digest = hashlib.sha256((tmp_path / "model.bin").read_bytes()).hexdigest()
    assert (tmp_path / "model.bin.sha256").read_text() == f"{digest}  model.bin\n"


def test_a_renamed_model_loads_with_its_checksum(path):
    for suffix in ("", ".sha256"):
        path.with_name(f"model.bin{suffix}").rename(path.with_name(f"old.bin{suffix}"))
    assert load(path.with_name("old.bin")).manifest


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.float32).reshape(2, 3),
        np.arange(6).reshape(2, 3).T,
        np.array([], dtype=np.uint64),
        np.zeros((0, 2)),
        np.array([True, False]),
        np.array([np.nan, -0.0, np.inf]),
    ],
    ids=["float32", "transposed", "empty", "no rows", "bool", "odd floats"],
)
def test_arrays_come_back_equal_and_nobody_can_write_into_them(array):
    again = from_plain(pickle.loads(pickle.dumps(to_plain({"kept": [array]}))))["kept"][0]  # noqa: S301
    assert (again.dtype, again.shape) == (array.dtype, array.shape)
    np.testing.assert_array_equal(again, array)
    with pytest.raises(ValueError, match="read-only"):
        again[...] = 0


def test_numbers_of_numpy_are_kept_as_plain_numbers(small_model, tmp_path):
    odd = copy.copy(small_model.manifest) | {"n": np.int64(3), "shares": [np.float32(0.5)], "is": np.True_}
    save(dataclasses.replace(small_model, manifest=odd), tmp_path / "model.bin")
    again = load(tmp_path / "model.bin").manifest
    assert (again["n"], again["shares"], again["is"]) == (3, [0.5], True)
    assert type(again["shares"][0]) is float


# --- refused before it is opened --------------------------------------------------------------------------------------


@pytest.mark.usefixtures("no_unpickling")
@pytest.mark.parametrize("place", [0, 1000, -1], ids=["first byte", "inside", "last byte"])
def test_a_changed_byte_is_refused_before_anything_is_unpickled(path, place):
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    assert "sha256" in refused(path)


@pytest.mark.usefixtures("no_unpickling")
@pytest.mark.parametrize("n_bytes", [0, 1, 5000], ids=["empty", "one byte", "truncated"])
def test_a_file_cut_short_is_refused_before_anything_is_unpickled(path, n_bytes):
    path.write_bytes(path.read_bytes()[:n_bytes])
    assert "sha256" in refused(path)


@pytest.mark.usefixtures("no_unpickling")
@pytest.mark.parametrize("content", [b"", b"\n \n", b"\xff\xfe\x00", b"0" * 64, b"no checksum at all"])
def test_a_checksum_file_that_says_something_else_admits_nothing(path, content):
    path.with_name("model.bin.sha256").write_bytes(content)
    assert "sha256" in refused(path)


@pytest.mark.usefixtures("no_unpickling")
@pytest.mark.parametrize("gone", ["model.bin", "model.bin.sha256"])
def test_a_missing_file_is_named(path, gone):
    path.with_name(gone).unlink()
    assert f"{gone} cannot be read" in refused(path)


def test_a_folder_is_no_model(tmp_path):
    assert "cannot be read" in refused(tmp_path)


# --- keys -------------------------------------------------------------------------------------------------------------


def test_a_signed_model_loads_with_its_key_and_without_one(small_model, tmp_path):
    save(small_model, tmp_path / "model.bin", KEY)
    assert load(tmp_path / "model.bin", KEY).manifest == load(tmp_path / "model.bin").manifest


@pytest.mark.usefixtures("no_unpickling")
def test_another_key_is_refused(small_model, tmp_path, monkeypatch):
    with monkeypatch.context() as context:
        context.setattr(model_file, "_opened", lambda _data, _path: None)
        save(small_model, tmp_path / "model.bin", KEY)
    assert "not signed with the key in MODEL_KEY" in refused(tmp_path / "model.bin", b"another key")


@pytest.mark.usefixtures("no_unpickling")
def test_a_missing_signature_is_refused_where_there_is_a_key(path):
    assert "model.bin.hmac cannot be read" in refused(path, KEY)


def test_a_model_changed_together_with_its_checksum_is_refused_where_there_is_a_key(small_model, path):
    save(small_model, path, KEY)
    sealed(path, pickle.dumps(content_of(path) | {"manifest": {"threshold": 0.0}}))
    assert "not signed with the key in MODEL_KEY" in refused(path, KEY)


def test_the_signature_of_a_former_model_does_not_admit_one_saved_without_a_key(small_model, path):
    save(small_model, path, KEY)
    save(dataclasses.replace(small_model, manifest={"other": 1}), path)
    assert "not signed with the key in MODEL_KEY" in refused(path, KEY)


# --- refused by the unpickler -----------------------------------------------------------------------------------------


class Runs:
    """What an attacker sends: unpickled by anything else than PlainUnpickler, it runs."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


HOSTILE = {
    "os.system": lambda mark: Runs(os.system, f"touch {mark}"),
    "eval": lambda mark: Runs(eval, f"__import__('pathlib').Path({str(mark)!r}).touch()"),
    "a class of ours": lambda mark: Path(mark),
    "an array of objects": lambda mark: np.array([Runs(os.mkdir, str(mark))], dtype=object),
    "an array pickled whole": lambda _mark: np.arange(3),
}


@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("inner", [False, True], ids=["in the file", "in its body"])
def test_a_pickle_that_asks_for_code_is_refused_and_runs_nothing(path, make, inner):
    mark = path.with_name("mark")
    data = pickle.dumps({"format": FORMAT, "manifest": {}, "body": make(mark)})
    if inner:
        body = zlib.compress(pickle.dumps({"invoices": make(mark), "aggregates": None}))
        data = pickle.dumps({"format": FORMAT, "manifest": {}, "body": body})
    assert "do not trust" in refused(sealed(path, data))
    assert not mark.exists()
    pickle.loads(data if not inner else zlib.decompress(body))  # noqa: S301  (this one does run: the payload is real)
    assert mark.exists() is (make in (HOSTILE["os.system"], HOSTILE["eval"], HOSTILE["an array of objects"]))


def test_a_pickle_that_refers_to_outside_objects_is_refused(path):
    assert "do not trust" in refused(sealed(path, b"\x80\x04\x8c\x03keyQ."))


@pytest.mark.parametrize("dtype", ["|O", "|V8", "<U4", "<M8[D]", "i4,O"])
def test_an_array_of_anything_but_numbers_is_refused(dtype):
    with pytest.raises(ModelError, match="do not trust"):
        from_plain({"array": dtype, "shape": (1,), "bytes": b"12345678"})


def body_of(path):
    return pickle.loads(zlib.decompress(content_of(path)["body"]))  # noqa: S301


SPOILED = {
    "no pickle": lambda _path: b"not a model at all",
    "a truncated pickle": lambda path: path.read_bytes()[:5000],
    "a pickle of something else": lambda _path: pickle.dumps([1, 2, 3]),
    "no body": lambda _path: pickle.dumps({"format": FORMAT, "manifest": {}}),
    "no manifest": lambda path: pickle.dumps({"format": FORMAT, "body": content_of(path)["body"]}),
    "a body that is no zlib": lambda path: pickle.dumps(content_of(path) | {"body": b"plain"}),
    "a truncated body": lambda path: pickle.dumps(content_of(path) | {"body": content_of(path)["body"][:5000]}),
    "an unknown kind": lambda path: repacked(path, invoices={"kind": "Path", "fields": {}}),
    "missing fields": lambda path: repacked(path, invoices={"kind": "Ensemble", "fields": {}}),
    "too few bytes": lambda path: repacked(path, invoices={"array": "<f8", "shape": (9,), "bytes": b"12345678"}),
    "a newer format": lambda path: pickle.dumps(content_of(path) | {"format": FORMAT + 1}),
    "a format of long ago": lambda path: pickle.dumps(content_of(path) | {"format": min(OLDER) - 1}),
}


def repacked(path, **changes):
    return pickle.dumps(content_of(path) | {"body": zlib.compress(pickle.dumps(body_of(path) | changes))})


@pytest.mark.parametrize("spoil", SPOILED.values(), ids=SPOILED)
def test_what_is_no_model_is_refused_in_a_sentence_though_its_checksum_is_right(path, spoil):
    assert "train again" in refused(sealed(path, spoil(path)))


def test_a_newer_format_is_named(path):
    assert f"has format {FORMAT + 1}, this program reads {FORMAT}" in refused(
        sealed(path, SPOILED["a newer format"](path))
    )


def test_a_body_that_unpacks_without_end_is_refused(path, monkeypatch):
    monkeypatch.setattr(model_file, "MAX_BYTES", 2**20)
    bomb = zlib.compress(bytes(50 * 2**20), 9)
    assert len(bomb) < 2**20
    assert "unpacks to more than 1 MB" in refused(
        sealed(path, pickle.dumps({"format": FORMAT, "manifest": {}, "body": bomb}))
    )


# --- saving -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_written", range(5))
def test_a_full_disk_leaves_the_old_model_whatever_is_written_by_then(small_model, path, monkeypatch, n_written):
    save(small_model, path, KEY)
    before, written = state_of(path.parent), []

    def write(target, content):
        if len(written) == n_written:
            target.write_bytes(content[: len(content) // 2])
            raise FULL
        written.append(target)
        target.write_bytes(content)

    monkeypatch.setattr(model_file, "_write", write)
    with pytest.raises(OSError, match="No space left"):
        save(small_model, path, KEY)
    assert state_of(path.parent) == before


def test_a_write_to_a_full_device_is_no_silent_success():
    with pytest.raises(OSError, match="No space left"):
        model_file._write(Path("/dev/full"), b"model")


@pytest.mark.parametrize("n_renamed", range(6))
def test_wherever_saving_stops_a_whole_model_loads(small_model, path, monkeypatch, n_renamed):
    """The machine may stop between any two renames: nothing is cleaned up then, so the drafts do not matter."""
    newer = dataclasses.replace(small_model, manifest=small_model.manifest | {"version": "new"})
    save(small_model, path, KEY)
    replace, renamed = os.replace, []

    def stops(draft, target):
        if len(renamed) == n_renamed:
            raise KeyboardInterrupt
        renamed.append(target)
        replace(draft, target)

    monkeypatch.setattr(os, "replace", stops)
    if n_renamed < 5:
        with pytest.raises(KeyboardInterrupt):
            save(newer, path, KEY)
    else:
        save(newer, path, KEY)
    former = small_model.manifest["version"]
    assert load(path, KEY).manifest["version"] == ("new" if path in renamed else former)
    assert load(path).manifest["version"] == ("new" if path in renamed else former)
    assert len(list(path.parent.iterdir())) == 3


def test_seals_of_former_models_do_not_pile_up(small_model, path):
    for _ in range(3):
        save(small_model, path, KEY)
    assert len(path.with_name("model.bin.sha256").read_bytes().splitlines()) == 1
    assert len(path.with_name("model.bin.hmac").read_bytes().splitlines()) == 1


def test_a_model_that_could_not_be_opened_again_does_not_take_the_old_ones_place(small_model, path):
    before = state_of(path.parent)
    odd = dataclasses.replace(small_model, manifest={"odd": Path("x")})
    with pytest.raises(ModelError):
        save(odd, path)
    assert state_of(path.parent) == before


# --- features ---------------------------------------------------------------------------------------------------------


def test_a_model_of_the_same_features_is_taken(small_model):
    assert check_features(small_model, FEATURE_NAMES, "model.bin") is None


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (FEATURE_NAMES[1:], FEATURE_NAMES[0]),
        ((*FEATURE_NAMES, "brand_new"), "brand_new"),
        (FEATURE_NAMES[::-1], "order"),
        ((), "differ"),
    ],
    ids=["one fewer", "one more", "another order", "none"],
)
def test_other_features_than_the_models_stop_the_start_with_a_sentence(small_model, names, words):
    with pytest.raises(ModelError, match=words) as refusal:
        check_features(small_model, names, "model.bin")
    assert str(refusal.value).startswith("model.bin was trained on other features")
    assert str(refusal.value).endswith("train again.")


# --- the committed one ------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not COMMITTED.exists(), reason="model.bin is not there; train.py makes it")
def test_the_committed_model_loads_and_fits_this_program():
    model = load(COMMITTED)
    check_features(model, FEATURE_NAMES, COMMITTED)
    assert COMMITTED.stat().st_size < 30 * 2**20
    assert model.manifest["view"] == "prospective"
    assert 0 < model.manifest["threshold"] < 1


def test_the_table_of_conformal_selection_is_kept(small_model, tmp_path):
    table = calibration_table(np.array([0, 1, 0, 1, 0]), np.linspace(0.9, 0.5, 5))
    model_file.save(
        dataclasses.replace(small_model, manifest=small_model.manifest | {"promise": table}), tmp_path / "m.bin"
    )
    assert model_file.load(tmp_path / "m.bin").manifest["promise"] == table
