"""Commands of the desk's operator: `flask --app predict COMMAND`.

In:  names and roles; passwords, typed twice or one line on stdin (an argument would be visible to other users).
Out: users and keys, migrated tables, a verified audit chain, an erased client, sent notifications, readings by MQTT.
Exit codes: 0 done, 1 not possible or not intact (one sentence on stderr).
"""

import os
import signal
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from time import sleep
from typing import TYPE_CHECKING, NamedTuple
from zoneinfo import ZoneInfo

import click
from flask import Flask

from fairmeter.casework.audit_chain import PURGE_KINDS
from fairmeter.web.http.auth import ROLES, VIEWER
from fairmeter.wording.locales import ENGLISH, locale_of

if TYPE_CHECKING:
    from fairmeter.desk.service import DeskService

NO_DESK = "There is no desk: set DATABASE_URL, such as sqlite:///fairmeter.db, or OPEN=1."
MAX_LINE = 1000
BY_COMMAND = "command line"  # who did it, in the audit chain
WHAT_SEALS_PROVE = {
    "valid": "Its end is sealed by AUDIT_KEY: nobody without this key rebuilt or shortened it.",
    "none": "AUDIT_KEY is not set. Whoever can write to the database could have rebuilt the whole chain or taken its "
    "last entries away: this cannot be proved. Set AUDIT_KEY, or note the last entry and compare later by --holds.",
    "no key": "It is sealed, and AUDIT_KEY is not set here: whether it was rebuilt cannot be proved. Set AUDIT_KEY.",
}


class ExternalServices(NamedTuple):
    """Addresses of notifications, the broker of readings, and the loader of the demo.

    channels: addresses by channel; broker: MQTT_URL; load_demo: fills an empty store, returns the number of clients;
    model: the file that is served; client_id: of the listener at the broker; language: of notices; zone: of the
    utility.
    """

    channels: Mapping[str, Sequence[str]]
    broker: str | None
    load_demo: Callable[[], int]
    model: Path | None = None
    client_id: str | None = None
    language: str = ENGLISH
    zone: ZoneInfo = ZoneInfo("UTC")


def register(app: Flask, service: "DeskService | None", services: ExternalServices) -> None:
    """Add the commands; without a desk each one explains how to set it up."""
    for command, run in COMMANDS.items():
        app.cli.add_command(_command(command, run, service, services))


def _command(name: str, run: Callable, service: "DeskService | None", services: ExternalServices) -> click.Command:
    def called(**options) -> None:
        if service is None:
            raise click.ClickException(NO_DESK)
        run(service, services, **options)

    return click.Command(name, callback=called, params=PARAMETERS.get(name, []), help=run.__doc__)


# --- users and keys ---------------------------------------------------------------------------------------------------


def add_user(service: "DeskService", _services: ExternalServices, name: str, role: str) -> None:
    """Add a user with a password."""
    from fairmeter.web.http.sessions import hash_of_password

    _or_exit(lambda: service.store.add_user(name, hash_of_password(_password()), role))
    click.echo(f"{name} may sign in as {role}.")


def change_user(
    service: "DeskService",
    _services: ExternalServices,
    name: str,
    role: str | None,
    password: bool,
    active: bool | None,
    without_second_factor: bool = False,
):
    """Change a user's role, password or access, or remove its second factor; the user's open sessions end."""
    from fairmeter.web.http.sessions import hash_of_password

    changes = {"role": role, "is_active": active}
    if password:
        changes["password_hash"] = _or_exit(lambda: hash_of_password(_password()))
    user = _or_exit(lambda: service.store.change_user(name, **changes))
    if without_second_factor:
        _or_exit(lambda: service.store.set_totp(name, None))
    click.echo(f"{user.name} is {user.role}{'' if user.is_active else ', and may not sign in'}.")


