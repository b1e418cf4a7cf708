"""What an adapter is, and what it makes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Protocol, runtime_checkable


class DriftError(Exception):
    """A source answered in another shape than it used to; nothing of it is taken."""

    def __init__(self, part: str, field: str, expected: str) -> None:
        super().__init__(f"{part}: {field}: expected {expected}")
        self.part = part
        self.field = field


class AwayError(Exception):
    """A source cannot be reached, or refuses for now; trying again later may help."""


class UnmatchedError(Exception):
    """A source has quotes, and nobody has said yet which cards any of them are of."""


# Fetches a part, such as "3/604/prices": its bytes, as they came. A part that was fetched for the
# same day before is not asked for again. Raises AwayError.
Get = Callable[[str], Awaitable[bytes]]


class Web(Protocol):
    """The way to a source's server. A `path` is one of the server's, or a whole address that the
    server names."""

    async def get(self, path: str) -> bytes:
        """A body. Raises AwayError."""
        ...

    def lines(self, path: str) -> AsyncIterator[bytes]:
        """A body line by line, for one that is too large to be held. Raises AwayError."""
        ...


@dataclass(frozen=True, slots=True)
class Notice:
    """What must be said of a source."""

    title: str
    licence: str
    attribution: str
    homepage: str


@dataclass(frozen=True, slots=True)
class Foreign:
    """A quote of a product by the source's own id, in one printing as the source calls it; prices
    are decimals, "" for none. `quotes` is the source that it is of, where that is another than the
    adapter's: one of copies in another condition."""

    product: str
    printing: str
    display_name: str
    url: str
    market: str
    low: str
    mid: str
    high: str = ""
    direct_low: str = ""
    quotes: str = ""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A day as files: `prices` in the form of price files, `catalog` in that of catalogues,
    `others` price files of sources that quote other conditions. What a source calls by ids of its
    own is `foreign`, and no file before its cards are known."""

    day: date
    prices: bytes
    catalog: bytes
    foreign: Sequence[Foreign] = ()
    others: Mapping[str, bytes] = field(default_factory=dict)


class Adapter(Protocol):
    """A source of prices. `quotes` is the source that its quotes are of, if they do not say."""

    name: str
    quotes: str
    notice: Notice
    base: str

    async def newest(self, get: Get) -> date:
        """The day that the source serves now. Raises AwayError, DriftError."""
        ...

    async def fetch(self, day: date, get: Get) -> Rendered:
        """The day's files. Raises AwayError, DriftError."""
        ...


@runtime_checkable
class Composed(Protocol):
    """An adapter some of whose parts are no files of the server's, but made of what it serves:
    of many small ones, or a few fields of a large one."""

    async def ask(self, part: str, web: Web) -> bytes:
        """A part. Raises AwayError, DriftError."""
        ...


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> bytes:
    """CSV as files have it (RFC 4180)."""
    lines = [",".join(columns), *(",".join(map(_quoted, row)) for row in rows)]
    return ("\r\n".join(lines) + "\r\n").encode()


def _quoted(text: str) -> str:
    if any(c in text for c in ',"\r\n'):
        text = " ".join(text.split()).replace('"', '""')
        return f'"{text}"'
    return text
