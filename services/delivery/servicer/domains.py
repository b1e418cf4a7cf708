"""pq.delivery.v1.DomainService."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, TypeVar

from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message

from libs.api import filters
from libs.api.idempotency import RequestKey, answered, once
from libs.api.paging import PageTokens
from libs.auth import caller
from libs.clock import Clock
from libs.db import Database, Tx
from libs.errors import invalid
from pq.delivery.v1 import domains_pb2 as pb
from pq.delivery.v1 import domains_pb2_grpc
from services.delivery.domain.authentication.names import check_domain
from services.delivery.domain.authentication.subject import SigningKey, Subject
from services.delivery.domain.authentication.verdict import Verdict
from services.delivery.handlers.domains import Domains
from services.delivery.servicer.show_domains import domain_pb

M = TypeVar("M", bound=Message)

DEFAULT_PAGE = 50
_FIELDS = ("envelope_domain", "spf_senders", "dkim_keys", "report_address")
_LIST_COLUMNS = {
    "verdict": filters.choice(
        "verdict", {f"DOMAIN_VERDICT_{verdict.name}": int(verdict) for verdict in Verdict}
    ),
    "domain_name": filters.text("name"),
    "check_time": filters.moment("check_time"),
    "drift_time": filters.moment("drift_time"),
}


class DomainServicer(domains_pb2_grpc.DomainServiceServicer):
    """The installation's sending domains. Whoever changes one sees it checked."""

    def __init__(
        self, db: Database, domains: Domains, page_tokens: PageTokens, clock: Clock
    ) -> None:
        self._db = db
        self._domains = domains
        self._page_tokens = page_tokens
        self._clock = clock

    async def CreateDomain(self, request: pb.CreateDomainRequest, _context: Any) -> pb.Domain:
        """Adds a domain and checks it; a repeat with the same request id checks it again."""
        if not request.HasField("domain"):
            raise invalid("domain", "expected a domain", "required")
        asked = _subject(request.domain)

        async def create(tx: Tx) -> pb.Domain:
            return domain_pb(await self._domains.create(tx, asked))

        made = await self._once("CreateDomain", request, create, pb.Domain)
        return domain_pb(await self._domains.check(_id(made.name)))

    async def GetDomain(self, request: pb.GetDomainRequest, _context: Any) -> pb.Domain:
        """Gets a domain."""
        return domain_pb(await self._domains.get(_id(request.name)))

    async def ListDomains(
        self, request: pb.ListDomainsRequest, _context: Any
    ) -> pb.ListDomainsResponse:
        """Lists domains by name."""
        page = self._page_tokens.page(
            method="ListDomains",
            page_size=request.page_size,
            page_token=request.page_token,
            default=DEFAULT_PAGE,
            question=(request.filter,),
        )
        where = filters.parse(request.filter, _LIST_COLUMNS, first=3)
        after = str(page.cursor[0]) if page.cursor else ""
        found = await self._domains.list(where, after, page.size + 1)
        shown, token = self._page_tokens.cut(page, found, lambda last: [last.subject.domain])
        return pb.ListDomainsResponse(domains=map(domain_pb, shown), next_page_token=token)

    async def UpdateDomain(self, request: pb.UpdateDomainRequest, _context: Any) -> pb.Domain:
        """Changes a domain and checks it."""
        if not request.HasField("domain"):
            raise invalid("domain", "expected a domain", "required")
        name, change = _id(request.domain.name, field="domain.name"), _change(request)
        said = request.domain.domain_name
        if said and check_domain(said, "domain.domain_name") != name:
            text = "expected the domain that it is; it never changes"
            raise invalid("domain.domain_name", text, "immutable")

        async def update(tx: Tx) -> pb.Domain:
            return domain_pb(await self._domains.update(tx, name, request.domain.etag, change))

        await self._once("UpdateDomain", request, update, pb.Domain)
        return domain_pb(await self._domains.check(name))

    async def DeleteDomain(self, request: pb.DeleteDomainRequest, _context: Any) -> Empty:
        """Takes a domain away."""
        name = _id(request.name)

        async def delete(tx: Tx) -> Empty:
            await self._domains.delete(tx, name, request.etag)
            return Empty()

        return await self._once("DeleteDomain", request, delete, Empty)

    async def CheckDomain(self, request: pb.CheckDomainRequest, _context: Any) -> pb.Domain:
        """Checks a domain now."""
        name = _id(request.name)
        key = RequestKey(caller().subject, "CheckDomain", request.request_id)
        before = await answered(self._db, key, request, pb.Domain, now=self._clock.now())
        if before is not None:
            return before
        checked = domain_pb(await self._domains.check(name))

        async def record(_tx: Tx) -> pb.Domain:
            return checked

        return await self._once("CheckDomain", request, record, pb.Domain)

    async def _once(
        self,
        method: str,
        request: Any,
        handle: Callable[[Tx], Awaitable[M]],
        response_type: type[M],
    ) -> M:
        key = RequestKey(caller().subject, method, request.request_id)
        now = self._clock.now()
        async with self._db.transaction() as tx:
            answer = await once(tx, key, request, lambda: handle(tx), response_type, now=now)
        return answer.response


def _id(name: str, *, field: str = "name") -> str:
    collection, slash, id = name.partition("/")
    if collection != "domains" or not slash:
        raise invalid(field, "expected domains/ and a domain", "wrong_name")
    return check_domain(id, field)


def _subject(asked: pb.Domain) -> Subject:
    keys = tuple(
        SigningKey(key.selector, key.domain_name, key.public_key) for key in asked.dkim_keys
    )
    return Subject(
        domain=asked.domain_name,
        envelope=asked.envelope_domain,
        senders=tuple(asked.spf_senders),
        keys=keys,
        reports=asked.report_address,
    )


def _change(request: pb.UpdateDomainRequest) -> Callable[[Subject], Subject]:
    """What the request makes of a domain. Raises AppError (INVALID) for an unknown field."""
    asked, paths = request.domain, list(request.update_mask.paths)
    for at, path in enumerate(paths):
        if path not in (*_FIELDS, "*"):
            text = f"expected one of {', '.join(_FIELDS)}, or *"
            raise invalid(f"update_mask.paths[{at}]", text, "unknown_field")
    if not paths:
        paths = [field for field in _FIELDS if getattr(asked, field)]
    chosen = set(_FIELDS) if "*" in paths else set(paths)
    new = _subject(asked)

    def change(held: Subject) -> Subject:
        return replace(
            held,
            envelope=new.envelope if "envelope_domain" in chosen else held.envelope,
            senders=new.senders if "spf_senders" in chosen else held.senders,
            keys=new.keys if "dkim_keys" in chosen else held.keys,
            reports=new.reports if "report_address" in chosen else held.reports,
        )

    return change
