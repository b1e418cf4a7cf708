"""Errors as RFC 9457 problem+json: the one place where an AppError becomes an HTTP answer."""

from __future__ import annotations

import math
import re
from typing import Any

import orjson

from gateway.http.exchange import HttpError, Reply
from gateway.http.request import Headers
from gateway.transcode.wellknown import json_name
from libs.errors import AppError, Kind, Violation

CONTENT_TYPE = "application/problem+json"
TITLES = {
    400: "Invalid request",
    401: "Not authenticated",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    406: "Not acceptable",
    408: "Request timed out",
    409: "Conflict",
    411: "Length required",
    413: "Too large",
    415: "Unsupported media type",
    422: "Cannot be processed",
    429: "Too many requests",
    431: "Header fields too large",
    499: "Cancelled",
    500: "Internal error",
    501: "Not implemented",
    503: "Unavailable",
    504: "Timed out",
}
_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)+")


def reply(error: AppError, request_id: str) -> Reply:
    """The answer that tells of `error`."""
    status = error.status if isinstance(error, HttpError) else error.kind.http
    document: dict[str, Any] = {
        "type": f"urn:pq:error:{error.reason}",
        "title": TITLES.get(status, "Error"),
        "status": status,
        "detail": _clean(error.message),
        "instance": f"urn:pq:request:{request_id}",
        "reason": error.reason,
        "requestId": request_id,
    }
    if error.violations:
        document["violations"] = [
            {"field": _clean(v.field), "description": _clean(v.description), "reason": v.reason}
            for v in error.violations
        ]
    return Reply(status, _headers(error, status), orjson.dumps(document))


def _headers(error: AppError, status: int) -> Headers:
    headers = [("content-type", CONTENT_TYPE), ("cache-control", "no-store")]
    if isinstance(error, HttpError):
        headers += error.headers
    if status == 401:
        failed = "" if error.reason == "token_missing" else ', error="invalid_token"'
        headers.append(("www-authenticate", f'Bearer realm="pq"{failed}'))
    wait = 1.0 if error.retry_after is None and status == 503 else error.retry_after
    if wait is not None:
        headers.append(("retry-after", str(max(1, math.ceil(wait)))))
    return headers


def in_json_names(error: AppError) -> AppError:
    """The same error with its fields named as JSON names them: "alert.condition.priceAbove"."""
    if not error.violations:
        return error
    renamed = [Violation(_rename(v.field), v.description, v.reason) for v in error.violations]
    told = "; ".join(f"{v.field}: {v.description}" for v in renamed)
    return AppError(
        error.kind,
        error.reason,
        told,
        metadata=error.metadata,
        violations=renamed,
        retry_after=error.retry_after,
    )


def internal(request_id: str) -> AppError:
    """What a client is told of a fault of ours: nothing but how to ask about it."""
    told = f"something went wrong here; the request id {request_id} finds it in our logs"
    return AppError(Kind.INTERNAL, "internal", told)


def _rename(path: str) -> str:
    return _NAME.sub(lambda found: json_name(found[0]), path)


def _clean(text: str) -> str:
    """Text that orjson prints: a lone surrogate, which a client may have sent, becomes "?"."""
    return text if text.isascii() else text.encode(errors="replace").decode()
