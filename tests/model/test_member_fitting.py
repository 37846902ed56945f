"""Members serve without their libraries: they must say what the libraries' own models say."""

import numpy as np
import pytest

from fairmeter.evaluation.metrics import roc_auc
from fairmeter.models.model_file import to_plain
from fairmeter.training.member_fitting import MEMBERS, shap_sizes

N, WIDTH, TELLING = 800, 8, 3
every_member = pytest.mark.parametrize("name", MEMBERS)


def drawn(seed):
    """Clients whose column TELLING tells; in the first columns values are missing, column 1 nobody has."""
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(N, WIDTH)).astype(np.float32)
    label = (inputs[:, TELLING] + rng.normal(size=N) > 1.2).astype(float)
    inputs[:, :TELLING][rng.random((N, TELLING)) < 0.3] = np.nan
    inputs[:, 1] = np.nan
    return inputs, label


@pytest.fixture(scope="module")
def fitted():
    inputs, label = drawn(0)
    return {name: fit(inputs, label, 5, quick=True) for name, fit in MEMBERS.items()}


def native_log_odds(name, serving, model, inputs):
    if name == "catboost":
        return np.mean([bag.predict(inputs, prediction_type="RawFormulaVal") for bag in model], axis=0)
    if name == "dense_network":
        seen = serving.scaling.transform(inputs)
        return np.mean([each(seen)[:, 0] for each in model], axis=0)
    return model.predict(inputs, output_margin=True)


def odd_rows():
    """What a server may meet and training did not: nothing known, missing where it was always known, huge values."""
    rows, largest = np.zeros((4, WIDTH), dtype=np.float32), np.finfo(np.float32).max
    rows[0], rows[1, TELLING:], rows[2], rows[3] = np.nan, np.nan, largest, -largest
    return rows


@every_member
@pytest.mark.parametrize("rows", [drawn(0)[0], drawn(1)[0], odd_rows()], ids=["trained on", "new", "odd"])
def test_what_serves_gives_the_librarys_own_log_odds(fitted, name, rows):
    member = fitted[name]
    log_odds = member.serving.values(rows)
    assert log_odds.shape == (len(rows),)
    np.testing.assert_allclose(log_odds, native_log_odds(name, member.serving, member.native, rows), atol=1e-5)


@every_member
def test_higher_means_more_likely_a_fraud(fitted, name):
    inputs, label = drawn(1)
    assert roc_auc(label, fitted[name].serving.values(inputs)) > 0.8


@every_member
def test_a_client_alone_scores_as_among_others(fitted, name):
    inputs, _ = drawn(1)
    together = fitted[name].serving.values(inputs)
    for row in range(0, N, 100):
        assert fitted[name].serving.values(inputs[row : row + 1])[0] == together[row]


@pytest.mark.nightly
@every_member
def test_the_same_seed_gives_the_same_member(fitted, name):
    assert to_plain(MEMBERS[name](*drawn(0), 5, quick=True).serving) == to_plain(fitted[name].serving)


def test_shap_sizes_name_the_column_that_tells(fitted):
    inputs, _ = drawn(1)
    sizes = shap_sizes(fitted["xgboost"].native, inputs)
    assert sizes.shape == (WIDTH,)
    assert sizes.argmax() == TELLING
    assert sizes[1] == 0, "nobody has column 1"
