"""Settings from the environment, checked before anything starts.

In:  environment variables named like the fields, in capitals; an empty one counts as unset.
Out: CommandSettings for train.py and score.py, Settings for the service; or pydantic's ValidationError.

`python -m fairmeter.cli.settings_page` prints docs/configuration.md from the fields below.
"""

import os
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, Field, PrivateAttr, SecretStr, ValidationError, ValidationInfo, field_validator

from fairmeter.core import paths
from fairmeter.models import remote_files
from fairmeter.planning.recovery import BILLABLE_MONTHS
from fairmeter.scoring.payloads import RequestLimits
from fairmeter.web.exports.tempdir import writable_folder
from fairmeter.web.pages import basemap
from fairmeter.wording.locales import locale_of


class CommandSettings(BaseModel):
    """What the commands on files read: the model, its key, the desk's database."""

    model_path: str = Field(
        "model.bin",
        description="The model that scores: a file, or an address that fsspec reads, such as "
        "`s3://BUCKET/model.bin`, from which it is fetched at the start and at a reload (category `remote`).",
    )
    model_key: SecretStr | None = Field(
        None, description="Signs model.bin when it is written; with it, an unsigned model is refused."
    )
    database_url: SecretStr | None = Field(
        None,
        description="The desk's database: `sqlite:///FILE` or `postgresql://USER@HOST/NAME`. It turns the desk on.",
    )

    _fetched: TemporaryDirectory | None = PrivateAttr(None)  # as long as these settings are there

    @classmethod
    def from_environment(cls) -> Self:
        """The settings of this process; an empty variable counts as unset. Raises ValidationError."""
        given = {name: os.environ.get(name.upper()) for name in cls.model_fields}
        return cls.model_validate({name: value for name, value in given.items() if value})

    @cached_property
    def model_file(self) -> Path:
        """The file of the model, fetched once where MODEL_PATH is an address. Raises ModelError."""
        if not remote_files.is_remote(self.model_path):
            return Path(self.model_path)
        self._fetched = TemporaryDirectory(prefix="fairmeter-model-", dir=writable_folder())
        return remote_files.fetch(self.model_path, Path(self._fetched.name))

    @property
    def key(self) -> bytes | None:
        """The key of the model's signature."""
        value = secret_value(self.model_key)
        return value.encode() if value else None


