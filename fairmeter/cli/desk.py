"""What an operator does from a shell: `flask --app predict COMMAND`.

In:  names, roles, passwords (typed twice, or one line on stdin: no argument, which others would see).
Out: users and keys; the tables brought up to date; the chain of moves checked; notices sent; meters listened to.
Exit codes: 0 done, 1 what was asked cannot be done or does not hold (one sentence on stderr).
"""

import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from threading import Event
from typing import TYPE_CHECKING, NamedTuple

import click
from flask import Flask

from fairmeter.web.http.auth import ROLES, VIEWER

if TYPE_CHECKING:
    from fairmeter.desk.service import DeskService

NO_DESK = "There is no desk: set DATABASE_URL, such as sqlite:///fairmeter.db, or OPEN=1."
LONGEST_LINE = 1000


class ExternalServices(NamedTuple):
    """Where notices go, meters publish, and the demo comes from.

    channels: addresses of each; broker: MQTT_URL; load_demo: fills an empty store, says with how many clients.
    """

    channels: Mapping[str, Sequence[str]]
    broker: str | None
    load_demo: Callable[[], int]


def register(app: Flask, service: "DeskService | None", outside: ExternalServices) -> None:
    """Adds the commands; without a desk each of them says how to get one."""
    for command, run in COMMANDS.items():
        app.cli.add_command(_command(command, run, service, outside))


def _command(name: str, run: Callable, service: "DeskService | None", outside: ExternalServices) -> click.Command:
    def called(**options) -> None:
        if service is None:
            raise click.ClickException(NO_DESK)
        run(service, outside, **options)

    return click.Command(name, callback=called, params=PARAMETERS.get(name, []), help=run.__doc__)


# --- users and keys ---------------------------------------------------------------------------------------------------


def add_user(service: "DeskService", _outside: ExternalServices, name: str, role: str) -> None:
    """Adds a user who signs in with a password."""
    from fairmeter.web.http.sessions import hash_of_password

    _told(lambda: service.store.add_user(name, hash_of_password(_password()), role))
    click.echo(f"{name} may sign in as {role}.")


def change_user(
    service: "DeskService", _outside: ExternalServices, name: str, role: str | None, password: bool, active: bool | None
):
    """Changes a user's role or password, or whether they may sign in. Sessions from before it end."""
    from fairmeter.web.http.sessions import hash_of_password

    changes = {"role": role, "is_active": active}
    if password:
        changes["password_hash"] = _told(lambda: hash_of_password(_password()))
    user = _told(lambda: service.store.change_user(name, **changes))
    click.echo(f"{user.name} is {user.role}{'' if user.is_active else ', and may not sign in'}.")


def users(service: "DeskService", _outside: ExternalServices) -> None:
    """Lists the users and the keys."""
    for user in _told(service.store.list_users):
        click.echo(f"user  {user.role:12}  {'active' if user.is_active else 'out':6}  {user.name}")
    for key in _told(service.store.list_keys):
        used = f"last used {key.last_used_at:%Y-%m-%d %H:%M} UTC" if key.last_used_at else "never used"
        click.echo(f"key   {key.role:12}  {'active' if key.is_active else 'out':6}  {key.name}, {used}")


def add_key(service: "DeskService", _outside: ExternalServices, name: str, role: str) -> None:
    """Makes a key for a script, and shows it this once."""
    from fairmeter.web.http.sessions import new_key

    key, key_hash = new_key()
    _told(lambda: service.store.add_key(name, key_hash, role))
    click.echo("Send it as Authorization: Bearer KEY. It is shown this once:", err=True)
    click.echo(key)


def revoke_key(service: "DeskService", _outside: ExternalServices, name: str) -> None:
    """Takes a key back."""
    _told(lambda: service.store.revoke_key(name))
    click.echo(f"The key {name} opens nothing any more.")


def _password() -> str:
    if sys.stdin.isatty():
        return click.prompt("Password", hide_input=True, confirmation_prompt=True)
    return sys.stdin.readline(LONGEST_LINE).rstrip("\r\n")


# --- the store --------------------------------------------------------------------------------------------------------


def migrate(service: "DeskService", _outside: ExternalServices) -> None:
    """Brings the tables up to date; the service does so too when it starts."""
    _told(service.store.migrate)
    click.echo("The tables are up to date.")


def demo(_service: "DeskService", outside: ExternalServices) -> None:
    """Fills an empty store with the simulated utility of data/sample.zip."""
    n = _told(outside.load_demo)
    click.echo(f"The demo's {n:,} clients are at the desk." if n else "The desk holds clients; nothing was changed.")


def audit(service: "DeskService", _outside: ExternalServices) -> None:
    """Checks the chain of moves: whether any was changed, left out or put in later."""
    broken = _told(service.store.verify_chain)
    if broken is not None:
        raise click.ClickException(broken.text)
    click.echo("Every move is as it was written.")


def notify(service: "DeskService", outside: ExternalServices) -> None:
    """Sends the notices that are due; run it every few minutes."""
    from fairmeter.desk.notify import send_due

    sent = _told(lambda: send_due(service.store, outside.channels))
    click.echo(f"{sent.n_sent} notices sent, {sent.n_failed} to be tried again.")
    if sent.n_failed:
        raise click.exceptions.Exit(1)


def listen(service: "DeskService", outside: ExternalServices) -> None:
    """Takes in the readings that meters publish to the broker of MQTT_URL, until it is stopped."""
    from fairmeter.desk import mqtt

    if outside.broker is None:
        raise click.ClickException("MQTT_URL is not set; write mqtt://host:1883/topic.")
    done = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: done.set())
    click.echo("Listening; Ctrl-C stops it.", err=True)
    counts = _told(
        lambda: mqtt.listen(outside.broker, service.take_readings, done.is_set, reject=service.count_rejected)
    )
    click.echo(", ".join(f"{value} {name.removeprefix('n_')}" for name, value in counts.by_name().items()))


def _told(work: Callable):
    """What the work gives; what it raises in words becomes one sentence."""
    from fairmeter.desk.mqtt import BadBroker
    from fairmeter.store import StoreError
    from fairmeter.web.http.sessions import BadPassword

    try:
        return work()
    except (StoreError, BadPassword, BadBroker, OSError) as error:
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
    "notify": notify,
    "listen": listen,
}
NAME = click.Argument(["name"])
ROLE = click.Option(["--role"], type=click.Choice(ROLES), default=VIEWER, show_default=True)
PARAMETERS = {
    "add-user": [NAME, ROLE],
    "change-user": [
        NAME,
        click.Option(["--role"], type=click.Choice(ROLES)),
        click.Option(["--password"], is_flag=True, help="asks for a new one"),
        click.Option(["--active/--out", "active"], default=None, help="whether they may sign in"),
    ],
    "add-key": [NAME, ROLE],
    "revoke-key": [NAME],
}
