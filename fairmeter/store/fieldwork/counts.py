"""Numbers of recorded visits.

In:  a period.
Out: counts by day.
"""

from datetime import date

from sqlalchemy import func, select

from fairmeter.store.engine.database import Database
from fairmeter.store.engine.schema import inspections


class VisitCountStore(Database):
    """Counts visits."""

    def count_inspections(self, since: date, until: date) -> dict[date, int]:
        """Number of recorded visits by day, of days that have any. [both days inclusive]"""
        day = inspections.c.inspected_on
        query = select(day, func.count()).where(day >= since, day <= until).group_by(day)
        with self.reading() as connection:
            return dict(connection.execute(query).all())
