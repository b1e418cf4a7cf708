"""Exact money: whole hundredths inside, decimals outside.

Hundredths are what the market's events count in, for every currency; how many decimals a person
may write depends on the currency.
"""

from __future__ import annotations

import re

from services.alerts.domain.faults import FieldError

# Decimals of a currency (ISO 4217's exponent), for the ones that cards are quoted in.
DECIMALS = {
    "AUD": 2,
    "BRL": 2,
    "CAD": 2,
    "CHF": 2,
    "CNY": 2,
    "CZK": 2,
    "DKK": 2,
    "EUR": 2,
    "GBP": 2,
    "HKD": 2,
    "JPY": 0,
    "KRW": 0,
    "MXN": 2,
    "NOK": 2,
    "NZD": 2,
    "PLN": 2,
    "SEK": 2,
    "SGD": 2,
    "TWD": 2,
    "USD": 2,
}
# 20,000,000.00: just under what the market can quote, and it fits the int4 of the rule index.
MAX_HUNDREDTHS = 2_000_000_000

_AMOUNT = re.compile(r"([0-9]{1,12})(?:\.([0-9]+))?")


def hundredths(currency: str, amount: str) -> int:
    """The hundredths of "12.5". Raises FieldError naming "currency_code" or "amount"."""
    places = DECIMALS.get(currency)
    if places is None:
        known = ", ".join(sorted(DECIMALS))
        raise FieldError("currency_code", "unsupported_currency", f"expected one of {known}")
    match = _AMOUNT.fullmatch(amount)
    if match is None:
        raise FieldError(
            "amount",
            "malformed_amount",
            f"expected up to 12 digits with an optional point, such as 12.50; got {amount[:40]!r}",
        )
    if len(match[2] or "") > places:
        raise FieldError("amount", "too_many_decimals", f"expected {_at_most(places, currency)}")
    value = int(match[1]) * 100 + int((match[2] or "").ljust(2, "0"))
    if value == 0:
        raise FieldError("amount", "not_positive", "expected more than 0")
    if value > MAX_HUNDREDTHS:
        most = decimal(currency, MAX_HUNDREDTHS)
        raise FieldError("amount", "out_of_range", f"expected at most {most}")
    return value


def decimal(currency: str, value: int) -> str:
    """The decimal text of hundredths, with as many places as the currency has.

    A price that is finer than its currency, which none should be, keeps its two places.
    """
    whole, rest = divmod(value, 100)
    if DECIMALS.get(currency) == 0 and rest == 0:
        return str(whole)
    return f"{whole}.{rest:02d}"


def _at_most(places: int, currency: str) -> str:
    return f"at most {places} decimals for {currency}" if places else f"no decimals for {currency}"
