"""pq.delivery.v1.EmailAddressService and EmailLinkService."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, TypeVar
from urllib.parse import parse_qs
from uuid import UUID

from google.api.httpbody_pb2 import HttpBody
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message

from libs.api import filters
from libs.api.idempotency import RequestKey, once
from libs.api.masks import masked
from libs.api.paging import PageTokens
from libs.api.wire import resource_id, resource_name, stamp
from libs.auth import caller
from libs.clock import Clock
from libs.db import Database, Tx
from libs.errors import AppError, Kind, invalid
from pq.delivery.v1 import emails_pb2 as pb
from pq.delivery.v1 import emails_pb2_grpc
from services.delivery.channels.email.render import Renderer
from services.delivery.domain.email_addresses import (
    Digest,
    EmailAddress,
    EmailState,
    check_digest,
)
from services.delivery.domain.email_links import LinkKind
from services.delivery.domain.model import check_description
from services.delivery.handlers.emails import EmailAddresses, check, check_types
from services.delivery.servicer.account import account
from services.delivery.store.emails import STATE

M = TypeVar("M", bound=Message)

DEFAULT_PAGE = 50
HTML = "text/html; charset=utf-8"
_LIST_COLUMNS = {
    "state": filters.choice(
        f"({STATE})", {f"EMAIL_ADDRESS_STATE_{state.name}": int(state) for state in EmailState}
    ),
    "email": filters.text("a.email"),
    "create_time": filters.moment("a.create_time"),
}


class EmailAddressServicer(emails_pb2_grpc.EmailAddressServiceServicer):
    """The calling account's addresses; another's do not exist."""

    def __init__(
        self, db: Database, addresses: EmailAddresses, page_tokens: PageTokens, clock: Clock
    ) -> None:
        self._db = db
        self._addresses = addresses
        self._page_tokens = page_tokens
        self._clock = clock

    async def CreateEmailAddress(
        self, request: pb.CreateEmailAddressRequest, _context: Any
    ) -> pb.EmailAddress:
        """Adds an address."""
        who, asked = account(), request.email_address
        if not request.HasField("email_address"):
            raise invalid("email_address", "expected an address", "required")
        checked = check(asked.email, asked.description, tuple(asked.event_types), _digest(asked))

        async def create(tx: Tx) -> pb.EmailAddress:
            return address_pb(await self._addresses.create(tx, who, checked))

        return await self._once("CreateEmailAddress", request, create, pb.EmailAddress)

    async def GetEmailAddress(
        self, request: pb.GetEmailAddressRequest, _context: Any
    ) -> pb.EmailAddress:
        """Gets an address."""
        return address_pb(await self._addresses.get(account(), _id(request.name)))

    async def ListEmailAddresses(
        self, request: pb.ListEmailAddressesRequest, _context: Any
    ) -> pb.ListEmailAddressesResponse:
        """Lists addresses, newest first."""
        who = account()
        page = self._page_tokens.page(
            method="ListEmailAddresses",
            page_size=request.page_size,
            page_token=request.page_token,
            default=DEFAULT_PAGE,
            question=(str(who), request.filter),
        )
        where = filters.parse(request.filter, _LIST_COLUMNS, first=4)
        before = UUID(str(page.cursor[0])) if page.cursor else None
        found = await self._addresses.list(who, where, before, page.size + 1)
        shown, token = self._page_tokens.cut(page, found, lambda last: [str(last.id)])
        return pb.ListEmailAddressesResponse(
            email_addresses=[address_pb(address) for address in shown], next_page_token=token
        )

    async def UpdateEmailAddress(
        self, request: pb.UpdateEmailAddressRequest, _context: Any
    ) -> pb.EmailAddress:
        """Changes the fields of the mask."""
        who, asked = account(), request.email_address
        id = resource_id("emailAddresses", "eml", asked.name, field="email_address.name")
        fields = masked(request.update_mask.paths, asked, CHANGES)

        def change(before: EmailAddress) -> EmailAddress:
            changes = [CHANGES[name](asked) for name in fields]
            return replace(before, **{k: v for one in changes for k, v in one.items()})

        async def update(tx: Tx) -> pb.EmailAddress:
            return address_pb(await self._addresses.update(tx, who, id, asked.etag, change))

        return await self._once("UpdateEmailAddress", request, update, pb.EmailAddress)

    async def DeleteEmailAddress(
        self, request: pb.DeleteEmailAddressRequest, _context: Any
    ) -> Empty:
        """Deletes an address; what waits for it is called off."""
        who, id = account(), _id(request.name)

        async def delete(tx: Tx) -> Empty:
            await self._addresses.delete(tx, who, id, request.etag)
            return Empty()

        return await self._once("DeleteEmailAddress", request, delete, Empty)

    async def ResendConfirmation(
        self, request: pb.ResendConfirmationRequest, _context: Any
    ) -> pb.EmailAddress:
        """Sends the confirmation again."""
        who, id = account(), _id(request.name)

        async def resend(tx: Tx) -> pb.EmailAddress:
            return address_pb(await self._addresses.resend(tx, who, id))

        return await self._once("ResendConfirmation", request, resend, pb.EmailAddress)

    async def _once(
        self, method: str, request: Any, handle: Callable[[Tx], Awaitable[M]], response: type[M]
    ) -> M:
        key = RequestKey(caller().subject, method, request.request_id)
        async with self._db.transaction() as tx:
            answer = await once(
                tx, key, request, lambda: handle(tx), response, now=self._clock.now()
            )
        return answer.response


def _digest(asked: pb.EmailAddress) -> Digest | None:
    if not asked.HasField("digest"):
        return None
    return check_digest(asked.digest.hour, asked.digest.time_zone, "email_address.digest")


# What a field of the message makes of an address.
CHANGES: dict[str, Callable[[pb.EmailAddress], dict[str, Any]]] = {
    "description": lambda asked: {
        "description": check_description(asked.description, "email_address.description")
    },
    "event_types": lambda asked: {"event_types": check_types(tuple(asked.event_types))},
    "digest": lambda asked: {"digest": _digest(asked)},
}


class EmailLinkServicer(emails_pb2_grpc.EmailLinkServiceServicer):
    """The pages behind the links. A link that is not good answers a page too, for people read it;
    what is away answers as ever."""

    def __init__(self, addresses: EmailAddresses, renderer: Renderer) -> None:
        self._addresses = addresses
        self._renderer = renderer

    async def GetConfirmationPage(
        self, request: pb.GetConfirmationPageRequest, _context: Any
    ) -> HttpBody:
        """Asks; changes nothing."""
        return await self._page(self._addresses.linked(request.token, LinkKind.CONFIRM), _ASKS)

    async def ConfirmEmailAddress(
        self, request: pb.ConfirmEmailAddressRequest, _context: Any
    ) -> HttpBody:
        """Confirms."""
        return await self._page(self._addresses.confirm(request.token), _ASKS)

    async def GetUnsubscribePage(
        self, request: pb.GetUnsubscribePageRequest, _context: Any
    ) -> HttpBody:
        """Asks; changes nothing."""
        linked = self._addresses.linked(request.token, LinkKind.UNSUBSCRIBE)
        return await self._page(linked, _ASKS_TO_END)

    async def Unsubscribe(self, request: pb.UnsubscribeRequest, _context: Any) -> HttpBody:
        """Ends it: the page's button, or the one click of RFC 8058."""
        form = request.form.data[:1000]
        one_click = b"List-Unsubscribe=One-Click" in form or parse_qs(
            form.decode(errors="replace")
        ).get("List-Unsubscribe") == ["One-Click"]
        reason = "one_click" if one_click else "page"
        return await self._page(self._addresses.unsubscribe(request.token, reason), _ASKS_TO_END)

    async def _page(self, found: Awaitable[EmailAddress], ask: tuple[str, str, str]) -> HttpBody:
        try:
            address = await found
        except AppError as error:
            if error.kind not in (Kind.NOT_FOUND, Kind.PRECONDITION):
                raise
            page = self._renderer.page("This link does not work", f"{error.message.capitalize()}.")
            return HttpBody(content_type=HTML, data=page)
        title, text, button = ask
        ends = ask is _ASKS_TO_END
        if address.state is EmailState.UNSUBSCRIBED or not ends:
            title, text, button = _STANDS.get(address.state, ask)
        page = self._renderer.page(
            title.format(email=address.email),
            text.format(email=address.email),
            button=button,
            hint="Opening this page changed nothing." if button else "",
        )
        return HttpBody(content_type=HTML, data=page)


