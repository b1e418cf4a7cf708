"""Resend's batches: while one request waits for its turn, the e-mails that come go out together.

A lone e-mail goes at once and by itself. A batch is kept before it goes out, byte for byte: whoever
dies before the answer has the same request made again under the same key, so that each of its
e-mails still goes out once.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Coroutine, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from libs.clock import Clock
from libs.db import Database
from libs.ids import Ids, encode
from services.delivery.channels.email.mail import Answer, Mail, read_reference
from services.delivery.channels.email.resend import NAME, Resend, payload
from services.delivery.domain.email_codes import Kind
from services.delivery.store import email_batches
from services.delivery.store.email_batches import Batch

MAX_BATCH = 100
# E-mails that may wait for one request, on average: each holds a place among all attempts.
SHARE = 16
# Resend forgets a key after a day.
KEY_LIFETIME = timedelta(hours=23)

_Waiting = tuple[Mail, "asyncio.Future[Answer]"]


class Batching:
    """Sends through Resend, `rate` requests a second at most."""

    name = NAME

    def __init__(self, resend: Resend, db: Database, clock: Clock, ids: Ids, rate: float) -> None:
        self._resend = resend
        self._db = db
        self._clock = clock
        self._ids = ids
        self._pause = 1 / rate
        self._next = 0.0
        self._waiting: deque[_Waiting] = deque()
        self._alone: deque[_Waiting] = deque()
        self._repeats: dict[UUID, asyncio.Task[tuple[Answer, list[str]]]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._running = False

    async def send(self, mail: Mail) -> Answer:
        """See `Provider.send`."""
        batch = await self._batch_of(mail)
        if batch is not None:
            answer = await self._again(batch, mail)
            if answer is not None:
                return answer
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((mail, future))
        if not self._running:
            self._running = True
            self._start(self._run())
        return await future

    async def close(self) -> None:
        """See `Provider.close`."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._resend.close()

    # Taking turns.

    async def _run(self) -> None:
        try:
            while self._waiting or self._alone:
                await asyncio.sleep(max(0.0, self._next - self._clock.monotonic()))
                self._next = self._clock.monotonic() + self._pause
                if self._alone:
                    group = [self._alone.popleft()]
                else:
                    size = min(MAX_BATCH, len(self._waiting))
                    group = [self._waiting.popleft() for _ in range(size)]
                self._start(self._send(group))
        finally:
            self._running = False

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send(self, group: Sequence[_Waiting]) -> None:
        try:
            if len(group) == 1:
                mail, future = group[0]
                _tell(future, await self._resend.send(mail))
                return
            await self._together(group)
        except Exception as error:  # noqa: BLE001 # told to each of those who wait for it
            for _, future in group:
                if not future.done():
                    future.set_exception(error)

    # Batches.

    async def _together(self, group: Sequence[_Waiting]) -> None:
        mails = [mail for mail, _ in group]
        batch = Batch(
            self._ids.uuid(),
            tuple(mail.key for mail in mails),
            json.dumps([payload(mail) for mail in mails]).encode(),
            self._clock.now(),
        )
        sends = [read_reference(mail.reference) for mail in mails]
        async with self._db.transaction() as tx:
            await email_batches.insert(tx, batch, [each for each in sends if each is not None])
        answer, ids = await self._ask(batch)
        if _is_one_at_fault(answer):
            # One that cannot be sent keeps the others back: each goes by itself.
            await email_batches.dissolve(self._db, batch.id)
            self._alone.extend(group)
            if not self._running:
                self._running = True
                self._start(self._run())
            return
        if answer.refusal is not None and answer.certain:
            await email_batches.dissolve(self._db, batch.id)
        for at, (_, future) in enumerate(group):
            _tell(future, _own(answer, ids, at))

    async def _batch_of(self, mail: Mail) -> Batch | None:
        reference = read_reference(mail.reference)
        return None if reference is None else await email_batches.of(self._db, *reference)

    async def _again(self, batch: Batch, mail: Mail) -> Answer | None:
        """What became of an e-mail that may have gone out before; None where it has not."""
        if mail.key not in batch.keys or self._clock.now() - batch.create_time > KEY_LIFETIME:
            await email_batches.dissolve(self._db, batch.id)
            return None
        # Its e-mails come back together: one request answers for all of them.
        task = self._repeats.get(batch.id)
        if task is None:
            task = self._repeats[batch.id] = asyncio.create_task(self._ask(batch))
            task.add_done_callback(lambda _: self._repeats.pop(batch.id, None))
        answer, ids = await asyncio.shield(task)
        if answer.refusal is not None and answer.certain:
            await email_batches.dissolve(self._db, batch.id)
            return None if _is_one_at_fault(answer) else answer
        return _own(answer, ids, batch.keys.index(mail.key))

    async def _ask(self, batch: Batch) -> tuple[Answer, list[str]]:
        return await self._resend.send_batch(encode("bat", batch.id), batch.payload)


def _is_one_at_fault(answer: Answer) -> bool:
    refusal = answer.refusal
    return refusal is not None and answer.certain and refusal.code.kind is Kind.PERMANENT


def _own(answer: Answer, ids: Sequence[str], at: int) -> Answer:
    """One e-mail's part of a batch's answer."""
    if answer.refusal is not None:
        return answer
    return Answer(provider_id=ids[at] if at < len(ids) else "", reply_code=answer.reply_code)


def _tell(future: asyncio.Future[Answer], answer: Answer) -> None:
    if not future.done():  # whoever waited may be gone
        future.set_result(answer)
