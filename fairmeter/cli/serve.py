"""Starts the service: settings -> a model that scores, the desk where it is on, the app with its commands.

In:  Settings.
Out: the Flask app of `gunicorn predict:app`. What cannot start stops the process with one sentence.
"""

import sys
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from pydantic import ValidationError

from fairmeter.cli import desk as desk_commands
from fairmeter.cli.settings import Settings, describe_invalid, secret_value
from fairmeter.core import paths
from fairmeter.features.invoices.matrix import FEATURE_NAMES
from fairmeter.models import model_file
from fairmeter.models.model_file import ModelError
from fairmeter.scoring import examples
from fairmeter.scoring.client_tables import read_client_tables
from fairmeter.scoring.predictor import Predictor
from fairmeter.web.app import create_app
from fairmeter.web.http import forwarding, observability
from fairmeter.web.http.auth import EVERYBODY, NO_ONE, THIS_MACHINE
from fairmeter.web.http.openapi_app import Api

if TYPE_CHECKING:
    from fairmeter.web.desk import DeskExtension
    from fairmeter.web.http.single_sign_on import Provider

CANNOT_START = 4  # gunicorn stops at this exit code of a worker; after any other it would start the next one, for ever
OPEN_TO = {"0": NO_ONE, "1": THIS_MACHINE, "anywhere": EVERYBODY}


def settings_or_exit() -> Settings:
    """The settings of the environment."""
    try:
        return Settings.from_environment()
    except ValidationError as error:
        stop(describe_invalid(error))


def build_app(settings: Settings) -> Api:
    """The service by these settings."""
    observability.log_as_json(settings.log_level)
    predictor = predictor_or_exit(settings)
    desk = desk_or_exit(settings, predictor)
    if settings.open != "0":
        observability.log.warning(
            "OPEN is set: the desk asks for no key and no password", extra={"fields": {"to": OPEN_TO[settings.open]}}
        )
    app = create_app(predictor, settings.limits, secret_value(settings.api_key), desk)
    forwarding.warn_of_unexpected(app, settings.proxies)
    load_demo = partial(_load_demo, desk, predictor, settings)
    broker = secret_value(settings.mqtt_url)
    services = desk_commands.ExternalServices(
        settings.channels,
        broker,
        load_demo,
        settings.model_file,
        settings.mqtt_client_id,
        settings.language if "language" in settings.model_fields_set else "",
        settings.time_zone,
    )
    desk_commands.register(app, desk and desk.service, services)
    if settings.proxies:
        from werkzeug.middleware.proxy_fix import ProxyFix

        app.wsgi_app = ProxyFix(app.wsgi_app, *[settings.proxies] * 3)
    return app


def predictor_or_exit(settings: Settings) -> Predictor:
    """The model, after it scored an example of each form: its graphs load now, not while a first client waits."""
    path = settings.model_path
    try:
        path = settings.model_file
        model = model_file.load(path, settings.key)
        model_file.check_features(model, FEATURE_NAMES, path)
        predictor = Predictor(model, settings.billable_months)
        _score_examples(predictor)
    except ModelError as error:
        stop(str(error))
    except Exception as error:  # whatever a graph or a field may be wrong in
        stop(f"{path} cannot score the built-in example ({type(error).__name__}: {error}). Train the model again.")
    return predictor


def _score_examples(predictor: Predictor) -> None:
    clients = [examples.RAW["client"], examples.READ["client"]]
    tables = read_client_tables(clients, [examples.RAW["invoices"], []], [[], examples.READ["readings"]])
    predictor.score(tables, with_reasons=True)
    predictor.score_aggregates([examples.FLAT], [""], with_reasons=True)


def desk_or_exit(settings: Settings, predictor: Predictor) -> "DeskExtension | None":
    """The desk over its database, where one is set or OPEN is; without it none of its modules is loaded."""
    if settings.database_url is None and settings.open == "0":
        return None
    from fairmeter.cli.imports import Launcher, import_files
    from fairmeter.desk import runs  # brings SQLAlchemy
    from fairmeter.desk.imports import Imports
    from fairmeter.store import StoreUnavailable
    from fairmeter.web.desk import DeskExtension
    from fairmeter.web.pages.site import PageSettings

    try:
        audit_key = secret_value(settings.audit_key)
        service = runs.open_desk(
            secret_value(settings.database_url) or runs.DATABASE, settings.alert_rules, predictor, settings.photos,
            audit_key=audit_key.encode() if audit_key else None, four_eyes=settings.four_eyes == "1",
        )  # fmt: skip
        service.imports = Imports(service.store, import_files(settings, service.store), Launcher())
        opening = runs.DeskOpening(service.store)
        with suppress(StoreUnavailable):  # the service scores without its database
            opening.check()
    except runs.OPEN_ERRORS as error:
        stop(str(error))
    pages = PageSettings(
        time_zone=settings.time_zone,
        currency=settings.currency,
        language=settings.language,
        billable_months=settings.billable_months,
        tiles=settings.map_tiles,
        outlines=settings.map_outlines,
        credit=settings.map_credit,
        reports=(settings.report_path, paths.DELIVERED_METRICS),
        provider=provider_of(settings),
        rules_path=settings.alert_rules,
        from_environment=frozenset(settings.model_fields_set),
    )
    secret = secret_value(settings.secret_key)
    return DeskExtension(service, secret, OPEN_TO[settings.open], pages, opening)


def provider_of(settings: Settings) -> "Provider | None":
    """The OpenID provider at which users sign in; None where none is set."""
    from fairmeter.web.http.single_sign_on import Provider

    if not settings.oidc_issuer:
        return None
    secret = secret_value(settings.oidc_client_secret) or ""
    return Provider(settings.oidc_issuer, settings.oidc_client_id, secret, settings.oidc_roles, settings.oidc_claim)


def _load_demo(desk: "DeskExtension", predictor: Predictor, settings: Settings) -> int:
    from fairmeter.desk import demo_data

    monitor = predictor.drift_monitor()
    hooks = demo_data.DriftHooks(lambda tables: monitor.add(predictor.context(tables)), monitor.drift)
    return demo_data.load_demo(desk.service, predictor, Path(paths.SAMPLE), settings.time_zone, hooks)


def stop(sentence: str) -> NoReturn:
    """End the process with this sentence, so that gunicorn does not start another worker."""
    print(sentence, file=sys.stderr, flush=True)
    raise SystemExit(CANNOT_START)
