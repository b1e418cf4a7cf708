"""Organisational domains, by the public suffix list that comes with `publicsuffixlist`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from publicsuffixlist import PublicSuffixList


class Suffixes:
    """The list is read with the first question: a tenth of a second, and 10 MB."""

    def __init__(self) -> None:
        self._list: PublicSuffixList | None = None

    async def organization(self) -> Callable[[str], str]:
        """What answers a name's organisational domain (RFC 7489, section 3.2)."""
        if self._list is None:
            self._list = await asyncio.to_thread(_load)
        known = self._list
        return lambda name: known.privatesuffix(name) or name


def _load() -> PublicSuffixList:
    from publicsuffixlist import PublicSuffixList

    return PublicSuffixList()