def users(service: "DeskService", _services: ExternalServices) -> None:
    """List users and keys."""
    for user in _or_exit(service.store.list_users):
        click.echo(f"user  {user.role:12}  {'active' if user.is_active else 'out':6}  {user.name}")
    for key in _or_exit(service.store.list_keys):
        used = f"last used {_minute(key.last_used_at)}" if key.last_used_at else "never used"
        ends = f", until {_minute(key.expires_at)}" if key.expires_at else ""
        click.echo(f"key   {key.role:12}  {'active' if key.is_active else 'out':6}  {key.name}, {used}{ends}")


def _minute(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def add_key(
    service: "DeskService",
    _services: ExternalServices,
    name: str,
    role: str,
    days: int | None = None,
    per_minute: int | None = None,
) -> None:
    """Make a key for a script; it is shown once."""
    from fairmeter.web.http.sessions import new_key

    key, key_hash = new_key()
    expires_at = None if days is None else datetime.now(UTC) + timedelta(days=days)
    _or_exit(lambda: service.store.add_key(name, key_hash, role, expires_at=expires_at, per_minute=per_minute))
    click.echo("Send it as Authorization: Bearer KEY. It is shown this once:", err=True)
    click.echo(key)


def revoke_key(service: "DeskService", _services: ExternalServices, name: str) -> None:
    """Revoke a key."""
    _or_exit(lambda: service.store.revoke_key(name))
    click.echo(f"The key {name} opens nothing any more.")


def _password() -> str:
    if sys.stdin.isatty():
        return click.prompt("Password", hide_input=True, confirmation_prompt=True)
    return sys.stdin.readline(MAX_LINE).rstrip("\r\n")


# --- the store --------------------------------------------------------------------------------------------------------


def migrate(service: "DeskService", _services: ExternalServices) -> None:
    """Migrate the tables; the service does this when it starts, too."""
    _or_exit(service.store.migrate)
    click.echo("The tables are up to date.")


def demo(service: "DeskService", services: ExternalServices, feed: bool) -> None:
    """Fill an empty store with the simulated utility of data/sample.zip; with --feed, keep readings coming."""
    n = _or_exit(services.load_demo)
    click.echo(f"The demo's {n:,} clients are at the desk." if n else "The desk holds clients; nothing was changed.")
    if feed:
        from fairmeter.desk.demo_data import feed as send_readings

        parent = os.getppid()  # of `make run`: a process in the background is not stopped by Ctrl-C
        _or_exit(lambda: send_readings(service.store, services.zone, lambda: os.getppid() != parent, sleep))


def audit(
    service: "DeskService",
    _services: ExternalServices,
    holds: tuple[int, str] | None,
    head: bool,
    export: Path | None,
) -> None:
    """Verify that no move, inspection, photo, user or key was changed, removed or inserted past the desk."""
    broken = _or_exit(service.store.verify_chain)
    if broken is not None:
        raise click.ClickException(broken.text)
    if holds is not None and not _or_exit(lambda: service.store.has_audit_entry(*holds)):
        raise click.ClickException(
            f"Audit entry {holds[0]} is not the one that was noted: the chain was rebuilt or cut."
        )
    photo = _or_exit(lambda: service.photos.first_damaged(service.store.photo_names()))
    if photo is not None:
        raise click.ClickException(f"The photo {photo} is gone or was changed after its inspection was recorded.")
    end = _or_exit(service.store.audit_end)
    if export is not None:
        _or_exit(lambda: _write_lines(export, service.store.chain_lines()))
    if head:
        click.echo(f"{end.n_entries}:{end.hash}")
        return
    click.echo("Every move, inspection, photo, user and key is as it was written.")
    click.echo(f"The chain has {end.n_entries:,} entries; the last one is {end.n_entries}:{end.hash}")
    click.echo(WHAT_SEALS_PROVE[end.seal])


def _write_lines(path: Path, lines: Iterable[str]) -> None:
    """Write a new file that its owner alone reads. Raises OSError."""
    from fairmeter.desk.backups import OWNER_ONLY

    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY), "w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)


def _entry(_context: click.Context, _parameter: click.Parameter, text: str | None) -> tuple[int, str] | None:
    """Number and hash of an audit entry."""
    if text is None:
        return None
    number, _, digest = text.partition(":")
    if not number.isdecimal() or not digest:
        raise click.BadParameter(f"{text!r} is no entry; write NUMBER:HASH, as audit prints it.")
    return int(number), digest


