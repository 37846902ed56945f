"""How train.py ends, as tests look at it."""

import train


def model_in(folder):
    return [(folder / name).read_bytes() for name in ("model.bin", "model.bin.sha256")]


def ends_in_one_sentence(capsys, folder, *arguments):
    """What train.py says, having left the model of last time as it was."""
    before = model_in(folder)
    assert train.main([str(argument) for argument in arguments]) == 2
    said = capsys.readouterr().err.strip()
    assert "\n" not in said
    assert said.endswith(".")
    assert model_in(folder) == before
    assert not (folder / "report").exists()
    return said
