"""Versions of the model: what is trained is kept, and comes back by one command."""

from dataclasses import replace
from pathlib import Path

import pytest

from fairmeter.cli import versions
from fairmeter.features.invoices.matrix import FEATURE_NAMES
from fairmeter.models import kept_versions, model_file, remote_files
from fairmeter.models.model_file import ModelError

KEY = b"a key"


def written(model, path, version, key=None, **manifest):
    changed = {"version": version, "trained_at": f"2026-11-{version:0>2}T10:00:00Z"} | manifest
    model_file.save(replace(model, manifest=model.manifest | changed), path, key)
    return path


@pytest.fixture
def path(small_model, tmp_path):
    """model.bin of version 3, and versions 1 and 2 before it, all kept."""
    for version in ("1", "2", "3"):
        kept_versions.keep(written(small_model, tmp_path / "model.bin", version))
    return tmp_path / "model.bin"


def version_of(path, key=None):
    return model_file.load(path, key).manifest["version"]


def test_each_version_is_kept_once_and_the_served_one_is_marked(path):
    kept_versions.keep(path)
    found = kept_versions.list_kept(path)
    assert [(model.version, model.is_served) for model in found] == [("3", True), ("2", False), ("1", False)]
    assert found[0].path.read_bytes() == path.read_bytes()


def test_rolling_back_goes_to_the_version_before_again_and_again(path):
    before = path.read_bytes()
    for version in ("2", "1"):
        assert kept_versions.roll_back(path, FEATURE_NAMES).version == version == version_of(path)
    with pytest.raises(ModelError, match="no version from before"):
        kept_versions.roll_back(path, FEATURE_NAMES)
    kept_versions.put_back(path, "3", FEATURE_NAMES)
    assert path.read_bytes() == before


def test_a_model_that_was_never_kept_is_kept_before_another_takes_its_place(path, small_model):
    written(small_model, path, "9")
    kept_versions.put_back(path, "1", FEATURE_NAMES)
    assert kept_versions.put_back(path, "9", FEATURE_NAMES).version == version_of(path) == "9"


def test_a_damaged_model_is_replaced_by_a_kept_one(path):
    path.write_bytes(b"damaged")
    kept_versions.put_back(path, "2", FEATURE_NAMES)
    assert version_of(path) == "2"


def test_what_does_not_fit_leaves_model_bin_as_it_was(path, small_model):
    before = path.read_bytes()
    with pytest.raises(ModelError, match="keeps no version 7"):
        kept_versions.put_back(path, "7", FEATURE_NAMES)
    with pytest.raises(ModelError, match="was trained on other features"):
        kept_versions.put_back(path, "1", FEATURE_NAMES[:-1])
    twin = written(small_model, path.with_name("twin.bin"), "1", note="of the same version")
    model_file.copy(twin, path.parent / "models" / "1-twin.bin")
    with pytest.raises(ModelError, match="2 kept models have version 1: name one of 1-"):
        kept_versions.put_back(path, "1", FEATURE_NAMES)
    assert path.read_bytes() == before


def test_signed_models_are_kept_with_their_signature_and_others_are_left_out(small_model, tmp_path):
    path = written(small_model, tmp_path / "model.bin", "1", KEY)
    kept = kept_versions.keep(path, KEY)
    assert version_of(kept, KEY) == "1"
    kept.with_name(f"{kept.name}.hmac").unlink()
    assert kept_versions.list_kept(path, KEY) == []


def test_only_so_many_are_kept_the_oldest_go_first(small_model, tmp_path, monkeypatch):
    monkeypatch.setattr(kept_versions, "MOST", 2)
    for version in ("1", "2", "3"):
        kept_versions.keep(written(small_model, tmp_path / "model.bin", version))
    assert [model.version for model in kept_versions.list_kept(tmp_path / "model.bin")] == ["3", "2"]
    assert len(list((tmp_path / "models").iterdir())) == 4, "with their checksums"


def test_the_command_lists_and_rolls_back(path, monkeypatch, capsys):
    monkeypatch.setenv("MODEL_PATH", str(path))
    assert versions.main([]) == 0
    assert [line.split("-")[0] for line in capsys.readouterr().out.splitlines()] == ["* 3", "  2", "  1"]
    assert versions.main(["--rollback"]) == 0
    assert "is version 2" in capsys.readouterr().out
    assert versions.main(["--put", "8"]) == 2
    assert "Nothing was changed" in capsys.readouterr().err
    monkeypatch.setenv("MODEL_PATH", "s3://bucket/model.bin")
    assert versions.main(["--rollback"]) == 2


# --- models elsewhere -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "place", ["memory://models/model.bin", "file://{folder}/model.bin", "local://{folder}/model.bin"]
)
def test_a_model_is_fetched_with_its_seals_from_where_fsspec_reads(small_model, tmp_path, place):
    import fsspec

    source = written(small_model, tmp_path / "model.bin", "5", KEY)
    address = place.format(folder=tmp_path)
    files, root = fsspec.core.url_to_fs(address)
    if address.startswith("memory"):
        for suffix in ("", ".sha256", ".hmac"):
            files.pipe_file(root + suffix, Path(f"{source}{suffix}").read_bytes())
    (tmp_path / "here").mkdir()
    assert version_of(remote_files.fetch(address, tmp_path / "here"), KEY) == "5"


@pytest.mark.parametrize(
    ("address", "told"),
    [("memory://nowhere/model.bin", "FileNotFoundError"), ("nothing://x/model.bin", "cannot be read")],
)
def test_a_model_that_is_not_there_is_one_sentence(tmp_path, address, told):
    with pytest.raises(ModelError, match=told):
        remote_files.fetch(address, tmp_path)


def test_a_path_is_no_address():
    assert [remote_files.is_remote(place) for place in ("model.bin", "/m/model.bin", "s3://b/m")] == [
        False,
        False,
        True,
    ]