_ASKS = (
    "Confirm {email}?",
    "Price alerts and notices of a pq account will come to this address from then on.",
    "Confirm",
)
_ASKS_TO_END = (
    "Send no more to {email}?",
    "Price alerts and notices of your pq account will no longer come to this address.",
    "Unsubscribe",
)
_STANDS = {
    EmailState.CONFIRMED: ("{email} is confirmed", "You can close this page.", ""),
    EmailState.UNSUBSCRIBED: ("Nothing more is sent to {email}", "You can close this page.", ""),
    EmailState.SUPPRESSED: (
        "Nothing is sent to {email}",
        "Mail to it came back, or was called spam. Whoever runs this service can lift that.",
        "",
    ),
}


def address_pb(address: EmailAddress) -> pb.EmailAddress:
    """An address as it is shown."""
    digest = address.digest
    return pb.EmailAddress(
        name=resource_name("emailAddresses", "eml", address.id),
        email=address.email,
        description=address.description,
        event_types=address.event_types,
        state=pb.EmailAddressState.ValueType(address.state),
        state_reason=address.state_reason,
        role_account=address.role_account,
        disposable=address.disposable,
        create_time=stamp(address.create_time),
        update_time=stamp(address.update_time),
        confirm_time=stamp(address.confirm_time),
        confirmation_send_time=stamp(address.confirmation_send_time),
        etag=address.etag,
        digest=(pb.EmailDigest(hour=digest.hour, time_zone=digest.time_zone) if digest else None),
        next_digest_time=stamp(address.digest_time),
    )


def _id(name: str) -> UUID:
    return resource_id("emailAddresses", "eml", name)
