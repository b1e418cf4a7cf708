"""Reports and keys as JSON, and back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import orjson

from services.delivery.domain.authentication.preflight import Ruling, Source
from services.delivery.domain.authentication.report import Report
from services.delivery.domain.authentication.subject import SigningKey
from services.delivery.domain.authentication.verdict import Check, Finding, Verdict
from services.delivery.domain.authentication.wanted import WantedRecord


def dump_keys(keys: Iterable[SigningKey]) -> str:
    """For the column `keys`."""
    return _text([asdict(key) for key in keys])


def load_keys(text: str) -> tuple[SigningKey, ...]:
    """From the column `keys`."""
    return tuple(SigningKey(**row) for row in orjson.loads(text))


def dump_findings(findings: Iterable[Finding]) -> str:
    """For the column `settled`."""
    return _text([asdict(finding) for finding in findings])


def load_findings(text: str) -> tuple[Finding, ...]:
    """From the column `settled`."""
    return tuple(map(_finding, orjson.loads(text)))


def dump_report(report: Report) -> str:
    """For the column `report`."""
    return _text(asdict(report))


def load_report(text: str | None) -> Report | None:
    """From the column `report`."""
    if text is None:
        return None
    raw = orjson.loads(text)
    return Report(
        findings=tuple(map(_finding, raw["findings"])),
        records=tuple(map(_record, raw["records"])),
        rulings=tuple(map(_ruling, raw["rulings"])),
    )


def _finding(raw: dict[str, Any]) -> Finding:
    return Finding(
        Check(raw["check"]),
        Verdict(raw["verdict"]),
        raw["code"],
        raw["text"],
        tuple(raw["records"]),
        raw["subject"],
    )


def _record(raw: dict[str, Any]) -> WantedRecord:
    held = tuple(raw["held"])
    return WantedRecord(Check(raw["check"]), raw["name"], raw["value"], raw["present"], held)


def _ruling(raw: dict[str, Any]) -> Ruling:
    return Ruling(
        Source(**raw["source"]),
        raw["rule"],
        raw["requirement"],
        Verdict(raw["verdict"]),
        raw["text"],
    )


def _text(value: object) -> str:
    return orjson.dumps(value).decode()
