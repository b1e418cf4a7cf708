"""The id of the request under way, which logs and errors carry."""

from __future__ import annotations

import re
from contextvars import ContextVar

from libs import entropy

HEADER = "x-request-id"
_FORM = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")
_current: ContextVar[str] = ContextVar("request_id", default="")


def request_id() -> str:
    """The id of the request under way; empty outside of any."""
    return _current.get()


def set_request_id(value: str) -> None:
    """Sets the id for the rest of this task."""
    _current.set(value)


def new_request_id() -> str:
    """A fresh one: "req_" and 128 random bits in hex. It names a request and nothing else, so it is
    no time-ordered id and needs no clock."""
    return f"req_{entropy.shared(16).hex()}"


def accept_request_id(offered: str | None) -> str:
    """What a client offered, where it can be one, else a fresh one."""
    if offered is not None and _FORM.fullmatch(offered):
        return offered
    return new_request_id()