def seal(service: "DeskService", _services: ExternalServices, why: str) -> None:
    """Seal the audit chain as it is: after AUDIT_KEY was set or changed, and you can vouch for what is there."""
    if service.store.audit_key is None:
        raise click.ClickException("AUDIT_KEY is not set: without it there is nothing to seal with.")
    end = _or_exit(lambda: service.store.seal_chain(BY_COMMAND, why))
    click.echo(f"{end.n_entries:,} audit entries are sealed.")


# --- copies, retention, privacy ---------------------------------------------------------------------------------------


def backup(service: "DeskService", services: ExternalServices, file: Path) -> None:
    """Write all rows, the photos and the model into one zip; the desk goes on meanwhile."""
    from fairmeter.desk.backups import write_backup

    done = _or_exit(lambda: write_backup(file, service.store, service.photos, services.model))
    model = "with the model" if done.has_model else "without a model"
    click.echo(f"{file}: {done.n_rows:,} rows, {done.n_photos:,} photos, {model}.")


def restore(service: "DeskService", _services: ExternalServices, file: Path, model: Path | None, why: str) -> None:
    """Put a backup into the empty database of DATABASE_URL, SQLite or PostgreSQL, and its photos into PHOTOS."""
    from fairmeter.desk.backups import restore_backup

    _or_exit(service.store.migrate)
    done = _or_exit(lambda: restore_backup(file, service.store, service.photos, model, BY_COMMAND, why))
    click.echo(f"{done.n_rows:,} rows and {done.n_photos:,} photos are restored; run audit to verify the chain.")
    if done.has_model and model is None:
        click.echo("The backup's model.bin was left out; --model FILE writes it.")


def forget(service: "DeskService", _services: ExternalServices, client_id: str, why: str) -> None:
    """Erase a client: all that names it, with its photos; its moves and inspections stay under a pseudonym."""
    erased = _or_exit(lambda: service.store.erase_client(client_id, BY_COMMAND, why))
    _or_exit(lambda: service.photos.delete(erased.photos))
    click.echo(f"Erased; its cases and inspections are those of {erased.pseudonym}.")


def export(service: "DeskService", _services: ExternalServices, client_id: str, file: Path, why: str) -> None:
    """Write all that is stored of a client, with its photos, into one zip."""
    from fairmeter.desk.backups import write_client

    rows = _or_exit(lambda: service.store.export_client(client_id, BY_COMMAND, why))
    _or_exit(lambda: write_client(file, rows, service.photos))
    click.echo(f"{file}: {sum(map(len, rows.values())):,} rows of {len(rows)} tables.")


def purge(service: "DeskService", _services: ExternalServices, why: str, **days: int | None) -> None:
    """Delete what is older than so many days; cases, inspections and the audit chain stay."""
    wanted = {name.replace("_", "-"): age for name, age in days.items() if age is not None}
    if not wanted:
        raise click.UsageError("Name what is purged, such as --readings 730 for readings older than two years.")
    purged = _or_exit(lambda: service.store.purge(wanted, BY_COMMAND, why))
    _or_exit(lambda: service.photos.delete(purged.photos))
    click.echo("Deleted: " + ", ".join(f"{n:,} {kind}" for kind, n in purged.counts.items()) + ".")


def notify(service: "DeskService", services: ExternalServices) -> None:
    """Judge clients that wait for it, then send the notifications that are due; run it every few minutes."""
    from fairmeter.desk.notify import send_due

    _or_exit(service.judge_waiting)
    locale = locale_of(language_of(service, services))
    sent = _or_exit(lambda: send_due(service.store, services.channels, locale=locale))
    click.echo(f"{sent.n_sent} notices sent, {sent.n_failed} to be tried again.")
    if sent.n_failed:
        raise click.exceptions.Exit(1)


