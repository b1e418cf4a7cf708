"""An account is gone: its data goes from a service's database, in small transactions.

The event only notes the account. The work follows in the background, batch by batch, and goes on
where it was if the process ends. It is done more than once: an access token made before the end
still opens doors for its lifetime, and events about the account may still be on their way.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from enum import Enum
from uuid import UUID

from libs.api.wire import moment, resource_id, resource_name
from libs.clock import Clock
from libs.db import Database, Tx
from libs.events.record import Received
from pq.accounts.v1.accounts_events_pb2 import ACCOUNT_CHANGE_ERASED, AccountChanged

log = logging.getLogger(__name__)


class Left(Enum):
    """What is left of an account after a batch."""

    NOTHING = "nothing"
    MORE = "more"  # the next batch follows at once
    BUSY = "busy"  # what another transaction holds just now


# Takes away some of what the account has.
Erase = Callable[[Tx, UUID], Awaitable[Left]]

# When it is all taken away, after the account's end: at once; when no access token can be left
# (they live five minutes); and when no event about it can be on its way in a log that runs.
PASSES = (timedelta(0), timedelta(minutes=10), timedelta(days=1))
INTERVAL = 5.0


class Erasures:
    """The accounts to forget in one service's database; safe to run in every replica at once."""

    def __init__(self, db: Database, clock: Clock, erase: Erase) -> None:
        self._db = db
        self._clock = clock
        self._erase = erase

    async def on_account_changed(self, tx: Tx, batch: Sequence[Received[AccountChanged]]) -> None:
        """Handles events. Raises AppError (INVALID) for one that breaks its contract."""
        gone = [r.data for r in batch if r.data.change == ACCOUNT_CHANGE_ERASED]
        if not gone:
            return
        await tx.execute(
            "insert into erasures (account, erase_time, pass, next_time)"
            " select account, erase_time, 0, $3 from unnest($1::uuid[], $2::timestamptz[])"
            " as gone (account, erase_time) on conflict (account) do nothing",
            [resource_id("accounts", "acc", event.account, field="account") for event in gone],
            [moment(event.change_time) for event in gone],
            self._clock.now(),
        )

    async def run(self) -> None:
        """Does all that is due."""
        while await self._step():
            pass

    async def _step(self) -> bool:
        """One batch of one account; answers whether there was one."""
        now = self._clock.now()
        async with self._db.transaction() as tx:
            found = await tx.fetchrow(
                "select account, erase_time, pass from erasures where next_time <= $1"
                " order by next_time limit 1 for update skip locked",
                now,
            )
            if found is None:
                return False
            left = await self._erase(tx, found["account"])
            if left is Left.NOTHING:
                await self._passed(tx, found["account"], found["erase_time"], found["pass"] + 1)
            elif left is Left.BUSY:
                await self._again(tx, found["account"], now + timedelta(seconds=INTERVAL))
        return True

    async def _again(self, tx: Tx, account: UUID, then: datetime) -> None:
        await tx.execute("update erasures set next_time = $2 where account = $1", account, then)

    async def _passed(self, tx: Tx, account: UUID, erased: datetime, passes: int) -> None:
        # Messages about the account that could not be handled tell of it as well.
        name = resource_name("accounts", "acc", account)
        await tx.execute("delete from event_dead_letters where key = $1", name)
        if passes == len(PASSES):
            await tx.execute("delete from erasures where account = $1", account)
            return
        await tx.execute(
            "update erasures set pass = $2, next_time = $3 where account = $1",
            account,
            passes,
            max(erased + PASSES[passes], self._clock.now() + PASSES[1]),
        )
        log.info("an account's data is erased", extra={"passes": passes})
