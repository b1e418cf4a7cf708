"""pq.delivery.v1.EndpointService."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, TypeVar
from uuid import UUID

from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message

from libs.api import filters
from libs.api.idempotency import Answer, RequestKey, answered, once
from libs.api.masks import masked
from libs.api.paging import PageTokens
from libs.api.wire import resource_id
from libs.auth import caller
from libs.clock import Clock
from libs.db import Database, Tx
from libs.errors import AppError, Kind, invalid
from pq.delivery.v1 import delivery_pb2 as pb
from pq.delivery.v1 import delivery_pb2_grpc
from services.delivery import errors
from services.delivery.domain.model import DEFAULT_OVERLAP, EndpointState
from services.delivery.domain.settings import Settings
from services.delivery.domain.signing import encode_secret
from services.delivery.handlers.endpoint_keys import EndpointKeys
from services.delivery.handlers.endpoint_verification import EndpointVerification
from services.delivery.handlers.endpoints import Endpoints
from services.delivery.servicer.account import account
from services.delivery.servicer.endpoint_keys import signing_pb
from services.delivery.servicer.endpoint_settings import FIELDS, changed, read_settings
from services.delivery.servicer.show import endpoint_pb, secret_pb

M = TypeVar("M", bound=Message)

DEFAULT_PAGE = 50
_LIST_COLUMNS = {
    "state": filters.choice(
        "state", {f"ENDPOINT_STATE_{state.name}": int(state) for state in EndpointState}
    ),
    "url": filters.text("url"),
    "create_time": filters.moment("create_time"),
}


class EndpointServicer(delivery_pb2_grpc.EndpointServiceServicer):
    """The calling account's endpoints; another's do not exist. No secret is kept for a replay."""

    def __init__(
        self,
        db: Database,
        endpoints: Endpoints,
        keys: EndpointKeys,
        verification: EndpointVerification,
        page_tokens: PageTokens,
        clock: Clock,
        *,
        require_verification: bool = False,
    ) -> None:
        self._db = db
        self._endpoints = endpoints
        self._keys = keys
        self._verification = verification
        self._require_verification = require_verification
        self._page_tokens = page_tokens
        self._clock = clock

    async def CreateEndpoint(self, request: pb.CreateEndpointRequest, _context: Any) -> pb.Endpoint:
        """Creates an endpoint; the answer carries the secret."""
        who, asked = account(), request.endpoint
        if not request.HasField("endpoint"):
            raise invalid("endpoint", "expected an endpoint", "required")
        challenged = self._is_challenged(request.verification)
        checked = await self._endpoints.check(read_settings(asked))

        async def create(tx: Tx) -> pb.Endpoint:
            endpoint, secrets = await self._endpoints.create(
                tx, who, checked, challenged=challenged
            )
            return endpoint_pb(endpoint, encode_secret(secrets.current))

        async with self._db.transaction() as tx:
            answer = await self._once(
                tx, "CreateEndpoint", request, create, pb.Endpoint, _without_secret
            )
            if answer.replayed:
                answer.response.secret = await self._secret_of(tx, who, answer.response.name)
        if challenged and not answer.replayed:
            asked_now = await self._verification.verify(who, _id(answer.response.name))
            return endpoint_pb(asked_now, answer.response.secret)
        return answer.response

    async def GetEndpoint(self, request: pb.GetEndpointRequest, _context: Any) -> pb.Endpoint:
        """Gets an endpoint."""
        return endpoint_pb(await self._endpoints.get(account(), _id(request.name)))

    async def ListEndpoints(
        self, request: pb.ListEndpointsRequest, _context: Any
    ) -> pb.ListEndpointsResponse:
        """Lists endpoints, newest first."""
        who = account()
        page = self._page_tokens.page(
            method="ListEndpoints",
            page_size=request.page_size,
            page_token=request.page_token,
            default=DEFAULT_PAGE,
            question=(str(who), request.filter),
        )
        where = filters.parse(request.filter, _LIST_COLUMNS, first=4)
        before = UUID(str(page.cursor[0])) if page.cursor else None
        found = await self._endpoints.list(who, where, before, page.size + 1)
        shown, token = self._page_tokens.cut(page, found, lambda last: [str(last.id)])
        return pb.ListEndpointsResponse(
            endpoints=[endpoint_pb(endpoint) for endpoint in shown],
            next_page_token=token,
        )

    async def UpdateEndpoint(self, request: pb.UpdateEndpointRequest, _context: Any) -> pb.Endpoint:
        """Changes the fields of the mask."""
        who, asked = account(), request.endpoint
        id, fields = (
            _id(asked.name, field="endpoint.name"),
            masked(request.update_mask.paths, asked, FIELDS),
        )
        url = ""
        if "url" in fields:
            url = (await self._endpoints.check(Settings(asked.url))).url

        def change(before: Settings) -> Settings:
            after = changed(before, asked, fields)
            return replace(after, url=url) if url else after

        async def update(tx: Tx) -> pb.Endpoint:
            return endpoint_pb(await self._endpoints.update(tx, who, id, asked.etag, change))

        async with self._db.transaction() as tx:
            return (await self._once(tx, "UpdateEndpoint", request, update, pb.Endpoint)).response

    async def PauseEndpoint(self, request: pb.PauseEndpointRequest, _context: Any) -> pb.Endpoint:
        """Holds an endpoint."""
        who, id = account(), _id(request.name)

        async def pause(tx: Tx) -> pb.Endpoint:
            return endpoint_pb(await self._endpoints.pause(tx, who, id, request.etag))

        async with self._db.transaction() as tx:
            return (await self._once(tx, "PauseEndpoint", request, pause, pb.Endpoint)).response

    async def ResumeEndpoint(self, request: pb.ResumeEndpointRequest, _context: Any) -> pb.Endpoint:
        """Sends to an endpoint again."""
        who, id = account(), _id(request.name)

        async def resume(tx: Tx) -> pb.Endpoint:
            return endpoint_pb(await self._endpoints.resume(tx, who, id, request.etag))

        async with self._db.transaction() as tx:
            return (await self._once(tx, "ResumeEndpoint", request, resume, pb.Endpoint)).response

    async def VerifyEndpoint(self, request: pb.VerifyEndpointRequest, _context: Any) -> pb.Endpoint:
        """Sends a challenge now."""
        who, id = account(), _id(request.name)
        key = RequestKey(caller().subject, "VerifyEndpoint", request.request_id)
        before = await answered(self._db, key, request, pb.Endpoint, now=self._clock.now())
        if before is not None:
            return before
        asked = await self._verification.ask(who, id)

        async def record(tx: Tx) -> pb.Endpoint:
            return endpoint_pb(await self._verification.record(tx, who, id, asked))

        async with self._db.transaction() as tx:
            return (await self._once(tx, "VerifyEndpoint", request, record, pb.Endpoint)).response

    async def DeleteEndpoint(self, request: pb.DeleteEndpointRequest, _context: Any) -> Empty:
        """Deletes an endpoint; what waits for it is called off."""
        who, id = account(), _id(request.name)

        async def delete(tx: Tx) -> Empty:
            await self._endpoints.delete(tx, who, id, request.etag)
            return Empty()

        async with self._db.transaction() as tx:
            return (await self._once(tx, "DeleteEndpoint", request, delete, Empty)).response

    async def RotateSecret(
        self, request: pb.RotateSecretRequest, _context: Any
    ) -> pb.EndpointSecret:
        """Makes a new secret."""
        who, id = account(), _id(request.endpoint, field="endpoint")
        overlap = request.overlap.ToTimedelta() if request.HasField("overlap") else DEFAULT_OVERLAP

        async def rotate(tx: Tx) -> pb.EndpointSecret:
            made = await self._endpoints.rotate(tx, who, id, overlap, request.secret)
            return secret_pb(id, made)

        async with self._db.transaction() as tx:
            answer = await self._once(
                tx,
                "RotateSecret",
                request,
                rotate,
                pb.EndpointSecret,
                lambda made: pb.EndpointSecret(name=made.name),
            )
            if answer.replayed:
                return secret_pb(id, await self._endpoints.secrets(tx, who, id))
        return answer.response

    async def GetEndpointSecret(
        self, request: pb.GetEndpointSecretRequest, _context: Any
    ) -> pb.EndpointSecret:
        """Gets the secret that signs."""
        id = _child_id(request.name, "secret")
        return secret_pb(id, await self._endpoints.secrets(self._db, account(), id))

    async def GetEndpointSigning(
        self, request: pb.GetEndpointSigningRequest, _context: Any
    ) -> pb.EndpointSigning:
        """Says what signs."""
        id = _child_id(request.name, "signing")
        return signing_pb(*await self._keys.signing(account(), id))

    def _is_challenged(self, mode: int) -> bool:
        if mode == pb.VERIFICATION_MODE_SKIP and self._require_verification:
            raise AppError(
                Kind.FORBIDDEN,
                errors.VERIFICATION_REQUIRED,
                "the operator has every new endpoint answer a challenge",
            )
        return mode == pb.VERIFICATION_MODE_CHALLENGE or self._require_verification

    async def _once(
        self,
        tx: Tx,
        method: str,
        request: Any,
        handle: Callable[[Tx], Awaitable[M]],
        response_type: type[M],
        keep: Callable[[M], M] = lambda response: response,
    ) -> Answer[M]:
        key = RequestKey(caller().subject, method, request.request_id)
        return await once(
            tx,
            key,
            request,
            lambda: handle(tx),
            response_type,
            now=self._clock.now(),
            keep=keep,
        )

    async def _secret_of(self, tx: Tx, who: UUID, name: str) -> str:
        """The newest secret of an endpoint that was created before; none if it is gone."""
        try:
            return encode_secret((await self._endpoints.secrets(tx, who, _id(name))).current)
        except AppError:
            return ""


def _id(name: str, *, field: str = "name") -> UUID:
    return resource_id("endpoints", "ep", name, field=field)


def _child_id(name: str, child: str) -> UUID:
    endpoint, slash, tail = name.rpartition("/")
    if not slash or tail != child:
        raise invalid("name", f"expected endpoints/ep_…/{child}", "wrong_name")
    return _id(endpoint)


def _without_secret(endpoint: pb.Endpoint) -> pb.Endpoint:
    kept = pb.Endpoint()
    kept.CopyFrom(endpoint)
    kept.ClearField("secret")
    return kept
