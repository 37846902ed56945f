"""Names of codes stand in sentences and in the manifest, and change no score."""

from dataclasses import replace

import numpy as np

from fairmeter.core.code_names import NO_CODE_NAMES
from fairmeter.data.tables import parse_code
from fairmeter.models.fraud_model import FraudModel
from fairmeter.scoring.client_tables import read_client_tables
from fairmeter.scoring.population import ClientBase
from fairmeter.scoring.predictor import Predictor
from tests.builders.tables import a_client, an_invoice, read_back

TEXTS = {"category": "RESIDENCIAL", "region": "Feira de Santana"}
DAYS = [f"20{year}-{month:02}-20" for year in (12, 13, 14) for month in (2, 6, 10)]


def client_and_invoices():
    # Falling, with two tariffs, so that many sentences are made.
    rows = [an_invoice(invoice_on=day, consumption_level_1=900 - 90 * i, tariff="B1" if i < 5 else "B2")
            for i, day in enumerate(DAYS)]  # fmt: skip
    return a_client(**TEXTS), rows


def texts_of(score):
    return " ".join(reason.text for reason in score.reasons)


def test_names_change_no_score(small_model, tmp_path):
    client, rows = client_and_invoices()
    tables = read_back(tmp_path, [client], rows)
    with_names, without = (
        [score for chunk in ClientBase.from_tables(small_model, one).scored() for score in chunk]
        for one in (tables, replace(tables, code_names=NO_CODE_NAMES))
    )
    assert with_names == without
    model = FraudModel(
        small_model.invoices, small_model.aggregates, small_model.readings,
        small_model.manifest | {"code_names": tables.code_names.to_json()},
    )  # fmt: skip
    [score] = next(ClientBase.from_tables(model, tables).scored())
    assert score == with_names[0]
    assert model.code_names.by_column == tables.code_names.by_column


def test_sentences_name_codes_that_are_texts(small_model, tmp_path):
    client, rows = client_and_invoices()
    tables = read_back(tmp_path, [client], rows)
    base = ClientBase.from_tables(small_model, tables)
    [by_file] = base.with_reasons([score for chunk in base.scored() for score in chunk], np.array([0]))
    [by_json] = Predictor(small_model).score(read_client_tables([client], [rows], [[]]), with_reasons=True)
    for text in (texts_of(by_file), texts_of(by_json)):
        assert f"{parse_code('RESIDENCIAL'):.0f}" not in text
        assert "region Feira de Santana" in text or "tariffs B1 and B2" in text


def test_numbers_stay_numbers_in_sentences(small_model):
    client, rows = client_and_invoices()
    client |= {"category": 11, "region": "region_103"}
    rows = [row | {"tariff": 11} for row in rows]
    named, plain = (
        Predictor(small_model).score(read_client_tables([one], [rows], [[]]), with_reasons=True)
        for one in (client, client | {"region": 103})
    )
    assert named == plain
