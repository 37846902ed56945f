"""Notices become mail at a real server: each once, whoever dies on the way."""

import socket
import subprocess
import sys
import textwrap
from contextlib import closing
from datetime import timedelta
from email import message_from_bytes, policy

import pytest
from aiosmtpd.controller import Controller

from fairmeter.desk.notify import Delivery, by_apprise, message_of, send_due
from fairmeter.store.notifications import ClaimedNotice, Notification
from fairmeter.wording.locales import locale_of
from fairmeter.wording.phrases import Phrase, packed, sentence, unpacked
from tests.builders.store import NOW, ROOT, score_of, write

# Apprise imports imghdr, which Python 3.13 no longer has; there it brings one of its own.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")

LATER = NOW + timedelta(minutes=6)  # every lease taken NOW has ended


class Mailbox:
    """A mail server's handler that keeps what comes; `busy` refuses everything for now."""

    def __init__(self):
        self.mails, self.is_busy = [], False

    async def handle_DATA(self, _server, _session, envelope):  # noqa: N802  the library's name
        if self.is_busy:
            return "451 Come back later"
        self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
        return "250 Taken"

    def subjects(self) -> list[str]:
        return [mail["subject"] for mail in self.mails]


@pytest.fixture
def mailbox():
    box = Mailbox()
    controller = Controller(box, hostname="127.0.0.1", port=free_port())
    controller.start()
    box.address = f"mailto://127.0.0.1:{controller.port}?mode=insecure&from=desk@utility.org&to=crew@utility.org"
    yield box
    controller.stop()


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        return server.getsockname()[1]


@pytest.fixture
def desk(store):
    """A store with one alert that is told at once and one that is gathered."""
    write(store, score_of("a", severity="critical"), score_of("b", severity="medium"))
    return store


def test_an_alert_reaches_the_crews_mailbox_once(desk, mailbox):
    channels = {"desk": [mailbox.address]}
    assert send_due(desk, channels, now=NOW) == (1, 0)
    assert send_due(desk, channels, now=NOW) == (0, 0)
    (mail,) = mailbox.mails
    assert (mail["subject"], mail["to"]) == ("Critical alert 1: client a", "crew@utility.org")
    assert "Electricity fell 62 % after March 2026." in mail.get_body(("plain",)).get_content()


def test_what_is_gathered_comes_as_one_message(store, mailbox):
    write(store, *(score_of(f"c-{i}", severity="medium") for i in range(3)))
    assert send_due(store, {"desk": [mailbox.address]}, now=NOW + timedelta(days=1)) == (3, 0)
    (mail,) = mailbox.mails
    assert mail["subject"] == "Fairmeter: 3 alerts"
    assert all(f"client c-{i}" in mail.get_body(("plain",)).get_content() for i in range(3))


def test_a_server_that_is_busy_gets_the_message_later(desk, mailbox):
    channels, mailbox.is_busy = {"desk": [mailbox.address]}, True
    assert send_due(desk, channels, now=NOW) == (0, 1)
    mailbox.is_busy = False
    assert send_due(desk, channels, now=NOW + timedelta(seconds=30)) == (0, 0)
    assert send_due(desk, channels, now=NOW + timedelta(minutes=2)) == (1, 0)
    assert mailbox.subjects() == ["Critical alert 1: client a"]


def test_a_server_that_is_not_there_gets_what_waited_when_it_is_back(desk):
    port = free_port()
    channels = {"desk": [f"mailto://127.0.0.1:{port}?mode=insecure&from=desk@utility.org&to=crew@utility.org"]}
    assert send_due(desk, channels, now=NOW) == (0, 1)
    assert desk.count_notices() == {"waiting": 2, "sent": 0, "given up": 0}
    back = Controller(box := Mailbox(), hostname="127.0.0.1", port=port)
    back.start()
    try:
        assert send_due(desk, channels, now=NOW + timedelta(minutes=2)) == (1, 0)
    finally:
        back.stop()
    assert box.subjects() == ["Critical alert 1: client a"]


def test_one_address_that_fails_does_not_make_another_hear_twice(mailbox):
    nobody = f"mailto://user:secret@127.0.0.1:{free_port()}?mode=insecure&from=a@utility.org&to=b@utility.org"
    delivery = by_apprise([nobody, mailbox.address], "title", "body")
    assert delivery == Delivery(1, "Not accepted by mailto (number 1).")
    assert len(mailbox.mails) == 1


