"""Models of requests and answers, for the OpenAPI document.

Requests are not validated by these models: the tables check every value by the rules for files, and validation would
take four times as long as parsing. Tests compare the models with what the routes accept and answer.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema
from pydantic.json_schema import models_json_schema

from fairmeter.core.types import ANOMALY_PATTERNS
from fairmeter.scoring.examples import FILES, FLAT, NDJSON, RAW, READ

REFERENCE = "#/components/schemas/{model}"

Code = Annotated[float | str | None, Field(description="a code: a number, or a text, which keeps its name")]
Number = float | str | None
Day = Annotated[str | None, Field(examples=["2003-08-12", "12/08/2003"])]
Upload = Annotated[Any, WithJsonSchema({"type": "string", "format": "binary"})]


def _also(name: str, what: str = "", **options) -> Any:
    """A field that may have its Kaggle name instead."""
    return Field(None, description=f"{what}; Kaggle: {name}" if what else f"Kaggle: {name}", **options)


class Client(BaseModel):
    """A client as the utility has it. Other keys are ignored."""

    model_config = ConfigDict(extra="allow")
    client_id: int | str | None = Field(None, description="comes back in the answer")
    category: Code = _also("client_catg")
    region: Code = None
    district: Code = _also("disrict")
    created_on: Day = _also("creation_date", "2003-08-12 or, day first, 12/08/2003")
    latitude: Number = Field(None, description="degrees")
    longitude: Number = Field(None, description="degrees")
    tariff_price: Number = Field(None, description="money per kWh")
    transformer_id: int | str | None = None


class Invoice(BaseModel):
    """One billing row. Only its date is required; other keys are ignored."""

    model_config = ConfigDict(extra="allow")
    invoice_on: str = Field(description="2014-03-24 or, day first, 24/03/2014; Kaggle: invoice_date")
    energy: str | int | None = _also("counter_type", "ELEC or GAZ")
    tariff: Code = _also("tarif_type")
    meter_id: Code = _also("counter_number")
    meter_status: Code = _also("counter_statue", "a number or a text; counter_statue: 0 to 5")
    meter_code: Code = _also("counter_code")
    remark: Code = _also("reading_remarque", "of the reader, a number or a text; reading_remarque: 6 to 9")
    coefficient: Number = _also("counter_coefficient", "units billed per unit of the index")
    consumption_level_1: Number = _also("consommation_level_1", "kWh, or m³ of gas")
    consumption_level_2: Number = _also("consommation_level_2", "kWh, or m³ of gas")
    consumption_level_3: Number = _also("consommation_level_3", "kWh, or m³ of gas")
    consumption_level_4: Number = _also("consommation_level_4", "kWh, or m³ of gas")
    old_index: Number = Field(None, description="what the meter showed before")
    new_index: Number = Field(None, description="what the meter showed now")
    months: Number = _also("months_number", "months that the invoice covers")
    consumption: Number = Field(None, description="kWh, or m³ of gas: the whole, where there are no price levels")
    quality: str | None = Field(None, description="actual, estimated or missing; left out: actual")


class Reading(BaseModel):
    """What a smart meter counted in one day or a part of it. Other keys are ignored."""

    model_config = ConfigDict(extra="allow")
    read_at: str = Field(
        description="start of the interval, as the clock there shows: 2014-03-24, 2014-03-24T13:00 or, day first, "
        "24/03/2014 13:00; an offset from UTC is left out"
    )
    consumption_kwh: Number = Field(description="kWh; null where nothing was read")
    minutes: Number = Field(None, description="length of the interval; left out: as the neighbours show")
    export_kwh: Number = Field(None, description="kWh fed into the grid, beside what was used")
    quality: str | None = Field(None, description="actual, estimated or missing; left out: actual")


class RawBody(BaseModel):
    """A client with its invoices, its readings, or both."""

    model_config = ConfigDict(extra="allow")
    client: Client | None = None
    invoices: list[Invoice] | None = None
    readings: list[Reading] | None = Field(None, description="daily or hourly, in any order; gaps are allowed")


class FlatBody(BaseModel):
    """A client's features, aggregated before; any may be missing, unknown ones are flagged. GET /model names them."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"additionalProperties": True})
    client_id: int | str | None = None
    client_catg: Code = None
    region: Code = None
    district: Code = None
    age_months: Number = None


