"""Page tokens (AIP-158): authenticated, bound to the question they continue, and expiring."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import TypeAlias, TypeVar

import orjson

from libs.clock import Clock
from libs.errors import AppError, Kind, Violation, invalid

T = TypeVar("T")
Cursor: TypeAlias = Sequence[str | int | None]
LIFETIME = timedelta(days=3)
MAX_PAGE_SIZE = 1000
_MAC_SIZE = 16


@dataclass(frozen=True, slots=True)
class Page:
    """What a List was asked for: at most `size` rows, after `cursor` (None on the first page)."""

    size: int
    cursor: Cursor | None
    bind: str


class PageTokens:
    """Makes tokens and checks them.

    `key` is shared by all replicas of a service. A token holds nothing secret: it is signed, not
    encrypted.
    """

    def __init__(self, key: bytes, clock: Clock, lifetime: timedelta = LIFETIME) -> None:
        self._key = key
        self._clock = clock
        self._lifetime = lifetime

    def encode(self, cursor: Cursor, bind: str) -> str:
        """The token for the rows after `cursor`, good only for the question named by `bind`."""
        expiry = int((self._clock.now() + self._lifetime).timestamp())
        body = orjson.dumps([expiry, *cursor])
        return base64.urlsafe_b64encode(self._mac(body, bind) + body).rstrip(b"=").decode()

    def decode(self, token: str, bind: str) -> Cursor:
        """The cursor inside. Raises AppError (INVALID) for a token that is not ours, or not for
        this question, or too old."""
        body = self._open(token, bind)
        expiry, *rest = orjson.loads(body)
        cursor: Cursor = rest
        if expiry < self._clock.now().timestamp():
            raise _refused("page_token_expired", "the token has expired; start from the first page")
        return cursor

    def page(
        self,
        *,
        method: str,
        page_size: int,
        page_token: str,
        default: int,
        question: Sequence[str] = (),
        maximum: int = MAX_PAGE_SIZE,
    ) -> Page:
        """Reads the paging fields of a List request.

        `question` holds all else that the token must be bound to: parent, filter, order, caller.
        """
        bind = "\x00".join((method, *question))
        size = page_size_of(page_size, default, maximum)
        cursor = self.decode(page_token, bind) if page_token else None
        return Page(size, cursor, bind)

    def next(self, page: Page, cursor: Cursor | None) -> str:
        """The token after `page`; empty where `cursor` is None, for the last page."""
        return "" if cursor is None else self.encode(cursor, page.bind)

    def cut(
        self, page: Page, found: Sequence[T], cursor: Callable[[T], Cursor]
    ) -> tuple[Sequence[T], str]:
        """The rows to show, and the next page's token.

        `found` was asked for one row more than the page has: that one tells whether there is more.
        """
        shown = found[: page.size]
        more = len(found) > page.size
        return shown, self.next(page, cursor(shown[-1]) if more else None)

    def _open(self, token: str, bind: str) -> bytes:
        try:
            raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        except ValueError:
            raw = b""
        mac, body = raw[:_MAC_SIZE], raw[_MAC_SIZE:]
        if not hmac.compare_digest(mac, self._mac(body, bind)):
            raise _refused(
                "page_token_invalid",
                "the token is not one of ours for this list, filter and order; start from the"
                " first page",
            )
        return body

    def _mac(self, body: bytes, bind: str) -> bytes:
        question = sha256(bind.encode()).digest()
        return hmac.digest(self._key, question + body, "sha256")[:_MAC_SIZE]


def page_size_of(value: int, default: int, maximum: int = MAX_PAGE_SIZE) -> int:
    """The size asked for; 0 means `default`. Raises AppError (INVALID) outside 0 to `maximum`."""
    if not 0 <= value <= maximum:
        raise invalid("page_size", f"expected 0 to {maximum}; got {value}", "out_of_range")
    return value or default


def _refused(reason: str, description: str) -> AppError:
    violation = Violation("page_token", description, reason)
    return AppError(Kind.INVALID, reason, f"page_token: {description}", violations=[violation])
