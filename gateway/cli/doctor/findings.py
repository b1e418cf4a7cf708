"""What the doctor finds, and what it makes of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from gateway.cli.exits import Exit

if TYPE_CHECKING:
    from pq.ops.v1 import ops_pb2

# Seconds that events may wait in an outbox before that is worth a word.
OLD_OUTBOX = 30.0


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that works or does not: why, and what to do about it.

    `reached` is False where nothing answered at all.
    """

    name: str
    ok: bool
    detail: str = ""
    hint: str = ""
    reached: bool = True


@dataclass(frozen=True, slots=True)
class ConsumerLag:
    """A consumer's partitions of one topic together; `halts` says why any of them stands still."""

    consumer: str
    topic: str
    partitions: int
    lag: int
    halts: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ServiceFindings:
    """A service: whether it serves, and what it tells of itself."""

    service: str
    checks: tuple[Check, ...]
    version: str = ""
    uptime_seconds: float | None = None
    outbox_waiting: int | None = None
    outbox_oldest_seconds: float | None = None
    dead_letters: int | None = None
    consumers: tuple[ConsumerLag, ...] = ()


@dataclass(frozen=True, slots=True)
class Findings:
    """All of it."""

    home: str
    gateway: Check
    parts: tuple[Check, ...]
    services: tuple[ServiceFindings, ...]

    def checks(self) -> Iterator[tuple[str, Check]]:
        """Every check with the name of what it is about."""
        yield "REST", self.gateway
        for part in self.parts:
            yield part.name, part
        for service in self.services:
            for check in service.checks:
                yield service.service, check

    def faults(self) -> list[tuple[str, Check]]:
        """What does not work."""
        return [(name, check) for name, check in self.checks() if not check.ok]

    def verdict(self) -> Exit:
        """How the command ends."""
        if not self.faults():
            return Exit.OK
        reached = any(check.reached for _, check in self.checks())
        return Exit.DEGRADED if reached else Exit.UNREACHABLE

    def document(self) -> dict[str, Any]:
        """All of it as JSON."""
        verdict = {Exit.OK: "healthy", Exit.DEGRADED: "degraded"}.get(self.verdict(), "unreachable")
        return {"verdict": verdict, **asdict(self)}


def read_status(status: ops_pb2.ServiceStatus, now: float) -> ServiceFindings:
    """What a service told of itself; `now` is in seconds since 1970."""
    consumers = tuple(_lags(status.partitions))
    outbox = status.outbox if status.HasField("outbox") else None
    oldest = None
    if outbox is not None and outbox.HasField("oldest_time"):
        oldest = max(0.0, now - outbox.oldest_time.ToMilliseconds() / 1000)
    checks = [_part(part) for part in status.parts]
    checks += [] if outbox is None else list(_outbox_checks(outbox, oldest))
    checks += [c for lag in consumers for c in _halts(lag)]
    if status.dead_letter_count:
        checks.append(_dead(status.dead_letter_count))
    return ServiceFindings(
        service=status.service,
        checks=tuple(checks),
        version=status.version,
        uptime_seconds=round(now - status.start_time.ToMilliseconds() / 1000, 1),
        outbox_waiting=None if outbox is None else outbox.waiting,
        outbox_oldest_seconds=oldest,
        dead_letters=status.dead_letter_count,
        consumers=consumers,
    )


def _part(part: ops_pb2.PartStatus) -> Check:
    hint = "" if part.ok else "it mends itself once what it names is back; else see the log"
    return Check(part.name, part.ok, part.detail, hint)


def _outbox_checks(outbox: ops_pb2.OutboxStatus, oldest: float | None) -> Iterator[Check]:
    if outbox.error:
        hint = "events are safe in the outbox and leave once the event log is back"
        yield Check("relay", False, outbox.error, hint)
    elif oldest is not None and oldest > OLD_OUTBOX:
        detail = f"{outbox.waiting:,} events wait, the oldest for {oldest:.0f} s"
        yield Check("outbox", False, detail, "is the event log up, and slow?")


def _lags(partitions: Iterable[ops_pb2.PartitionStatus]) -> Iterator[ConsumerLag]:
    groups: dict[tuple[str, str], list[ops_pb2.PartitionStatus]] = {}
    for partition in partitions:
        groups.setdefault((partition.consumer, partition.topic), []).append(partition)
    for (consumer, topic), members in sorted(groups.items()):
        halts = {member.partition: member.halt for member in members if member.halt}
        yield ConsumerLag(consumer, topic, len(members), sum(m.lag for m in members), halts)


def _halts(lag: ConsumerLag) -> Iterator[Check]:
    for partition, why in sorted(lag.halts.items()):
        yield Check(
            f"{lag.consumer} {lag.topic}/{partition}",
            False,
            f"halted: {why}",
            "mend the cause, then OpsService.ResumePartition lets it go on",
        )


def _dead(count: int) -> Check:
    return Check(
        "dead letters",
        False,
        f"{count:,} events could not be handled and wait for a person",
        "OpsService.ListDeadLetters says why; RedriveDeadLetter handles one again",
    )
