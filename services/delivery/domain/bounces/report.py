"""Machine-readable reports: delivery status (RFC 3464) and feedback (RFC 5965)."""

from __future__ import annotations

import re

from services.delivery.domain.bounces import addresses, codes
from services.delivery.domain.bounces.rows import Draft

_FIELD = re.compile(r"([A-Za-z][A-Za-z-]{1,40})[ \t]{0,8}:[ \t]*(.*)")
_MAX_RECIPIENTS = 100
_DONE = ("delivered", "relayed", "expanded")


def blocks(text: str) -> list[dict[str, list[str]]]:
    """Groups of fields with blank lines between, names in lower case, values unfolded."""
    groups: list[dict[str, list[str]]] = []
    group: dict[str, list[str]] = {}
    values: list[str] | None = None
    for line in text.split("\n"):
        if not line.strip():
            if group:
                groups.append(group)
            group, values = {}, None
            continue
        found = None if line[0] in " \t" else _FIELD.match(line)
        if found is not None:
            if found[1].lower() == "final-recipient" and "final-recipient" in group:
                groups.append(group)
                group = {}
            values = group.setdefault(found[1].lower(), [])
            values.append(found[2].strip())
        elif values:
            values[-1] = f"{values[-1]} {line.strip()}"
    if group:
        groups.append(group)
    return groups


def host(value: str) -> str:
    """The name in "dns; mx.shop.test (192.0.2.1)"."""
    name = value.rpartition(";")[2].strip().partition(" ")[0]
    return name.partition("(")[0].strip("[]")[:253].lower()


def delivery_status(text: str) -> tuple[str, list[Draft]]:
    """The reporting server, and each recipient that was not delivered to."""
    reporting, drafts = "", list[Draft]()
    for group in blocks(text):
        fields = {name: values[0] for name, values in group.items()}
        reporting = reporting or host(fields.get("reporting-mta", ""))
        draft = _recipient(fields)
        if draft is not None and len(drafts) < _MAX_RECIPIENTS:
            drafts.append(draft)
    return reporting, drafts


def _recipient(fields: dict[str, str]) -> Draft | None:
    named = [
        addresses.of_field(fields.get(name, ""))
        for name in ("final-recipient", "x-actual-recipient", "original-recipient")
    ]
    recipient = next((name for name in named if name), "")
    if not recipient or not fields.keys() & {"action", "status"}:
        return None
    action = re.match(r"[a-z]*", fields.get("action", "").lower())
    done = action[0] if action is not None else ""
    if done in _DONE:
        return None
    said = codes.statuses(fields.get("status", ""))
    draft = Draft(recipient, said[0] if said else "", action=done)
    comment = fields.get("status", "").partition("(")[2].rpartition(")")[0]
    draft.diagnostic = _diagnostic(fields)
    draft.said = comment
    draft.category = fields.get("x-powermta-bouncecategory", "").strip().lower()
    draft.remote = host(fields.get("remote-mta", ""))
    return draft


def _diagnostic(fields: dict[str, str]) -> str:
    value = fields.get("diagnostic-code", "")
    kind, semicolon, rest = value.partition(";")
    if not semicolon or len(kind.split()) > 1 or len(kind) > 20:
        return value
    return value if kind.lower() == "x-unix" else rest.strip()


def feedback(text: str) -> tuple[str, list[str], dict[str, str]]:
    """Of a feedback report: its type, the recipients that it names, and its fields."""
    merged: dict[str, list[str]] = {}
    for group in blocks(text):
        for name, values in group.items():
            merged.setdefault(name, []).extend(values)
    named: list[str] = []
    for name in ("original-rcpt-to", "removal-recipient"):
        for value in merged.get(name, [])[:_MAX_RECIPIENTS]:
            named.extend(addresses.in_text(value))
        if named:
            break
    fields = {name: values[0] for name, values in merged.items()}
    return fields.get("feedback-type", ""), list(dict.fromkeys(named)), fields