class ReasonResponse(BaseModel):
    """One evidence group's part in a score."""

    group: str = Field(description="one of eight evidence groups", examples=["fall in consumption"])
    effect: float = Field(
        description="in probability, above 0 raises the score; all effects sum to probability less "
        "typical_probability, but for those below 0.0005, which are left out; without labels only sign and order count"
    )
    text: str = Field(description="the client's own figures, and what is usual for clients like it")


class Harmless(BaseModel):
    """A cause without fraud that was checked by rules."""

    cause: str = Field(examples=["vacant home"])
    verdict: str = Field(description="fits, does not fit, or cannot tell")
    text: str = Field(description="what in the invoices or readings says so")


class AnomalyResponse(BaseModel):
    """An unusual pattern in consumption or invoices. It is no sign of theft by itself."""

    pattern: Literal[ANOMALY_PATTERNS]
    severity: Literal["critical", "high", "medium", "low"] = Field(
        description="by how few honest clients reach the strength: each severity is half as frequent as the one below"
    )
    since: str = Field(description="first day", examples=["2014-01-03"])
    until: str = Field(description="last day, that of the newest data where it goes on", examples=["2014-01-22"])
    strength: float = Field(description="times the limit from which it counts; at least 1")
    text: str = Field(description="what was measured, in a sentence")


class FlagResponse(BaseModel):
    """A named data problem."""

    flag: str
    text: str


class ModelName(BaseModel):
    """The model that scored."""

    version: str
    view: str
    trained_at: str


class Prediction(BaseModel):
    """The score of one client; nulls where the history is too short."""

    prediction: int | None = Field(description="1 when probability >= threshold: worth an inspection, nothing more")
    probability: float | None = Field(description="calibrated, 0 to 1; null where only ranks are claimed")
    percentile: float | None = Field(
        None,
        description="given where only ranks are claimed, in 100: training clients with a lower score, of a model "
        "without labels; clients of the run or batch with a lower score, where these are too far from those trained on",
    )
    rank: int | None = Field(
        None,
        description="given where only ranks are claimed: the place among the same clients, 1 the highest score; in a "
        "batch, of every model, the place among the rows",
    )
    severity: str = Field(description="critical, high, medium, low, or insufficient history")
    threshold: float = Field(description="of the probability; of ranks, of the percentile divided by 100")
    client_id: str | None
    reasons: list[ReasonResponse] = Field(description="the largest effect first; empty where none were asked for")
    harmless: list[Harmless] = Field(
        description="harmless causes with their verdicts; empty for aggregates, and where no reasons were asked for"
    )
    typical_probability: float | None = Field(
        description="of the typical client, whom the reasons compare with; null where no reasons were asked for"
    )
    quality: list[FlagResponse]
    onset_on: str | None = Field(
        description="of a suspected client: the most likely first day of the change in readings"
    )
    expected_recovery_kwh: float | None = Field(
        description="electricity that a visit is expected to bring back: probability times what the client, if it "
        "steals, used without registering it in the months that may be billed; null where that cannot be estimated"
    )
    expected_recovery_range_kwh: list[float] | None = Field(
        description="low and high, times probability: what was not registered lay between them in about three of "
        "four simulated thefts"
    )
    expected_recovery_text: str = Field(description="how it was estimated, or that it cannot be")
    anomalies: list[AnomalyResponse] = Field(
        description="unusual patterns of the last 90 days of readings or the last year of invoices, one of each kind, "
        "the most severe first; beside and apart from the probability: also of leaks, faults and new uses; empty for "
        "aggregates"
    )
    recommendation: str | None = Field(
        description="inspect now (suspected, high or critical), next round (suspected otherwise, or medium), watch, or "
        "not enough to say; one step later where a harmless cause fits, which is checked with the reasons, where the "
        "score rests on little, or the account has ended"
    )


class Answer(Prediction):
    """What the model says of one client, and which model it was."""

    model: ModelName


class Result(Prediction):
    """One row of a batch."""

    rank: int | None = Field(description="place among the rows of the batch; 1 is the highest score")
    row: int = Field(description="position in what was sent, from 0")


class BadField(BaseModel):
    """Where a value is wrong."""

    path: str = Field(examples=["invoices.3.new_index"], description="within its client; positions count from 0")
    message: str


