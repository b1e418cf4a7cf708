"""Amazon SES's notifications, which SNS can send as mails: JSON where the words would be."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

from services.delivery.domain.bounces.report import host
from services.delivery.domain.bounces.rows import Draft

_MAX_RECIPIENTS = 100
_BEGINS = re.compile(r'\{\s{0,20}"(?:notificationType|eventType|bounce|mail|complaint)"')


def read(text: str) -> tuple[str, list[Draft], str]:
    """Of a notification its type in lower case ("" where the text has none), the recipients, and
    the server that reports."""
    begins = _BEGINS.search(text)
    if begins is None:
        return "", [], ""
    try:
        document, _ = json.JSONDecoder().raw_decode(text[begins.start() :].replace("\n", ""))
    except (ValueError, RecursionError):
        return "", [], ""
    kind = document.get("notificationType") or document.get("eventType")
    if not isinstance(kind, str):
        return "", [], ""
    kind = kind.lower()
    inner = document.get(kind)
    if not isinstance(inner, dict):
        return "", [], ""
    return kind, list(_recipients(kind, inner)), host(_text(inner, "reportingMTA"))


def _recipients(kind: str, inner: Mapping[str, object]) -> Iterator[Draft]:
    named = inner.get(
        {"bounce": "bouncedRecipients", "complaint": "complainedRecipients"}.get(kind, "")
    )
    for entry in named[:_MAX_RECIPIENTS] if isinstance(named, list) else ():
        if not isinstance(entry, dict):
            continue
        yield Draft(
            _text(entry, "emailAddress"),
            _text(entry, "status"),
            _text(entry, "diagnosticCode").removeprefix("smtp;").strip(),
            _text(entry, "action"),
        )


def _text(values: Mapping[str, object], name: str) -> str:
    value = values.get(name)
    return value[:2000] if isinstance(value, str) else ""
