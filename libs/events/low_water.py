"""How far the relay may stop looking back."""

from __future__ import annotations

from collections import deque
from datetime import datetime

from libs.db.transaction import Connection
from libs.events.outbox import LOCK_CLASS

# Publishers hold their key locks from before they take ids until they end.
_OLDEST_PUBLISHER = """
select clock_timestamp() as now, min(coalesce(a.xact_start, 'epoch')) as oldest
from pg_locks l left join pg_stat_activity a on a.pid = l.pid
where l.locktype = 'advisory' and l.granted and l.classid = $1::int::oid and l.objsubid = 2
    and l.database = (select oid from pg_database where datname = current_database())
"""


class LowWater:
    """From which id on unsent rows are looked for, so that a poll does not wade through dead rows.

    A row's id can become visible after higher ones were sent, when its transaction is slow. So the
    mark only passes ids that were sent before the oldest open publisher's transaction began: what
    that one may still bring is higher. Were the mark further on, a key's later event could be sent
    before its earlier one is found.

    Nor does it move at the look that shows this. A publisher may have ended between the last read
    and that look: its rows are found by the next read, from the old mark, and then the mark moves.
    """

    def __init__(self) -> None:
        self.mark = 0
        self._highest = 0
        self._next = 0
        self._seen: deque[tuple[datetime, int]] = deque()

    def sent(self, highest: int) -> None:
        """All rows from the mark up to this id that can be seen were sent; 0: there were none."""
        reached = min(self._next, highest) if highest else self._next
        self.mark = max(self.mark, reached)
        self._highest = max(self._highest, highest)

    @property
    def behind(self) -> bool:
        """Whether the mark could move."""
        return self.mark < self._highest

    def advance(self, now: datetime, oldest: datetime | None) -> None:
        """At `now`, the oldest open publisher began at `oldest`; None where there is none."""
        if oldest is None:
            self._next = self._highest
            self._seen.clear()
            return
        self._seen.append((now, self._highest))
        while self._seen and self._seen[0][0] < oldest:
            self._next = self._seen.popleft()[1]


async def oldest_publisher(connection: Connection) -> tuple[datetime, datetime | None]:
    """Now, and when the oldest transaction that holds a key's lock began; None where none does.

    One whose beginning is not shown (it ends this moment) began in 1970: the mark waits for it.
    """
    found = await connection.fetchrow(_OLDEST_PUBLISHER, LOCK_CLASS)
    assert found is not None
    return found["now"], found["oldest"]