class Error(BaseModel):
    """What is wrong with a request or a row."""

    code: str
    message: str
    fields: list[BadField]


class ErrorAnswer(BaseModel):
    """The answer wherever something is wrong."""

    error: Error


class RowError(BaseModel):
    """One bad row of a batch."""

    row: int = Field(description="position in what was sent, from 0")
    error: Error


class BatchAnswer(BaseModel):
    """Every row of a batch: results by rank, then those without a score; bad rows apart."""

    n_results: int
    n_errors: int
    results: list[Result]
    errors: list[RowError]
    quality: list[FlagResponse] = Field(description="of the upload as a whole")
    warning: str | None = Field(
        None, description="given where the clients are unlike those that the model was trained on, from 50 on"
    )
    model: ModelName


class Files(BaseModel):
    """CSV files, columns as in data/README.md, 'Input tables'. Clients with invoices, readings or both; or readings.

    With a map, which states the columns, files of any name and layout.
    """

    clients: Upload = None
    invoices: Upload = None
    readings: Upload = None
    map: Upload = None


class Alive(BaseModel):
    """The process answers."""

    status: str


class Ready(Alive):
    """The model is loaded and scores."""

    model: ModelName


class Manifest(ModelName):
    """What is known of the model: view, features, metrics, severities, threshold, libraries."""

    model_config = ConfigDict(extra="allow")
    threshold: float


class ProtocolError(BaseModel):
    """The answer of the Open Inference Protocol wherever something is wrong."""

    error: str


class ProtocolLive(BaseModel):
    """The process answers."""

    live: bool


class ProtocolReady(BaseModel):
    """The model scores. [name: of the model, where it was named]"""

    name: str | None = None
    ready: bool


class ProtocolServer(BaseModel):
    """What the server is."""

    name: str
    version: str
    extensions: list[str]


class ProtocolTensor(BaseModel):
    """A tensor's name, type and shape; -1 is any length."""

    name: str
    datatype: str
    shape: list[int]


class ProtocolModel(BaseModel):
    """The model's tensors."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[ProtocolTensor]
    outputs: list[ProtocolTensor]


class ProtocolOutput(ProtocolTensor):
    """A tensor with one element a client."""

    data: list[str | float | None]


class ProtocolAnswer(BaseModel):
    """The tensors that were asked for."""

    model_name: str
    model_version: str
    id: str | None = None
    outputs: list[ProtocolOutput]


SENT = (RawBody, FlatBody, Files)
ANSWERED = (Answer, BatchAnswer, ErrorAnswer, Alive, Ready, Manifest)


def reference(model: type[BaseModel]) -> dict:
    return {"$ref": REFERENCE.format(model=model.__name__)}


def components() -> dict[str, dict]:
    """The JSON schema of every model, by name."""
    models = [(model, "validation") for model in SENT] + [(model, "serialization") for model in ANSWERED]
    return models_json_schema(models, ref_template=REFERENCE)[1]["$defs"]


ONE_CLIENT = {"anyOf": [reference(RawBody), reference(FlatBody)]}
PREDICT_BODY = {
    "content": {
        "application/json": {
            "schema": ONE_CLIENT,
            "examples": {
                "raw": {"summary": "a client with its invoices", "value": RAW},
                "read": {"summary": "a client with its readings", "value": READ},
                "flat": {"summary": "features, aggregated before", "value": FLAT},
            },
        }
    }
}
BATCH_BODY = {
    "content": {
        "application/json": {
            "schema": {"type": "array", "items": ONE_CLIENT, "minItems": 1},
            "examples": {"list": {"summary": "all forms", "value": [RAW, READ, FLAT]}},
        },
        "application/x-ndjson": {
            "schema": {"type": "string", "description": "what /predict takes, one a line"},
            "examples": {"lines": {"summary": "all forms", "value": NDJSON}},
        },
        "text/csv": {
            "schema": {"type": "string", "description": "one table of invoices or readings; ?map= names a shipped map"},
            "examples": {"invoices": {"summary": "invoices", "value": FILES["invoices"]}},
        },
        "multipart/form-data": {
            "schema": reference(Files),
            "examples": {"files": {"summary": "three CSV files", "value": FILES}},
        },
    }
}
