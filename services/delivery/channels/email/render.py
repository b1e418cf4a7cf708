"""What an e-mail says: a message's payload through the templates, in text and in HTML.

The same payload always renders the same, so that a provider's idempotency key holds. Whatever
people chose (names, notes, URLs) is escaped in HTML, and cannot end a header's line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from services.delivery.channels.email.mail import header_text

_TEMPLATES = Path(__file__).resolve().parents[2] / "templates"
_Data = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Rendered:
    """An e-mail's words."""

    subject: str
    text: str
    html: str


@dataclass(frozen=True, slots=True)
class Urls:
    """The links of one e-mail: `base` is the public REST URL; `confirm` and `expiry` are of a
    confirmation alone."""

    base: str
    unsubscribe: str = ""
    confirm: str = ""
    expiry: datetime | None = None


class Renderer:
    """Renders e-mails and the pages behind their links."""

    def __init__(self) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(_TEMPLATES),
            autoescape=select_autoescape(["html.j2"], default=False),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )

    def knows(self, event_type: str) -> bool:
        """Whether there is an e-mail for this type of message."""
        return event_type in _MODELS

    def render(self, event_type: str, payload: bytes, email: str, urls: Urls) -> Rendered:
        """The e-mail of a message. Raises KeyError for a type without one."""
        template, model = _MODELS[event_type]
        values = dict(model(orjson.loads(payload)["data"], urls))
        values |= {"email": email, "unsubscribe_url": urls.unsubscribe}
        subject = header_text(self._text(f"{template}.subject.j2", values))
        values |= {"subject": subject, "preview": values.get("preview", subject)}
        return Rendered(
            subject,
            self._text(f"{template}.txt.j2", values),
            self._text(f"{template}.html.j2", values),
        )

    def page(self, title: str, text: str, *, button: str = "", hint: str = "") -> bytes:
        """A page behind a link."""
        values = {"title": title, "text": text, "button": button, "hint": hint}
        return self._text("page.html.j2", values).encode()

    def _text(self, name: str, values: _Data) -> str:
        return self._environment.get_template(name).render(values)


def money(value: Mapping[str, str] | None) -> str:
    """Such as "12.50 USD"; "" for none."""
    return f"{value['amount']} {value['currencyCode']}" if value else ""


def when(text: str | None) -> str:
    """A time for people, in UTC; "" for none."""
    if not text:
        return ""
    moment = datetime.fromisoformat(text).astimezone(UTC)
    return f"{moment.day} {moment:%B %Y, %H:%M} UTC"


def _card(data: _Data, urls: Urls) -> dict[str, Any]:
    percent = data.get("changePercent")
    return {
        "card": data.get("cardName") or str(data["card"]).removeprefix("cards/"),
        "card_url": f"{urls.base}/v1/{data['card']}",
        "price": money(data["price"]),
        "reason": str(data["reason"]).rstrip("."),
        "change": f"{percent:+.1f} %".replace("-", "\u2212") if percent is not None else "",
        "rising": percent is not None and percent >= 0,
    }


def _alert(data: _Data, urls: Urls) -> dict[str, Any]:
    facts = [("Price", f"{money(data['price'])}, {data['day']}")]
    if data.get("previousPrice"):
        facts.append(("Before", f"{money(data['previousPrice'])}, {data['previousDay']}"))
    if data.get("threshold"):
        facts.append(("Your level", money(data["threshold"])))
    if data.get("percent") is not None:
        facts.append(("Your change", f"{data['percent']:g} %"))
    facts.append(("Fired", when(data["fireTime"])))
    made = _card(data, urls)
    return {**made, "facts": facts, "note": data.get("note") or "", "preview": made["reason"]}


def _digest(data: _Data, urls: Urls) -> dict[str, Any]:
    alerts = [_card(alert, urls) for alert in data["alerts"]]
    days = {alert["day"] for alert in data["alerts"]}
    return {
        "alerts": alerts,
        "day": days.pop() if len(days) == 1 else "",
        "preview": ", ".join(alert["card"] for alert in alerts[:5]),
    }


def _confirmation(_data: _Data, urls: Urls) -> dict[str, Any]:
    expires = when(urls.expiry.isoformat()) if urls.expiry else ""
    return {"confirm_url": urls.confirm, "expires": expires}


def _endpoint(data: _Data, _urls: Urls) -> dict[str, Any]:
    facts = [("URL", str(data["url"])), ("Endpoint", str(data["endpoint"]))]
    if data.get("description"):
        facts.append(("Description", str(data["description"])))
    if data.get("failingSince"):
        facts.append(("Failing since", when(data["failingSince"])))
    if data.get("lastCode"):
        facts.append(("Last answer", str(data["lastCode"])))
    return {
        "url": data["url"],
        "facts": facts,
        "disable_time": when(data.get("disableTime")),
        "why": _WHY.get(str(data.get("reason", "")), _WHY[""]),
    }


_WHY = {
    "endpoint_gone": "It answered 410 Gone, which asks us to stop.",
    "": "Nothing but failure came back from it for so long that we stopped trying.",
}
CONFIRMATION = "email.confirmation"
_MODELS = {
    "alert.triggered": ("alert", _alert),
    "alert.digest": ("digest", _digest),
    CONFIRMATION: ("confirmation", _confirmation),
    "endpoint.failing": ("endpoint_failing", _endpoint),
    "endpoint.disabled": ("endpoint_disabled", _endpoint),
}
