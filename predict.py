"""The service: `gunicorn --bind 0.0.0.0:9696 predict:app`. JSON -> tables -> features -> score -> JSON.

In:  settings from the environment (Settings, below) and model.bin.
Out: `app`. A bad setting or an unreadable model stops the start with one sentence.
"""

import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
from pydantic import BaseModel, Field, SecretStr, ValidationError, field_validator

from fairmeter.cli import desk as commands
from fairmeter.core.types import QualityFlag, Score, StoredInvoiceScore, Table
from fairmeter.data.daily import DailyConsumption
from fairmeter.data.json_records import FieldError, tables_from_records
from fairmeter.data.parsing import NAT, number_of
from fairmeter.data.readings import readings_from_records
from fairmeter.data.tables import CLIENT_FIELDS
from fairmeter.explanation.explain import ScoringContext, explained, explained_aggregates
from fairmeter.features.invoices.matrix import FEATURE_NAMES, client_features
from fairmeter.features.readings.covariates import TransformerLosses
from fairmeter.models import model_file
from fairmeter.models.fraud_model import FraudModel
from fairmeter.models.model_file import ModelError
from fairmeter.planning.inspection_list import recoveries_of, with_worth
from fairmeter.planning.recovery import BILLABLE_MONTHS
from fairmeter.scoring import examples
from fairmeter.scoring.payloads import RequestLimits
from fairmeter.scoring.problems import InvalidRow
from fairmeter.web.app import Api, create_app
from fairmeter.web.http import observability
from fairmeter.web.http.auth import EVERYBODY, NO_ONE, THIS_MACHINE
from fairmeter.web.pages import basemap

if TYPE_CHECKING:
    from fairmeter.scoring.population_drift import DriftMonitor
    from fairmeter.web.desk import DeskExtension
    from fairmeter.web.pages.site import PageSettings

CANNOT_START = 4  # gunicorn stops at this exit code of a worker; after any other it would start the next one, for ever

HOME = Path(__file__).parent
SECRETS = {"model_key", "api_key", "database_url", "secret_key", "notify_urls", "mqtt_url"}
LARGEST = float(np.finfo(np.float32).max)  # features are float32
COLUMNS = {given: (field.name, field.convert) for field in CLIENT_FIELDS for given in field[:2]}
DEMO_DATABASE = "sqlite:///fairmeter.db"  # beside this file, where OPEN is set and DATABASE_URL is not
OPEN_TO = {"0": NO_ONE, "1": THIS_MACHINE, "anywhere": EVERYBODY}
TablesOfRecords = tuple[Table, Table, Table, list[tuple[QualityFlag, ...]]]  # clients, invoices, readings, flags


class Settings(BaseModel):
    """Each from the environment variable of its name; an empty one counts as unset."""

    model_path: Path = Path("model.bin")
    model_key: SecretStr | None = None  # with it, a model that was not signed with the same key is refused
    max_body_bytes: int = Field(32 * 2**20, gt=0)  # 3,000 clients with 35 invoices; parsed they take 0.2 GB
    max_clients: int = Field(10_000, gt=0)  # of one batch: ten seconds on one core
    max_invoices: int = Field(5_000, gt=0)  # of one client: forty years of ten a month
    max_readings: int = Field(20_000, gt=0)  # of one client: two years of hours
    billable_months: int = Field(BILLABLE_MONTHS, ge=1, le=120)  # before a visit, that may be billed back

    api_key: SecretStr | None = None  # with it, scoring asks for it
    database_url: SecretStr | None = None  # with it the desk is on; sqlite:///FILE or postgresql://USER@HOST/NAME
    open: Literal["0", "1", "anywhere"] = "0"  # the desk without a key: for this machine, or for whoever reaches it
    secret_key: SecretStr | None = Field(None, min_length=16)  # signs the sessions; else one is kept in the database
    proxies: int = Field(0, ge=0, le=5)  # before the service, whose X-Forwarded headers are believed
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    alert_rules: Path = HOME / "data" / "alerts.toml"
    notify_urls: dict[str, list[SecretStr]] = {}  # channel=ADDRESS, with blanks between; Apprise's addresses
    mqtt_url: SecretStr | None = None  # the broker that `listen` asks for readings
    time_zone: ZoneInfo = ZoneInfo("UTC")  # of the utility: what its clocks show, as Africa/Tunis
    currency: str = Field("", max_length=8)  # of its prices, as TND
    photos: Path | None = None  # folder of photos of visits; else photos/ beside a database that is a file
    map_tiles: str = ""  # under the map: https://HOST/{z}/{x}/{y}.png of a map server, whom browsers then ask
    map_outlines: Any = ()  # under the map: a GeoJSON file
    map_credit: str = Field("", max_length=200)  # to whom these are owed
    report_path: Path = Path("report/metrics.json")  # what the model page draws; else the validation delivered here

    @classmethod
    def of_environment(cls) -> "Settings":
        """Raises ValidationError."""
        given = {name: os.environ.get(name.upper()) for name in cls.model_fields}
        return cls.model_validate({name: value for name, value in given.items() if value})

    @field_validator("time_zone", mode="before")
    @classmethod
    def zone_of(cls, name: str) -> ZoneInfo:
        try:
            return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("must be the name of a time zone, such as Africa/Tunis") from None

    @field_validator("map_tiles")
    @classmethod
    def tiles_at(cls, address: str) -> str:
        return basemap.tile_address(address)

    @field_validator("map_outlines", mode="plain")
    @classmethod
    def outlines_in(cls, path: str) -> tuple[basemap.Line, ...]:
        return basemap.read_outlines(Path(path))

    @field_validator("notify_urls", mode="before")
    @classmethod
    def channels_of(cls, text: str) -> dict[str, list[str]]:
        channels: dict[str, list[str]] = {}
        for part in text.split():
            channel, _, address = part.partition("=")
            if "://" not in address or not channel.isidentifier():
                raise ValueError("must be channel=ADDRESS, with blanks between, such as desk=mailto://host")
            channels.setdefault(channel, []).append(address)
        return channels

    def channels(self) -> dict[str, list[str]]:
        return {name: [url.get_secret_value() for url in urls] for name, urls in self.notify_urls.items()}

    def pages(self, kind: type["PageSettings"]) -> "PageSettings":
        reports = (self.report_path, HOME / "data" / "validation" / "metrics.json")
        under = {"tiles": self.map_tiles, "outlines": self.map_outlines, "credit": self.map_credit}
        return kind(time_zone=self.time_zone, currency=self.currency, reports=reports, **under)

    def limits(self) -> RequestLimits:
        return RequestLimits(self.max_body_bytes, self.max_clients, self.max_invoices, self.max_readings)

    def key(self) -> bytes | None:
        return self.model_key and self.model_key.get_secret_value().encode()


