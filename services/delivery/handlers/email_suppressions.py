"""The use cases around suppressed mailboxes."""

from __future__ import annotations

import builtins
import csv
import io
from datetime import datetime
from uuid import UUID

from libs.api.filters import Where
from libs.api.wire import resource_name
from libs.clock import Clock
from libs.db import Database, Tx
from libs.errors import AppError, Kind, Violation, invalid, invalid_all, not_found
from libs.ids import Ids
from services.delivery import errors
from services.delivery.domain.email_addresses import (
    MAX_DETAIL,
    Suppression,
    SuppressionReason,
    check_email,
    key_of,
)
from services.delivery.sending.worker import Worker
from services.delivery.store import email_suppressions

MAX_ROWS = 20_000
_REASONS = {reason.word: reason for reason in SuppressionReason}
# What a List answers as CSV; a stranger's file may say either.
_REASONS |= {f"SUPPRESSION_REASON_{reason.name}": reason for reason in SuppressionReason}
_FAULTS = 20


class Suppressions:
    """Mailboxes that nothing is sent to."""

    def __init__(self, db: Database, worker: Worker, clock: Clock, ids: Ids) -> None:
        self._db = db
        self._worker = worker
        self._clock = clock
        self._ids = ids

    async def create(
        self, tx: Tx, email: str, reason: SuppressionReason, detail: str, source: str
    ) -> Suppression:
        """Raises AppError: INVALID naming the field, ALREADY_EXISTS."""
        made = self._made(
            check_email(email, "suppression.email").key,
            reason,
            check_detail(detail, "suppression.detail"),
            source,
            self._clock.now(),
        )
        if not await email_suppressions.insert(tx, [made]):
            raise AppError(
                Kind.ALREADY_EXISTS,
                errors.SUPPRESSION_EXISTS,
                f"suppression.email: {made.email_key} is suppressed already",
            )
        tx.after_commit(self._worker.wake)
        return made

    async def list(
        self, where: Where, before: UUID | None, limit: int
    ) -> builtins.list[Suppression]:
        """Newest first."""
        return await email_suppressions.list_page(self._db, where, before, limit)

    async def delete(self, tx: Tx, id: UUID) -> None:
        """Lifts a suppression. Raises AppError (NOT_FOUND)."""
        if not await email_suppressions.delete(tx, id):
            raise not_found(resource_name("suppressions", "sup", id))

    async def load(self, tx: Tx, data: bytes, source: str) -> tuple[int, int]:
        """Suppresses what a CSV file names; answers how many are new and how many were there.

        Raises AppError (INVALID) naming the first lines at fault; nothing is stored then.
        """
        now = self._clock.now()
        rows = read_csv(data)
        made = [self._made(key, reason, detail, source, now) for key, reason, detail in rows]
        new = await email_suppressions.insert(tx, made)
        tx.after_commit(self._worker.wake)
        return len(new), len(made) - len(new)

    def _made(
        self, key: str, reason: SuppressionReason, detail: str, source: str, now: datetime
    ) -> Suppression:
        return Suppression(self._ids.uuid(), key, reason, detail, source, now)


def check_detail(text: str, field: str) -> str:
    """Raises AppError (INVALID)."""
    if len(text) > MAX_DETAIL or "\x00" in text:
        raise invalid(field, f"expected at most {MAX_DETAIL} characters, and no NUL")
    return text


def read_csv(data: bytes) -> list[tuple[str, SuppressionReason, str]]:
    """(key, reason, detail) of each mailbox, each once. Raises AppError (INVALID)."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise invalid("csv", "expected UTF-8", "bad_encoding") from error
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    found: dict[str, tuple[str, SuppressionReason, str]] = {}
    faults: list[Violation] = []
    try:
        if "email" not in (reader.fieldnames or ()):
            raise invalid("csv", 'expected a header line that names "email"', "header_missing")
        for row in reader:
            if len(found) >= MAX_ROWS:
                raise invalid("csv", f"expected at most {MAX_ROWS} mailboxes", "too_many")
            _read_row(row, reader.line_num, found, faults)
            if len(faults) >= _FAULTS:
                break
    except csv.Error as error:
        raise invalid("csv", f"line {reader.line_num}: {error}", "malformed_csv") from error
    if faults:
        raise invalid_all(faults)
    return list(found.values())


def _read_row(
    row: dict[str, str],
    line: int,
    found: dict[str, tuple[str, SuppressionReason, str]],
    faults: list[Violation],
) -> None:
    field = f"csv[line {line}]"
    word = (row.get("reason") or "manual").strip()
    reason = _REASONS.get(word) or _REASONS.get(word.lower())
    if reason is None:
        told = f"expected one of {', '.join(r.word for r in SuppressionReason)}; got {word[:40]!r}"
        faults.append(Violation(f"{field}.reason", told, "unknown_reason"))
        return
    try:
        box = check_email(key_of(row["email"] or ""), f"{field}.email")
        detail = check_detail(row.get("detail") or "", f"{field}.detail")
    except AppError as error:
        faults.extend(error.violations)
        return
    found.setdefault(box.key, (box.key, reason, detail))
