"""What must arrive, worked out without a line of the product's code.

Plain and slow on purpose: exact fractions, one alert at a time, ids by their written-down recipe.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from hashlib import sha256
from uuid import UUID

BASE32 = "0123456789abcdefghjkmnpqrstvwxyz"

# Prices of one day: card id to cents. A card that is not in it had no market price.
Day = Mapping[str, int]


@dataclass(frozen=True)
class Alert:
    """An alert as its owner asked for it. `level` in cents; `percent` in percent.

    It watches from its creation: days accepted before, `since` the last of them, are no news to it.
    """

    name: str
    card: str
    kind: str
    level: int = 0
    percent: Fraction = Fraction(0)
    direction: str = "both"
    since: str = ""


def holds(alert: Alert, price: int, previous: int | None) -> bool:
    """Whether the condition is true of this price."""
    if alert.kind == "above":
        return price >= alert.level
    if alert.kind == "below":
        return price <= alert.level
    if previous is None or previous == 0:
        return False
    change = Fraction(price - previous, previous) * 100
    if alert.direction == "up":
        return change >= alert.percent
    if alert.direction == "down":
        return -change >= alert.percent
    return abs(change) >= alert.percent


def firing_days(alert: Alert, days: Sequence[tuple[str, Day]]) -> list[str]:
    """The days on which it fires; `days` come in the order of the calendar."""
    fired: list[str] = []
    previous: int | None = None
    held = False
    for day, prices in days:
        price = prices.get(alert.card)
        if price is None:
            continue
        holding = holds(alert, price, previous)
        if alert.kind in ("above", "below"):
            held = previous is not None and holds(alert, previous, None)
        if day > alert.since and holding and not held:
            fired.append(day)
        held, previous = holding and day > alert.since, price
    return fired


def expected(
    alerts: Sequence[Alert], days: Sequence[tuple[str, Day]]
) -> dict[str, tuple[str, str]]:
    """webhook-id to (alert, day), for every webhook that must arrive."""
    found = {}
    for alert in alerts:
        for day in firing_days(alert, days):
            found[webhook_id(alert.name, day)] = (alert.name, day)
    return found


def webhook_id(alert: str, day: str) -> str:
    """alert, day → firing → event → message, as docs/architecture.md writes it down."""
    firing = follow(from_text(alert.rpartition("_")[2]), day)
    event = follow(firing, "triggered")
    message = follow(event, "message")
    return "msg_" + to_text(message)


def follow(parent: UUID, *names: str) -> UUID:
    """RFC 9562 version 8: the parent's 48 bits of time, then a digest of parent and names."""
    data = parent.bytes + b"".join(len(n.encode()).to_bytes(4, "big") + n.encode() for n in names)
    bits = int.from_bytes(sha256(data).digest()[:10], "big")
    time = parent.int >> 80
    middle, low = (bits >> 62) & 0xFFF, bits & ((1 << 62) - 1)
    return UUID(int=(time << 80) | (0x8 << 76) | (middle << 64) | (0x2 << 62) | low)


def to_text(value: UUID) -> str:
    """26 letters and digits, Crockford's base 32."""
    number, letters = value.int, ""
    for _ in range(26):
        number, digit = divmod(number, 32)
        letters = BASE32[digit] + letters
    return letters


def from_text(text: str) -> UUID:
    """The inverse."""
    number = 0
    for letter in text:
        number = number * 32 + BASE32.index(letter)
    return UUID(int=number)