@pytest.mark.parametrize(
    ("addresses", "told"),
    [((), "NOTIFY_URLS"), (("rubbish://secret",), "Not accepted by rubbish"), (("secret",), "(number 1)")],
)
def test_an_address_that_cannot_be_used_is_told_of_without_its_secrets(addresses, told):
    delivery = by_apprise(addresses, "title", "body")
    assert (delivery.n_accepted, told in delivery.error) == (0, True)
    assert "rubbish://secret" not in delivery.error


def test_a_long_list_is_cut_and_counted():
    notices = tuple(Notification(i, "desk", "high", f"alert {i}", "- why") for i in range(60))
    title, body = message_of(ClaimedNotice("x", "desk", notices))
    assert title == "Fairmeter: 60 alerts"
    assert "alert 49\n" in body
    assert "alert 50" not in body
    assert body.endswith("... and 10 more: see the list of alerts.")


def test_a_notice_is_written_in_the_language_of_the_settings():
    """Its sentences are stored as code and values; those of an earlier version stay as they were."""
    title = unpacked(packed(Phrase("notice.critical", alert=3, client="c-1")))
    body = unpacked(packed(Phrase("notice.body", lines=[sentence(Phrase("account.gas.none")), "Old text."])))
    claim = ClaimedNotice("x", "desk", (Notification(1, "desk", "critical", title, body),))
    assert message_of(claim) == ("Critical alert 3: client c-1", "- No invoice is for gas.\n- Old text.")
    french = ("Alerte critique 3\u00a0: abonné c-1", "- Aucune facture n'est de gaz.\n- Old text.")
    assert message_of(claim, locale_of("fr")) == french
    old = ClaimedNotice("x", "desk", (Notification(1, "desk", "high", unpacked("High alert 1"), unpacked("- why")),))
    assert message_of(old, locale_of("fr")) == ("High alert 1", "- why")


# --- workers that die -------------------------------------------------------------------------------------------------

WORKER = """
    import os, sys
    from datetime import datetime
    from fairmeter.desk import notify
    from fairmeter.store import Store

    url, address, when, now = sys.argv[1:]

    def send(addresses, title, body):
        if when == "before sending":
            os._exit(9)
        delivery = notify.by_apprise(addresses, title, body)
        if when == "after sending":
            os._exit(9)
        return delivery

    print(notify.send_due(Store(url), {"desk": [address]}, send, datetime.fromisoformat(now)))
"""


def worker(url: str, address: str, when: str, now) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", textwrap.dedent(WORKER), url, address, when, now.isoformat()]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)


def test_a_worker_that_dies_before_sending_loses_nothing(desk, database_url, mailbox):
    assert worker(database_url, mailbox.address, "before sending", NOW).returncode == 9
    assert mailbox.mails == []
    assert send_due(desk, {"desk": [mailbox.address]}, now=NOW) == (0, 0), "the dead worker's lease still runs"
    assert send_due(desk, {"desk": [mailbox.address]}, now=LATER) == (1, 0)
    assert mailbox.subjects() == ["Critical alert 1: client a"]


def test_only_a_worker_that_dies_between_sending_and_noting_it_makes_a_message_come_twice(desk, database_url, mailbox):
    assert worker(database_url, mailbox.address, "after sending", NOW).returncode == 9
    assert send_due(desk, {"desk": [mailbox.address]}, now=LATER) == (1, 0)
    assert mailbox.subjects() == ["Critical alert 1: client a"] * 2


def test_workers_that_send_at_once_send_each_notice_once(store, database_url, mailbox):
    write(store, *(score_of(f"c-{i:03}", severity="critical") for i in range(100)))
    command = [sys.executable, "-c", textwrap.dedent(WORKER), database_url, mailbox.address, "never", NOW.isoformat()]
    workers = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) for _ in range(3)]
    assert [started.wait(60) for started in workers] == [0, 0, 0]
    assert store.count_notices() == {"waiting": 0, "sent": 100, "given up": 0}
    assert mailbox.subjects() == ["Fairmeter: 100 alerts"]
