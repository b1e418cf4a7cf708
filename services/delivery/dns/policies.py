"""MTA-STS policies by HTTPS (RFC 8461, section 3.3), by the safe way that webhooks go: resolved
once, checked, pinned, verified, no redirect, one deadline, and no more than 64 KiB."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from pyreqwest.client import Client
from pyreqwest.exceptions import NetworkError, RequestError, RequestTimeoutError
from pyreqwest.request import StreamRequest

from libs.errors import AppError
from services.delivery.channels.clients import Clients
from services.delivery.channels.resolver import AddressRefusedError, NameUnknownError, Resolver
from services.delivery.dns.reader import printable
from services.delivery.domain.authentication.facts import Answer, Status
from services.delivery.domain.urls import UrlPolicy, parse_url

MAX_BYTES = 64 * 1024
DEADLINE = 5.0
_OK = 200


def policy_url(domain: str) -> str:
    """Where a domain's policy must be."""
    return f"https://mta-sts.{domain}/.well-known/mta-sts.txt"


class PolicyReader:
    """Reads policies. What is certainly wrong is ABSENT; what may pass is FAILED."""

    def __init__(
        self,
        policy: UrlPolicy,
        resolver: Resolver,
        clients: Clients,
        url: Callable[[str], str] = policy_url,
    ) -> None:
        self._policy = policy
        self._resolver = resolver
        self._clients = clients
        self._url = url

    async def read(self, domain: str) -> Answer:
        """The policy's text, as the one value of the answer."""
        try:
            url = parse_url(self._url(domain), self._policy)
            address = url.address or await self._resolver.resolve(url.host, url.port)
        except AppError as error:
            return Answer(Status.ABSENT, problem=error.message)
        except AddressRefusedError:
            return Answer(Status.ABSENT, problem="its server has no public address")
        except NameUnknownError:
            return Answer(Status.FAILED, problem="its server's name was not resolved")
        return await self._get(await self._clients.client(url, address), url.text)

    async def _get(self, client: Client, url: str) -> Answer:
        request = (
            client.get(url)
            .timeout(timedelta(seconds=DEADLINE))
            .streamed_read_buffer_limit(MAX_BYTES)
            .build_streamed()
        )
        try:
            return await _answered(request)
        except RequestTimeoutError:
            return Answer(Status.FAILED, problem="its server did not answer in time")
        except NetworkError as error:
            told = str(error.details["causes"] or "").lower()
            if "certificate" in told:
                return Answer(Status.ABSENT, problem="its server's certificate is not valid")
            return Answer(Status.FAILED, problem="its server was not reached")
        except RequestError:
            return Answer(Status.FAILED, problem="its server broke the answer off")


async def _answered(request: StreamRequest) -> Answer:
    async with request as response:
        if response.status != _OK:
            status = Status.FAILED if response.status >= 500 else Status.ABSENT
            return Answer(status, problem=f"its server answered {response.status}")
        kept = b""
        while len(kept) <= MAX_BYTES:
            part = await response.body_reader.read(MAX_BYTES + 1 - len(kept))
            if part is None:
                break
            kept += bytes(part)
    if len(kept) > MAX_BYTES:
        return Answer(Status.ABSENT, problem="it is longer than 64 KiB")
    return Answer(Status.FOUND, (printable(kept.replace(b"\r\n", b"\n")),))
