"""Headers that an endpoint's owner has sent along.

Credentials for the receiver are what people want them for, so `authorization` may be set. What may
not: whatever frames or routes the request, what we say ourselves, and what makes servers take a
request for something else than it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from libs.errors import Violation, invalid, invalid_all

MAX_HEADERS = 20
MAX_VALUE = 4096
MAX_TOTAL = 8192
# Shown for a value that is a credential; in an update it means: as it was.
HIDDEN = "***"

_NAME = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]{1,64}")  # RFC 9110 §5.6.2, in lower case
_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?")
_FRAMES = "frames the request, or is between two hops"
_ROUTES = "says where the request goes, or where it came from"
_OURS = "is set by us"
_DISGUISES = "makes servers take the request for another"
_REFUSED = {
    "connection": _FRAMES,
    "content-encoding": _FRAMES,
    "content-length": _FRAMES,
    "expect": _FRAMES,
    "http2-settings": _FRAMES,
    "keep-alive": _FRAMES,
    "proxy-authenticate": _FRAMES,
    "proxy-authorization": _FRAMES,
    "proxy-connection": _FRAMES,
    "te": _FRAMES,
    "trailer": _FRAMES,
    "transfer-encoding": _FRAMES,
    "upgrade": _FRAMES,
    "forwarded": _ROUTES,
    "host": _ROUTES,
    "via": _ROUTES,
    "x-original-host": _ROUTES,
    "x-original-url": _ROUTES,
    "x-real-ip": _ROUTES,
    "x-rewrite-url": _ROUTES,
    "accept-encoding": _OURS,
    "content-type": _OURS,
    "traceparent": _OURS,
    "tracestate": _OURS,
    "user-agent": _OURS,
    "x-http-method": _DISGUISES,
    "x-http-method-override": _DISGUISES,
    "x-method-override": _DISGUISES,
    # What clouds ask of those who read a machine's credentials from its metadata service.
    "metadata": _DISGUISES,
    "metadata-flavor": _DISGUISES,
}
_REFUSED_PREFIXES = {
    "webhook-": _OURS,
    "x-forwarded-": _ROUTES,
    "x-aws-ec2-metadata-": _DISGUISES,
    "x-google-metadata-": _DISGUISES,
}
_CREDENTIAL = re.compile(r"auth|cookie|credential|key|pass|secret|session|signature|token")


def check_headers(
    headers: Mapping[str, str], before: Mapping[str, str], field: str
) -> dict[str, str]:
    """The headers by lower-case name; a value of HIDDEN is that of `before`. Raises AppError
    (INVALID) naming each that cannot be sent."""
    if len(headers) > MAX_HEADERS:
        raise invalid(field, f"expected at most {MAX_HEADERS} headers; got {len(headers)}")
    found: dict[str, str] = {}
    wrong = []
    for name, value in headers.items():
        low = name.lower()
        value = before.get(low, value) if value == HIDDEN else value
        why = _fault(low, value, repeated=low in found)
        if why:
            told, reason = why
            wrong.append(Violation(f"{field}[{name[:60]!r}]", told, reason))
        found[low] = value
    if wrong:
        raise invalid_all(wrong)
    if sum(len(name) + len(value) for name, value in found.items()) > MAX_TOTAL:
        raise invalid(field, f"expected at most {MAX_TOTAL} characters in all")
    return found


def shown_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers without credentials."""
    return {name: HIDDEN if _CREDENTIAL.search(name) else value for name, value in headers.items()}


def _fault(name: str, value: str, *, repeated: bool) -> tuple[str, str] | None:
    if not _NAME.fullmatch(name):
        return "is no name of a header", "header_name"
    why = _REFUSED.get(name) or next(
        (why for prefix, why in _REFUSED_PREFIXES.items() if name.startswith(prefix)), ""
    )
    if why:
        return f"cannot be set: it {why}", "header_refused"
    if repeated:
        return "is there twice: names are the same in upper and lower case", "header_repeated"
    if value == HIDDEN:
        return f"{HIDDEN} stands for a value that is there already; there is none", "header_hidden"
    if len(value) > MAX_VALUE or not _VALUE.fullmatch(value):
        return (
            f"expected 1 to {MAX_VALUE} visible ASCII characters, spaces between",
            "header_value",
        )
    return None
