"""Alerts: one open alert a client, none while somebody works on it or has just been there.

In:  filters; for whole runs see runs.py.
Out: pages of Alert.
"""

from datetime import date, datetime

from fraud.alerts import AlertRules
from fraud.records import Alert
from fraud.store.database import Database
from fraud.store.paging import Page


class Alerting(Database):
    """What the system says."""

    def list_alerts(
        self,
        *,
        state: str | None = "open",
        severity: str | None = None,
        region: float | None = None,
        client_id: str | None = None,
        raised_since: datetime | None = None,
        raised_until: datetime | None = None,
        sort: str = "severity",
        limit: int = 50,
        after: str | None = None,
    ) -> Page:
        """A page of Alert; sort: severity (the gravest first), raised (the newest first), id. Raises BadQuery."""
        raise NotImplementedError

    def find_alert(self, alert_id: int) -> Alert | None:
        raise NotImplementedError

    def count_alerts(self) -> dict[str, int]:
        """How many open alerts each severity has."""
        raise NotImplementedError

    def busy_clients(self, rules: AlertRules, today: date) -> dict[str, str]:
        """Clients that need no visit now, with the reason: an open case, or a visit not long ago."""
        raise NotImplementedError
