"""Messages that an account, or an operator, makes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import orjson

from libs.api.wire import resource_name
from libs.clock import Clock
from libs.db import Database
from libs.errors import AppError, Kind, invalid, not_found
from libs.ids import Ids, derive
from services.delivery import errors
from services.delivery.domain.model import CUSTOM, ENDPOINT_TEST, EVENT_TYPES, Message
from services.delivery.handlers import payload
from services.delivery.sending.intake import Intake
from services.delivery.store import endpoint_targets, messages
from services.delivery.store.vault import Vault

MAX_PAYLOAD = 256 * 1024
MAX_KEY = 255


@dataclass(frozen=True, slots=True)
class NewMessage:
    """What is asked for. With a `request_id` it is made once, however often it is asked for."""

    account: UUID
    event_type: str
    payload: str
    deliver_by: datetime | None = None
    order_key: str = ""
    coalesce_key: str = ""
    request_id: str = ""


class Messages:
    """Messages of one's own."""

    def __init__(self, db: Database, vault: Vault, intake: Intake, clock: Clock, ids: Ids) -> None:
        self._db = db
        self._vault = vault
        self._intake = intake
        self._clock = clock
        self._ids = ids

    async def create(self, asked: Sequence[NewMessage]) -> list[Message | AppError]:
        """Makes messages in one transaction; answers each, or why it was refused."""
        results: list[Message | AppError] = [self._made(one) for one in asked]
        made: dict[UUID, Message] = {}
        for one in results:
            if isinstance(one, Message):
                made.setdefault(one.id, one)
        if not made:
            return results
        new = await self._intake.make(self._db, list(made.values()))
        old = made.keys() - new
        known = made | (await messages.by_id(self._db, list(old)) if old else {})
        return [
            _repeated(one, known[one.id]) if isinstance(one, Message) else one for one in results
        ]

    async def send_test(self, account: UUID, endpoint: UUID) -> Message:
        """Sends a test message to an endpoint. Raises AppError (NOT_FOUND)."""
        now = self._clock.now()
        name = resource_name("endpoints", "ep", endpoint)
        message = Message(
            id=self._ids.uuid(),
            account=account,
            event_type=ENDPOINT_TEST,
            payload=payload.render(ENDPOINT_TEST, payload.shown(now), {"endpoint": name}),
            create_time=now,
            deliver_by=None,
        )
        async with self._db.transaction() as tx:
            found = await endpoint_targets.get(tx, self._vault, [endpoint])
            if endpoint not in found or found[endpoint].account != account:
                raise not_found(name)
            await messages.insert(tx, [message])
            await self._intake.send(tx, [(message, found[endpoint])])
        return message

    def _made(self, asked: NewMessage) -> Message | AppError:
        try:
            body = check(asked)
        except AppError as error:
            return error
        id = self._ids.uuid()
        if asked.request_id:
            id = derive(asked.account, "message", asked.request_id)
        return Message(
            id=id,
            account=asked.account,
            event_type=asked.event_type,
            payload=body,
            create_time=self._clock.now(),
            deliver_by=asked.deliver_by,
            order_key=asked.order_key,
            coalesce_key=asked.coalesce_key,
        )


def check(asked: NewMessage) -> bytes:
    """The body, if the message can be made. Raises AppError (INVALID) that names the field."""
    if asked.event_type not in EVENT_TYPES and not CUSTOM.fullmatch(asked.event_type):
        known = ", ".join(sorted(EVENT_TYPES))
        told = f"expected {known}, or custom.<name>; got {asked.event_type[:60]!r}"
        raise invalid("message.event_type", told, "unknown_type")
    for field, key in (
        ("message.ordering_key", asked.order_key),
        ("message.coalesce_key", asked.coalesce_key),
        ("request_id", asked.request_id),
    ):
        if len(key) > MAX_KEY or "\x00" in key:
            raise invalid(field, f"expected at most {MAX_KEY} characters, none of them NUL")
    body = asked.payload.encode()
    if len(body) > MAX_PAYLOAD:
        raise invalid("message.payload", f"expected at most {MAX_PAYLOAD} bytes; got {len(body)}")
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise invalid("message.payload", f"expected JSON: {error}", "not_json") from error
    return body


def _repeated(asked: Message, kept: Message) -> Message | AppError:
    """What was made before under this request id, if it was asked for in the same words."""
    if (asked.event_type, asked.payload, asked.deliver_by) != (
        kept.event_type,
        kept.payload,
        kept.deliver_by,
    ):
        return AppError(
            Kind.UNPROCESSABLE,
            errors.REQUEST_ID_REUSED,
            "this request id was used for another request",
        )
    return kept