class Settings(CommandSettings):
    """What the service reads."""

    max_body_bytes: int = Field(
        32 * 2**20, gt=0, description="Bytes of a request's body: about 3,000 clients with 35 invoices each."
    )
    max_client_bytes: int = Field(
        2 * 2**20,
        gt=0,
        description="Bytes of one client's JSON, alone or in a batch: 5,000 invoices, or 20,000 readings.",
    )
    max_clients: int = Field(10_000, gt=0, description="Clients of one batch: about ten seconds on one core.")
    max_invoices: int = Field(5_000, gt=0, description="Invoices of one client: forty years of ten a month.")
    max_readings: int = Field(20_000, gt=0, description="Readings of one client: two years of hours.")
    billable_months: int = Field(
        BILLABLE_MONTHS, ge=1, le=120, description="Months before a visit that may be billed back."
    )
    api_key: SecretStr | None = Field(
        None,
        description="Scoring and /metrics ask for it, as `Authorization: Bearer` or `X-API-Key`; "
        "unset, anybody scores.",
    )
    open: Literal["0", "1", "anywhere"] = Field(
        "0",
        description="`1` opens the desk without a key to calls from this machine, and refuses to start on any other "
        "address; `anywhere` opens it to every caller. Without DATABASE_URL the desk is then in `fairmeter.db`.",
    )
    secret_key: SecretStr | None = Field(
        None, min_length=16, description="Signs the sessions' cookies; unset, a random one is kept in the database."
    )
    oidc_issuer: str = Field(
        "",
        pattern=r"^($|https://[^\s]+$|http://(127\.0\.0\.1|localhost)[:/])",
        description="An OpenID provider at which users sign in, such as `https://login.example.org/realms/utility`. "
        "It is asked during a sign-in alone; its redirect address is `/desk/single-sign-on/return`.",
    )
    oidc_client_id: str = Field("", description="The service's id at the provider.")
    oidc_client_secret: SecretStr | None = Field(None, description="Its secret at the provider.")
    oidc_claim: str = Field("groups", min_length=1, description="The claim that holds a user's groups.")
    oidc_roles: dict[str, Literal["viewer", "investigator", "admin"]] = Field(
        {},
        validate_default=True,
        description="Roles by group: `GROUP=ROLE`, with blanks between, such as `fraud-admins=admin *=viewer`; `*` is "
        "everybody whom the provider signs in. Without a role nobody gets in.",
    )
    four_eyes: Literal["0", "1"] = Field(
        "0", description="`1`: nobody closes a case alone; another user must have opened or assigned it."
    )
    audit_key: SecretStr | None = Field(
        None,
        min_length=16,
        description="Seals the audit chain, so that whoever can write to the database cannot rebuild it; keep it "
        "outside the database. Unset, `audit` says what it cannot prove.",
    )
    proxies: int = Field(
        0, ge=0, le=5, description="Proxies before the service, whose `X-Forwarded` headers are believed."
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="`WARNING` leaves out the line for each request."
    )
    alert_rules: Path = Field(paths.ALERT_RULES, description="The rules of alerts, a TOML file.")
    notify_urls: dict[str, list[SecretStr]] = Field(
        {}, description="Where notifications go: `channel=ADDRESS`, with blanks between; Apprise's addresses."
    )
    mqtt_url: SecretStr | None = Field(
        None, description="The broker and topic of meter readings, for `listen`: `mqtt://HOST:1883/TOPIC`."
    )
    mqtt_client_id: str = Field(
        "fairmeter-listen",
        min_length=1,
        max_length=64,
        description="The name of `listen` at the broker, which queues messages for it: each desk needs its own.",
    )
    time_zone: ZoneInfo = Field(
        ZoneInfo("UTC"), description="The utility's time zone, shown by the dashboard's clocks, such as `Africa/Tunis`."
    )
    language: str = Field(
        "en",
        description="The desk's language where neither the user nor the browser chose one: `en`, `fr` or `ar`, with a "
        "country for its digits and months if need be, such as `ar-EG`.",
    )
    currency: str = Field("", max_length=8, description="The currency of its prices, such as `TND`.")
    photos: Path | None = Field(
        None,
        description="Folder of the photos of visits; unset, `photos/` beside a database that is a file. With "
        "PostgreSQL none are taken until a folder is named that all workers share and that is backed up with the "
        "database.",
    )
    imports: Path | None = Field(
        None,
        description="Folder of files that are being imported; unset, `imports/` beside a database that is a file. With "
        "PostgreSQL none are taken until a folder is named that all workers share.",
    )
    import_from: Path | None = Field(
        None, description="Folder on the server whose files the Import page offers beside uploads; it is only read."
    )
    max_import_bytes: int = Field(2 * 2**30, gt=0, description="Bytes of the files of one import.")
    map_tiles: str = Field(
        "",
        description="Tiles under the map, `https://HOST/{z}/{x}/{y}.png` of a server that any page may use; browsers "
        "then ask that server.",
    )
    map_outlines: Any = Field((), description="A GeoJSON file of lines or areas under the map.")
    map_credit: str = Field("", max_length=200, description="The attribution that the map's source asks for.")
    report_path: Path = Field(
        Path("report/metrics.json"),
        description="What the model's page draws; unset and not there, the delivered validation, named by its version.",
    )

    @field_validator("time_zone", mode="before")
    @classmethod
    def _zone(cls, name: str) -> ZoneInfo:
        try:
            return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("must be the name of a time zone, such as Africa/Tunis") from None

    @field_validator("language")
    @classmethod
    def _language(cls, tag: str) -> str:
        return locale_of(tag).tag

    @field_validator("map_tiles")
    @classmethod
    def _tiles(cls, address: str) -> str:
        return basemap.parse_tile_address(address)

    @field_validator("map_outlines", mode="plain")
    @classmethod
    def _outlines(cls, path: str) -> tuple[basemap.Line, ...]:
        return basemap.read_outlines(Path(path))

    @field_validator("notify_urls", mode="before")
    @classmethod
    def _channels(cls, text: str) -> dict[str, list[str]]:
        channels: dict[str, list[str]] = {}
        for part in text.split():
            channel, _, address = part.partition("=")
            if "://" not in address or not channel.isidentifier():
                raise ValueError("must be channel=ADDRESS, with blanks between, such as desk=mailto://host")
            channels.setdefault(channel, []).append(address)
        return channels

    @field_validator("oidc_roles", mode="before")
    @classmethod
    def _roles(cls, text: str | dict[str, str]) -> dict[str, str]:
        if isinstance(text, dict):  # the default
            return text
        parts = [part.rpartition("=") for part in text.split()]
        if not all(group for group, _, _ in parts):
            raise ValueError("must be GROUP=ROLE, with blanks between, such as crews=investigator")
        return {group: role for group, _, role in parts}

    @field_validator("oidc_roles")
    @classmethod
    def _complete(cls, roles: dict[str, str], info: ValidationInfo) -> dict[str, str]:
        given = info.data
        if given.get("oidc_issuer") and not (roles and given.get("oidc_client_id") and given.get("oidc_client_secret")):
            raise ValueError("must name who gets in at OIDC_ISSUER, beside OIDC_CLIENT_ID and OIDC_CLIENT_SECRET")
        return roles

    @property
    def channels(self) -> dict[str, list[str]]:
        """Addresses of notifications by channel, in clear text."""
        return {name: [url.get_secret_value() for url in urls] for name, urls in self.notify_urls.items()}

    @property
    def limits(self) -> RequestLimits:
        """How much one request may hold."""
        n_rows = self.max_clients, self.max_invoices, self.max_readings
        return RequestLimits(self.max_body_bytes, *n_rows, self.max_client_bytes)


SECRETS = frozenset(
    name for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)
)  # whose values no message repeats


def secret_value(secret: SecretStr | None) -> str | None:
    """The clear text of a secret, None where it is not set."""
    return None if secret is None else secret.get_secret_value()


def describe_invalid(error: ValidationError) -> str:
    """One sentence: which setting is wrong, what was found, what to do."""
    bad = error.errors(include_url=False)[0]
    name = str(bad["loc"][0])
    found = "set" if name in SECRETS else repr(bad["input"])
    wrong = bad["msg"].removeprefix("Value error, ")  # pydantic's prefix to the messages of the validators above
    return f"{name.upper()} is {found}: {wrong[:1].lower()}{wrong[1:]}. Correct or unset it."
