"""REST for the commands: JSON in, JSON out, problems as typed errors."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import orjson
from pyreqwest.client import ClientBuilder
from pyreqwest.exceptions import ConnectError, RequestError, RequestTimeoutError
from pyreqwest.response import Response

from gateway.cli.exits import CliError, Exit

_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_EXITS = {
    401: Exit.REFUSED,
    403: Exit.REFUSED,
    502: Exit.UNREACHABLE,
    503: Exit.DEGRADED,
    504: Exit.DEGRADED,
}
_HINTS = {
    401: "give a token with --token or PQ_TOKEN; `pq token list` shows which there are",
    403: "this needs a token that may do more; `pq token create --role` makes one",
    429: "wait a moment and try again",
    503: "`pq doctor` says what is not up",
    504: "`pq doctor` says what is slow",
}


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """A field at fault, as the server named it."""

    field: str
    description: str
    reason: str


class ProblemError(CliError):
    """An answer that is an error (RFC 9457): its status, its stable reason, its fields at fault."""

    def __init__(self, status: int, document: Mapping[str, Any]) -> None:
        rejected = Exit.REJECTED if status < 500 and status != 429 else Exit.FAILED
        detail = str(document.get("detail") or document.get("title") or f"HTTP {status}")
        super().__init__(
            _EXITS.get(status, rejected),
            str(document.get("reason") or f"http_{status}"),
            detail,
            _HINTS.get(status, ""),
        )
        self.status = status
        self.request_id = str(document.get("requestId", ""))
        self.violations = tuple(
            FieldProblem(v.get("field", ""), v.get("description", ""), v.get("reason", ""))
            for v in document.get("violations", ())
        )

    def document(self) -> dict[str, object]:
        """As CliError tells it, with what the server said on top."""
        said = super().document()
        error = dict(said["error"])  # type: ignore[call-overload] # made as a dict above
        error |= {"status": self.status, "request_id": self.request_id}
        if self.violations:
            error["violations"] = [
                {"field": v.field, "description": v.description, "reason": v.reason}
                for v in self.violations
            ]
        return {"error": error}


class Rest:
    """The gateway's REST face. `token` goes with each call; `with_token` speaks for another."""

    def __init__(self, base_url: str, token: str | None = None, *, timeout: float = 10.0) -> None:
        builder = ClientBuilder().timeout(timedelta(seconds=timeout)).user_agent("pq")
        builder = builder.connect_timeout(timedelta(seconds=3)).follow_redirects(False)
        if urlsplit(base_url).hostname in _LOOPBACK:
            builder = builder.no_proxy()
        self.base_url = base_url.rstrip("/")
        self.token = token
        self._client = builder.build()
        self._timeout = timeout

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        await self._client.close()

    async def get(self, path: str, query: Mapping[str, str] | None = None, **more: Any) -> Any:
        """The document at a path such as "/v1/cards"."""
        return await self.call("GET", path, query=query, **more)

    async def post(self, path: str, body: object, **more: Any) -> Any:
        """Posts a document; answers the answer's."""
        return await self.call("POST", path, body=body, **more)

    async def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
        token: str | None = None,
        accept: frozenset[int] = frozenset(),
    ) -> Any:
        """One exchange. `token` speaks instead of the client's own.

        Raises ProblemError for an error, but for the statuses in `accept`, whose document is
        answered; CliError UNREACHABLE where nothing answers, or something that is not pq.
        """
        request = self._client.request(method, self.base_url + path)
        if query:
            request = request.query(dict(query))
        if body is not None:
            request = request.header("content-type", "application/json")
            request = request.body_bytes(orjson.dumps(body))
        speaker = token or self.token
        if speaker:
            request = request.bearer_auth(speaker)
        try:
            response = await request.build().send()
            return await self._read(response, accept)
        except ConnectError:
            raise unreachable(self.base_url, "nothing answers") from None
        except RequestTimeoutError:
            raise unreachable(self.base_url, f"no answer in {self._timeout:g} s") from None
        except RequestError as error:
            raise unreachable(self.base_url, error.message) from None

    async def pages(
        self, path: str, field: str, query: Mapping[str, str] | None = None
    ) -> AsyncIterator[dict[str, Any]]:
        """All items of a List, page after page; `field` is what its answers call them."""
        asked = {"pageSize": "1000", **(query or {})}
        while True:
            page = await self.get(path, asked)
            for item in page[field]:
                yield item
            if not page.get("nextPageToken"):
                return
            asked["pageToken"] = page["nextPageToken"]

    async def _read(self, response: Response, accept: frozenset[int]) -> Any:
        raw = bytes(await response.bytes())
        try:
            document = orjson.loads(raw) if raw else {}
        except orjson.JSONDecodeError:
            document = None
        if response.status < 400 or response.status in accept:
            if document is None:
                raise unreachable(self.base_url, "what answers is not pq: no JSON came")
            return document
        raise ProblemError(response.status, document if isinstance(document, dict) else {})


def unreachable(where: str, why: str) -> CliError:
    """Nothing to talk to at `where`."""
    return CliError(
        Exit.UNREACHABLE,
        "unreachable",
        f"{where}: {why}",
        "start the product with `pq up`, or name its address with --gateway",
    )
