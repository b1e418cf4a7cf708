"""Whether a receiver answered a challenge."""

from __future__ import annotations

import json

from services.delivery.domain.outcome import HTTP_STATUS, Exchange

EVENT_TYPE = "endpoint.verification"


def fault(exchange: Exchange, challenge: str) -> str:
    """Why the challenge was not answered, in words for the endpoint's owner; empty where it was."""
    if exchange.code == HTTP_STATUS:
        return f"it answered {exchange.http_status}; expected 2xx"
    if not exchange.is_success:
        return f"it could not be asked: {exchange.code}"
    text = exchange.body.decode("utf-8", "replace").strip()
    if text == challenge:
        return ""
    try:
        answer = json.loads(text)
    except ValueError:
        answer = None
    if answer == challenge or (isinstance(answer, dict) and answer.get("challenge") == challenge):
        return ""
    return 'it answered 2xx without the challenge as its body, or as {"challenge": …}'
