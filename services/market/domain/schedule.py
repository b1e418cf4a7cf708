"""When sources are fetched: at a time of day, in a time zone, once a day."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import time

from libs.daily import Daily, zone

_ENTRY = re.compile(r"([a-z0-9-]{1,40})=([01]\d|2[0-3]):([0-5]\d)@([A-Za-z0-9_+/-]{1,60})")


@dataclass(frozen=True, slots=True)
class Scheduled(Daily):
    """When a source is fetched."""

    source: str


def schedule(text: str) -> tuple[Scheduled, ...]:
    """Reads "tcgcsv=21:30@UTC,…"; nothing for an empty text. Raises ValueError."""
    found: dict[str, Scheduled] = {}
    for part in filter(None, map(str.strip, text.split(","))):
        match = _ENTRY.fullmatch(part)
        if match is None or match[1] in found:
            raise ValueError(
                "expected sources with a time and a time zone, such as tcgcsv=21:30@UTC, once each"
            )
        at = time(int(match[2]), int(match[3]))
        found[match[1]] = Scheduled(at, zone(match[4]), match[1])
    return tuple(found.values())
