"""How a source quotes: in which currency, and of copies in which condition."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

# Where a source does not tell conditions apart.
ANY = "any"
_SOURCE = re.compile(r"([a-z0-9-]{1,40})=([A-Z]{3})(?:/([a-z0-9_.]{1,40}))?")


@dataclass(frozen=True, slots=True)
class Terms:
    """A currency (ISO 4217), and a condition or grade such as near_mint or psa_10."""

    currency: str
    condition: str = ANY

    def __str__(self) -> str:
        return f"{self.currency}/{self.condition}"


def read(text: str) -> Mapping[str, Terms]:
    """Reads "tcgplayer=USD/near_mint,cardmarket=EUR". Raises ValueError."""
    found: dict[str, Terms] = {}
    for part in text.split(","):
        match = _SOURCE.fullmatch(part.strip())
        if match is None or match[1] in found:
            raise ValueError(
                "expected sources with their currency and, after a slash, the condition that they"
                " quote, such as tcgplayer=USD/near_mint, once each"
            )
        found[match[1]] = Terms(match[2], match[3] or ANY)
    return MappingProxyType(found)
