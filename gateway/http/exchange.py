"""One HTTP request as the rooms here see it, and the answer to it."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator

from gateway.http.request import HeaderFields, Headers, Request
from libs.errors import AppError, Kind, invalid
from libs.obs.requests import accept_request_id

# Control characters, backslashes, what was no UTF-8, dot segments: never part of a name of ours.
_ODD_PATH = re.compile(r"[\x00-\x1f\x7f\\\ufffd]|/\.{1,2}(?:/|$)")


class Exchange:
    """A request whose head has been read.

    `route` is the template that matched, for metrics; `unread` says that a body waits to be read;
    `quota` are the RateLimit fields of its answer.
    """

    __slots__ = (
        "headers",
        "method",
        "path",
        "query",
        "quota",
        "request",
        "request_id",
        "route",
        "unread",
    )

    def __init__(self, request: Request) -> None:
        headers = request.headers
        self.request = request
        self.headers = headers
        self.method = request.method
        self.path = request.path
        self.query = request.query
        self.route = ""
        self.request_id = accept_request_id(headers.get("x-request-id"))
        self.unread = (
            headers.get("content-length") not in (None, "0")
            or headers.get("transfer-encoding") is not None
        )
        self.quota: Headers = []

    def check_path(self) -> None:
        """Raises AppError INVALID for a path that no resource has."""
        if _ODD_PATH.search(self.path):
            raise invalid("path", "holds a dot segment, a backslash or a bad character", "bad_path")
        if not self.path.startswith("/") and self.path != "*":
            raise invalid("path", "must begin with a slash", "bad_path")


class HeadLimits:
    """How large a request's head may be."""

    def __init__(self, count: int = 64, size: int = 16_384) -> None:
        self.count = count
        self.size = size

    def check(self, headers: HeaderFields) -> None:
        """Raises HeadTooLargeError. `size` is of all values together, in characters."""
        if len(headers) > self.count or headers.size > self.size:
            raise HeadTooLargeError(self.count, self.size)


class HttpError(AppError):
    """A fault of HTTP itself, with a status that no gRPC code stands for."""

    def __init__(
        self, status: int, reason: str, message: str, headers: Headers | None = None
    ) -> None:
        super().__init__(Kind.INVALID, reason, message)
        self.status = status
        self.headers = headers or []


class HeadTooLargeError(HttpError):
    """Too many headers, or too much in them."""

    def __init__(self, count: int, size: int) -> None:
        told = f"at most {count} headers of {size} characters together are taken"
        super().__init__(431, "headers_too_large", told)


class Reply:
    """An answer; `body` is bytes, or pieces of them as they come."""

    __slots__ = ("body", "headers", "status")

    def __init__(
        self, status: int, headers: Headers, body: bytes | AsyncGenerator[bytes] = b""
    ) -> None:
        self.status = status
        self.headers = headers
        self.body = body
