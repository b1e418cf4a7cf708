"""One signed POST to somebody's server.

Resolved once and pinned, no redirect, no proxy but the operator's, TLS verified, one deadline over
the whole exchange and a shorter one over the answer's body, of which the first KiB is kept.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from functools import lru_cache
from ipaddress import IPv6Address

from pyreqwest.client import Client
from pyreqwest.exceptions import NetworkError, RequestError, RequestTimeoutError
from pyreqwest.http import Url
from pyreqwest.request import StreamRequest
from pyreqwest.response import Response

from libs.clock import Clock
from libs.errors import AppError, Kind
from libs.ids import encode
from libs.obs.tracing import TRACEPARENT
from services.delivery.channels.clients import Clients
from services.delivery.channels.resolver import (
    AddressRefusedError,
    NameUnknownError,
    Resolver,
)
from services.delivery.domain import outcome, signing
from services.delivery.domain.addresses import Address
from services.delivery.domain.model import Leased
from services.delivery.domain.outcome import Exchange
from services.delivery.domain.schedule import parse_retry_after
from services.delivery.domain.urls import UrlPolicy, WebhookUrl, parse_url

log = logging.getLogger(__name__)

BODY_KEPT = 1024
# Who answered but dribbles the body out holds a connection for no longer than this, in seconds.
BODY_DEADLINE = 2.0
_TLS_WORDS = ("certificate", "tls", "ssl", "handshake")


class WebhookChannel:
    """Sends deliveries by HTTP. `deadline` is in seconds, over resolving and the exchange.

    The HTTP client itself keeps it: from the first packet to the last byte of the answer.
    """

    def __init__(
        self,
        policy: UrlPolicy,
        resolver: Resolver,
        clients: Clients,
        clock: Clock,
        deadline: float,
    ) -> None:
        self._resolver = resolver
        self._clients = clients
        self._clock = clock
        self._deadline = deadline
        self._policy = policy
        self._parse = lru_cache(maxsize=10_000)(self._parsed)

    async def send(self, delivery: Leased) -> Exchange:
        """Makes one attempt. Whatever the receiver does is an Exchange, never an exception."""
        if not delivery.target.keys and not delivery.target.signers:
            return Exchange(outcome.SECRET_UNREADABLE)
        try:
            url = self._parse(delivery.target.url)
        except AppError as error:  # the operator's policy may have changed since it was created
            refused = error.reason == outcome.ADDRESS_REFUSED
            return Exchange(outcome.ADDRESS_REFUSED if refused else outcome.URL_REFUSED)
        begun = self._clock.monotonic()
        try:
            address = url.address or await self._resolve(url)
            client = await self._clients.client(url, address)
            left = self._deadline - (self._clock.monotonic() - begun)
            return await self._exchange(client, left, delivery, url, address)
        except NameUnknownError:
            return Exchange(outcome.DNS)
        except AddressRefusedError:
            return Exchange(outcome.ADDRESS_REFUSED)

    async def close(self) -> None:
        """Closes what is kept open."""
        await self._clients.close()
        self._resolver.close()

    async def _resolve(self, url: WebhookUrl) -> Address | None:
        """None where a proxy is to find it, for we cannot."""
        try:
            return await self._resolver.resolve(url.host, url.port)
        except NameUnknownError:
            if self._clients.proxy is None:
                raise
            return None

    async def _exchange(
        self,
        client: Client,
        seconds: float,
        delivery: Leased,
        url: WebhookUrl,
        address: Address | None,
    ) -> Exchange:
        request = (
            client.post(url.text)
            .timeout(timedelta(seconds=max(seconds, 0.001)))
            .headers(self._headers(delivery))
            .body_bytes(delivery.message.payload)
            .streamed_read_buffer_limit(BODY_KEPT)
            .build_streamed()
        )
        # Where a proxy connected to is not ours to know.
        shown = str(address) if self._clients.proxy is None else ""
        try:
            return await self._answered(request, shown)
        except RequestTimeoutError:
            return Exchange(outcome.TIMEOUT, remote_address=shown)
        except NetworkError as error:
            code = _network_code(error)
            if code == outcome.CONNECT and url.address is None:
                self._resolver.failed(url.host, url.port)
            return Exchange(code, remote_address=shown)
        except RequestError:
            return Exchange(outcome.DISCONNECTED, remote_address=shown)

    async def _answered(self, request: StreamRequest, address: str) -> Exchange:
        async with request as response:
            return Exchange(
                code=outcome.code_of(response.status),
                http_status=response.status,
                body=await _beginning(response),
                remote_address=address,
                retry_after=parse_retry_after(
                    response.get_header("retry-after"), self._clock.now()
                ),
            )

    def _parsed(self, text: str) -> WebhookUrl:
        """Raises AppError, also where the HTTP client would read another host than was checked:
        then it would not connect to the address that was."""
        url = parse_url(text, self._policy)
        host = f"[{url.address}]" if isinstance(url.address, IPv6Address) else url.host
        if Url(url.text).host_str != host:
            raise AppError(Kind.INVALID, outcome.URL_REFUSED, "the URL can be read in two ways")
        return url

    def _headers(self, delivery: Leased) -> dict[str, str]:
        message = delivery.message
        made = signing.headers(
            encode("msg", message.id),
            int(self._clock.now().timestamp()),
            message.payload,
            delivery.target.keys,
            delivery.target.signers,
        )
        if delivery.target.headers:
            made |= delivery.target.headers
        made["content-type"] = "application/json"
        if message.trace_parent:
            made[TRACEPARENT] = message.trace_parent
        return made


async def _beginning(response: Response) -> bytes:
    """The first KiB. The status is the answer: a body that breaks off or dribbles changes nothing.

    Reading to the end of a short body lets the connection be used again; of a long one the rest is
    cut off, with the connection.
    """
    # Most answers are empty: nothing is waited for then.
    if response.get_header("content-length") == "0":
        return b""
    kept = b""
    try:
        async with asyncio.timeout(BODY_DEADLINE):
            while len(kept) <= BODY_KEPT:
                part = await response.body_reader.read(BODY_KEPT + 1 - len(kept))
                if part is None:
                    break
                kept += bytes(part)
    except (TimeoutError, RequestError):
        log.debug("an answer's body was cut off")
    return kept[:BODY_KEPT]


def _network_code(error: NetworkError) -> str:
    """reqwest's first cause names the URL; the next says in which phase it failed."""
    told = " ".join(cause["message"] for cause in (error.details["causes"] or [])[1:]).lower()
    if "(connect)" not in told:
        return outcome.DISCONNECTED
    return outcome.TLS if any(word in told for word in _TLS_WORDS) else outcome.CONNECT
