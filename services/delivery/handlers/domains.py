"""The use cases around sending domains: DNS is read outside every transaction."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from libs.api.filters import Where
from libs.clock import Clock
from libs.db import Database, Tx
from libs.errors import AppError, Kind, not_found
from libs.obs.metrics import DOMAIN_AUTH
from services.delivery import errors
from services.delivery.dns.survey import Survey
from services.delivery.domain.authentication.report import Report, drift, settle
from services.delivery.domain.authentication.stored import SendingDomain
from services.delivery.domain.authentication.subject import (
    SigningKey,
    Subject,
    check_subject,
    with_own_keys,
)
from services.delivery.domain.authentication.verdict import Verdict, worst
from services.delivery.handlers.domain_events import drifted
from services.delivery.store import domains

log = logging.getLogger(__name__)

MAX_DOMAINS = 1000
# Longer than a check can take; then it is another replica's.
LEASE = timedelta(minutes=1)
# As values of the metric: the worse the lower, what nobody could say below all.
_LEVELS = {Verdict.PASS: 2, Verdict.WARN: 1, Verdict.FAIL: 0, Verdict.UNKNOWN: -1}


@dataclass(frozen=True, slots=True)
class Found:
    """What a check found, of the domain as it was then."""

    begun: datetime
    revision: int
    report: Report


class Domains:
    """Sending domains. `interval` is how often each is checked; `own` are the keys that we sign
    with ourselves."""

    def __init__(
        self,
        db: Database,
        survey: Survey,
        clock: Clock,
        interval: timedelta,
        own: Sequence[SigningKey] = (),
    ) -> None:
        self._db = db
        self._survey = survey
        self._clock = clock
        self._interval = interval
        self._own = own
        self._shown: set[tuple[str, str]] = set()

    async def create(self, tx: Tx, asked: Subject) -> SendingDomain:
        """Adds a domain, unchecked. Raises AppError: INVALID, ALREADY_EXISTS, PRECONDITION."""
        subject = check_subject(asked)
        if await domains.count(tx) >= MAX_DOMAINS:
            text = f"at most {MAX_DOMAINS} domains; delete one first"
            raise AppError(Kind.PRECONDITION, errors.TOO_MANY_DOMAINS, text)
        if not await domains.insert(tx, subject, self._clock.now()):
            text = f"{subject.domain} is there already"
            raise AppError(Kind.ALREADY_EXISTS, errors.DOMAIN_EXISTS, text)
        return await self._get(tx, subject.domain)

    async def get(self, name: str) -> SendingDomain:
        """Raises AppError (NOT_FOUND)."""
        return await self._get(self._db, name)

    async def list(self, where: Where, after: str, limit: int) -> list[SendingDomain]:
        """By name."""
        return await domains.list_page(self._db, where, after, limit)

    async def update(
        self, tx: Tx, name: str, etag: str, change: Callable[[Subject], Subject]
    ) -> SendingDomain:
        """Changes what is asked for. Raises AppError: INVALID, NOT_FOUND, ABORTED."""
        held = await self._lock(tx, name, etag)
        await domains.update(tx, check_subject(change(held.subject)), self._clock.now())
        return await self._get(tx, name)

    async def delete(self, tx: Tx, name: str, etag: str) -> None:
        """Takes it away. Raises AppError: NOT_FOUND, ABORTED."""
        await self._lock(tx, name, etag)
        await domains.delete(tx, name)

    async def check(self, name: str) -> SendingDomain:
        """Reads DNS and keeps what was found. Raises AppError (NOT_FOUND)."""
        held = await self.get(name)
        begun = self._clock.now()
        report = await self._survey.report(with_own_keys(held.subject, self._own))
        found = Found(begun, held.revision, report)
        async with self._db.transaction() as tx:
            return await self._keep(tx, name, found)

    async def recheck(self) -> int:
        """Checks what is due, one after the other; answers how many. Each by one replica only."""
        done = 0
        while (name := await domains.claim_due(self._db, self._clock.now(), LEASE)) is not None:
            try:
                await self.check(name)
            except AppError as error:
                if error.kind is not Kind.NOT_FOUND:
                    raise
            done += 1
        return done

    async def round(self) -> None:
        """Checks what is due, and shows how all domains stand, also where a check fails on us."""
        try:
            await self.recheck()
        finally:
            await self.measure()

    async def measure(self) -> None:
        """Shows the verdicts as metrics: in every replica the same, whoever checked."""
        found: dict[tuple[str, str], list[Verdict]] = {}
        for name, check, verdict in await domains.verdicts(self._db):
            found.setdefault((name, check.name.lower()), []).append(verdict)
        shown = {labels: _LEVELS.get(worst(held)) for labels, held in found.items()}
        kept = {labels: level for labels, level in shown.items() if level is not None}
        for labels in self._shown - kept.keys():
            DOMAIN_AUTH.remove(*labels)
        for labels, level in kept.items():
            DOMAIN_AUTH.labels(*labels).set(level)
        self._shown = set(kept)

    async def _keep(self, tx: Tx, name: str, found: Found) -> SendingDomain:
        """Keeps a report, unless the domain was changed or checked again since it was begun."""
        held = await domains.lock(tx, name)
        if held is None:
            raise _missing(name)
        newer = held.check_time is not None and held.check_time > found.begun
        if newer or held.revision != found.revision:
            return held
        known = {finding.key: finding for finding in held.settled}
        settled = settle(known, found.report.findings)
        changes = drift(known, settled)
        if changes:
            tx.publish(drifted(held.name, found.report.verdict, changes, found.begun))
            codes = [f"{change.before.code} to {change.after.code}" for change in changes]
            log.warning("a sending domain drifted", extra={"domain": name, "changes": codes})
        moved = found.begun if changes else held.drift_time
        times = (found.begun, moved, self._clock.now() + self._interval)
        await domains.save(tx, name, found.report, settled.values(), times)
        return await self._get(tx, name)

    async def _get(self, reader: Tx | Database, name: str) -> SendingDomain:
        held = await domains.get(reader, name)
        if held is None:
            raise _missing(name)
        return held

    async def _lock(self, tx: Tx, name: str, etag: str) -> SendingDomain:
        held = await domains.lock(tx, name)
        if held is None:
            raise _missing(name)
        if etag and etag != held.etag:
            text = "the domain was changed meanwhile; get it"
            raise AppError(Kind.ABORTED, errors.ETAG_MISMATCH, text)
        return held


def _missing(name: str) -> AppError:
    return not_found(f"domains/{name}")