def language_of(service: "DeskService", services: ExternalServices) -> str:
    """The language of notices: the environment's, else the one that was set at the desk."""
    from fairmeter.desk.fieldwork.desk_settings import desk_settings

    return services.language or _or_exit(lambda: desk_settings(service.store)).language or ENGLISH


def listen(service: "DeskService", services: ExternalServices) -> None:
    """Store the readings that meters publish to the broker of MQTT_URL, until stopped."""
    from fairmeter.desk import mqtt

    if services.broker is None:
        raise click.ClickException("MQTT_URL is not set; write mqtt://host:1883/topic.")
    done = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: done.set())
    click.echo("Listening; Ctrl-C stops it.", err=True)
    counts = _or_exit(
        lambda: mqtt.listen_alone(
            service.store,
            services.broker,
            lambda rows: service.take_readings(rows, mqtt.SENDER).stored,
            done.is_set,
            service.count_rejected,
            services.client_id or mqtt.CLIENT_ID,
            done.wait,
        )
    )
    click.echo(", ".join(f"{value} {name.removeprefix('n_')}" for name, value in counts.by_name().items()))


def _or_exit(work: Callable):
    """Call a function; its known errors end the command with one sentence."""
    from fairmeter.casework.workflow import CaseError
    from fairmeter.desk.mqtt import BadBroker
    from fairmeter.store import StoreError
    from fairmeter.web.http.sessions import BadPassword

    try:
        return work()
    except (StoreError, CaseError, BadPassword, BadBroker, OSError) as error:
        raise click.ClickException(str(error)) from None


COMMANDS = {
    "add-user": add_user,
    "change-user": change_user,
    "users": users,
    "add-key": add_key,
    "revoke-key": revoke_key,
    "migrate": migrate,
    "demo": demo,
    "audit": audit,
    "seal": seal,
    "backup": backup,
    "restore": restore,
    "forget": forget,
    "export": export,
    "purge": purge,
    "notify": notify,
    "listen": listen,
}
NAME = click.Argument(["name"])
WHY = click.Option(["--why"], required=True, help="for later readers of the audit chain")
PATH = click.Path(path_type=Path, dir_okay=False)
FILE = click.Argument(["file"], type=PATH)
ROLE = click.Option(["--role"], type=click.Choice(ROLES), default=VIEWER, show_default=True)
PARAMETERS = {
    "demo": [
        click.Option(["--feed"], is_flag=True, help="then send a reading every few seconds, until the caller ends")
    ],
    "add-user": [NAME, ROLE],
    "change-user": [
        NAME,
        click.Option(["--role"], type=click.Choice(ROLES)),
        click.Option(["--password"], is_flag=True, help="asks for a new one"),
        click.Option(["--active/--out", "active"], default=None, help="whether they may sign in"),
        click.Option(["--without-second-factor"], is_flag=True, help="as for a lost phone"),
    ],
    "add-key": [
        NAME,
        ROLE,
        click.Option(["--days"], type=click.IntRange(1, 36_500), help="after which it opens nothing; default: never"),
        click.Option(["--per-minute"], type=click.IntRange(1), help="requests that each worker answers it"),
    ],
    "revoke-key": [NAME],
    "audit": [
        click.Option(
            ["--holds"],
            callback=_entry,
            metavar="NUMBER:HASH",
            help="an entry that an earlier audit printed and that you noted elsewhere: is it still there?",
        ),
        click.Option(["--head"], is_flag=True, help="print the last entry alone, to be kept elsewhere"),
        click.Option(["--export"], type=PATH, help="write the verified chain as lines of JSON, for an auditor"),
    ],
    "seal": [WHY],
    "backup": [FILE],
    "restore": [FILE, click.Option(["--model"], type=PATH, help="where the backup's model.bin is written"), WHY],
    "forget": [click.Argument(["client_id"]), WHY],
    "export": [click.Argument(["client_id"]), FILE, WHY],
    "purge": [
        *(click.Option([f"--{kind}"], type=click.IntRange(1, 36_500), metavar="DAYS") for kind in PURGE_KINDS),
        WHY,
    ],
}