def revealed(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()


class Predictor:
    """A FraudModel behind the two forms of a client (fairmeter/scoring/batches.py, Scorer)."""

    def __init__(self, model: FraudModel, billable_months: int = BILLABLE_MONTHS) -> None:
        self._model, self.manifest, self._billable_months = model, model.manifest, billable_months
        self._feature_names = frozenset(model.manifest["features"])
        known = () if model.aggregates is None else model.aggregates.inputs.columns
        self.aggregates = tuple(model.manifest["features"][column] for column in known)  # as /v2 names its tensors

    def tables(self, clients: list[dict], invoices: list[list[dict]], readings: list[list[dict]]) -> TablesOfRecords:
        try:
            client_table, invoice_table, quality = tables_from_records(clients, invoices)
            reading_table, of_readings = readings_from_records(readings)
        except FieldError as error:
            raise InvalidRow(error.index, error.path, error.message) from None
        return client_table, invoice_table, reading_table, [a + b for a, b in zip(quality, of_readings, strict=True)]

    def judge(
        self,
        tables: TablesOfRecords,
        with_reasons: bool = False,
        earlier: Sequence[StoredInvoiceScore | None] | None = None,
        losses: TransformerLosses | None = None,
    ) -> list[Score]:
        known, quality = self.known(tables, earlier, losses), tables[-1]
        scores = self._model.judge(
            known.invoice_features, known.clients["client_id"], quality, known.reading_features, earlier
        )
        scores = explained(self._model, scores, known) if with_reasons else scores
        of_evidence = known.clients, known.invoices, known.daily_consumption, known.reading_features
        return with_worth(scores, recoveries_of(self._model, *of_evidence, self._billable_months))

    def known(
        self,
        tables: TablesOfRecords,
        earlier: Sequence[StoredInvoiceScore | None] | None = None,
        losses: TransformerLosses | None = None,
    ) -> ScoringContext:
        """The tables with the evidence made of them."""
        clients, invoices, readings, quality = tables
        billed = client_features(clients, invoices, self._model.cells)
        days = DailyConsumption.of(readings, len(quality)) if len(readings["client"]) else None
        metered = None if days is None else self._model.evidence_of_days(days, losses)
        return ScoringContext(clients, invoices, billed, days, metered, earlier)

    def watch(self) -> "DriftMonitor":
        """Counts how far clients are from those that the model learnt from."""
        from fairmeter.scoring.population_drift import (
            DriftMonitor,  # what the demonstration tells; scoring needs none of it
        )

        return DriftMonitor(self._model)

    def timeline(self, days: DailyConsumption) -> dict[str, np.ndarray]:
        """How unusual each day was, by detector. [float64, (rows,), from 1 on unusual]"""
        from fairmeter.models.detectors.anomaly_timeline import (
            timeline,  # what a page shows of one client; scoring needs none of it
        )

        readings = self._model.readings
        return timeline(days, *((readings.surroundings, readings.networks) if readings else ()))

    def judge_aggregates(self, features: list[dict], client_ids: list[str], with_reasons: bool = False) -> list[Score]:
        rows = [numbers_of(row, i, self._feature_names) for i, row in enumerate(features)]
        scores = self._model.judge_aggregates(rows, client_ids)
        scores = explained_aggregates(self._model, scores, rows) if with_reasons else scores
        return with_worth(scores, [None] * len(scores))


def numbers_of(row: dict, index: int, known: frozenset[str]) -> dict:
    """A flat client's features under their names, as numbers or None; the model flags what is not `known`.

    Raises InvalidRow. [index: of the row]
    """
    numbers = {}
    for given, value in row.items():
        name, convert = COLUMNS.get(given, (given, number_of))
        if name in numbers:
            raise InvalidRow(index, given, f"given as {name} too; keep one")
        try:
            numbers[name] = number_or_none(convert(value)) if name in known else value
        except ValueError as error:
            raise InvalidRow(index, given, str(error)) from None
    return numbers


def number_or_none(number: float) -> float | None:
    if np.isnan(number) or number == NAT:
        return None
    if abs(number) > LARGEST:
        raise ValueError("too large a number")
    return number


# --- the start --------------------------------------------------------------------------------------------------------


def settings_or_exit() -> Settings:
    try:
        return Settings.of_environment()
    except ValidationError as error:
        bad = error.errors(include_url=False)[0]
        name = str(bad["loc"][0])
        shown = "set" if name in SECRETS else repr(bad["input"])
        wrong = bad["msg"].removeprefix("Value error, ")  # as pydantic puts it before what our own checks say
        stop(f"{name.upper()} is {shown}: {wrong[:1].lower()}{wrong[1:]}. Correct or unset it.")


def scorer_or_exit(path: Path, key: bytes | None, billable_months: int = BILLABLE_MONTHS) -> Predictor:
    """The model, after it judged an example of each form: its graphs load now, not while a first client waits."""
    try:
        model = model_file.load(path, key)
        model_file.check_features(model, FEATURE_NAMES, path)
        scorer = Predictor(model, billable_months)
        clients = [examples.RAW["client"], examples.READ["client"]]
        tables = scorer.tables(clients, [examples.RAW["invoices"], []], [[], examples.READ["readings"]])
        scorer.judge(tables, with_reasons=True)
        scorer.judge_aggregates([examples.FLAT], [""], with_reasons=True)
    except ModelError as error:
        stop(str(error))
    except Exception as error:  # whatever a graph or a field may be wrong in
        stop(f"{path} does not judge the example ({type(error).__name__}: {error}): train again.")
    return scorer


def desk_or_exit(settings: Settings, scorer: Predictor) -> "DeskExtension | None":
    """The desk over its database, where one is set or OPEN is; without it nothing of it is even loaded."""
    if settings.database_url is None and settings.open == "0":
        return None
    from fairmeter.desk import runs as desk  # brings SQLAlchemy

    url = revealed(settings.database_url) or DEMO_DATABASE
    asked = desk.DeskSettings(url, settings.alert_rules, revealed(settings.secret_key), OPEN_TO[settings.open])
    asked = asked._replace(pages=settings.pages(desk.PageSettings), photos=settings.photos)
    try:
        return desk.open_desk(asked, scorer)
    except desk.CANNOT_OPEN as error:
        stop(str(error))


def served(settings: Settings) -> Api:
    observability.log_as_json(settings.log_level)
    scorer = scorer_or_exit(settings.model_path, settings.key(), settings.billable_months)
    desk = desk_or_exit(settings, scorer)
    if settings.open != "0":
        observability.log.warning(
            "OPEN is set: the desk asks for no key and no password", extra={"said": {"to": OPEN_TO[settings.open]}}
        )
    app = create_app(scorer, settings.limits(), revealed(settings.api_key), desk)
    load_demo = partial(demo_loaded, desk, scorer, settings.time_zone)
    outside = commands.ExternalServices(settings.channels(), revealed(settings.mqtt_url), load_demo)
    commands.install(app, desk and desk.keeping, outside)
    if settings.proxies:
        from werkzeug.middleware.proxy_fix import ProxyFix

        app.wsgi_app = ProxyFix(app.wsgi_app, *[settings.proxies] * 3)
    return app


def demo_loaded(service: "DeskExtension", scorer: Predictor, zone: ZoneInfo) -> int:
    from fairmeter.desk import demo_data

    watch = scorer.watch()
    drifting = demo_data.DriftHooks(lambda tables: watch.add(scorer.known(tables)), watch.drift)
    path = HOME / "data" / "sample.zip"
    return demo_data.load_demo(service.keeping, scorer, path, zone, drifting)


def stop(sentence: str) -> NoReturn:
    print(sentence, file=sys.stderr, flush=True)
    raise SystemExit(CANNOT_START)


settings = settings_or_exit()
app = served(settings)
