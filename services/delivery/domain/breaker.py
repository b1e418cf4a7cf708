"""A circuit breaker: whether a receiver (or a mail provider) is sent to, after how it answered.

Closed, everything is sent. When too large a share of the answers in a sliding window are failures,
it opens: nothing is sent until a time. Then it is half-open: a few probes are let through, and they
decide. Each opening that follows closely upon the last takes twice as long, up to a cap.

Values only: who keeps them, and what the time is, is the caller's business. A receiver that has
not failed for a while has no breaker at all, and so costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum


class BreakerState(IntEnum):
    """The numbers are those of the contract and of the database."""

    CLOSED = 1
    OPEN = 2
    HALF_OPEN = 3


class Transition(StrEnum):
    """What a breaker did; the words are those of the metric."""

    OPEN = "open"
    REOPEN = "reopen"
    CLOSE = "close"


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """When to open: `minimum` answers or more within `window` seconds, of which `share` failed.

    Open for `first` seconds, then twice as long each time, up to `longest`; the count begins anew
    when it has been closed for `calm` seconds. Half-open, at most `probes` are under way at a time,
    and as many successes close it. A receiver that asks for patience (429, 503) and does not say
    for how long is left alone only after `minimum` such answers with none between them that went
    well, for one message that it is busy for must not hold up the others: for `patience` seconds,
    doubled with every `minimum` more. `longest_patience` bounds what it may ask for.
    """

    window: float = 60.0
    minimum: int = 10
    share: float = 0.5
    first: float = 30.0
    longest: float = 900.0
    calm: float = 600.0
    probes: int = 3
    patience: float = 1.0
    longest_patience: float = 3600.0

    def open_seconds(self, opens: int) -> float:
        """How long the opening number `opens` in a row lasts, 1 for the first."""
        return float(min(self.longest, self.first * 2.0 ** min(opens - 1, 32)))

    def busy_seconds(self, times: int, asked: float | None) -> float:
        """How long to leave a receiver alone that was busy so many times in a row; 0 for not."""
        rounds = times // self.minimum
        own = min(60.0, self.patience * 2.0 ** min(rounds - 1, 32)) if rounds else 0.0
        return float(min(self.longest_patience, max(own, asked or 0.0)))


BUCKETS = 6


@dataclass(frozen=True, slots=True)
class Answers:
    """What came back from one receiver since the last look. `busy` ones are neither successes nor
    failures; `asked` is the longest Retry-After among them, in seconds. Probes are counted apart
    from the others."""

    successes: int = 0
    failures: int = 0
    busy: int = 0
    asked: float | None = None
    probe_successes: int = 0
    probe_failures: int = 0

    @property
    def went_well(self) -> bool:
        """Whether anything arrived."""
        return self.successes + self.probe_successes > 0

    @property
    def mostly_busy(self) -> bool:
        """Whether the receiver was busy for half of them or more."""
        rest = self.successes + self.failures + self.probe_successes + self.probe_failures
        return self.busy > 0 and self.busy >= rest

    @property
    def went_wrong(self) -> bool:
        """Whether anything did not."""
        return self.failures + self.probe_failures + self.busy > 0


@dataclass(frozen=True, slots=True)
class Bucket:
    """A part of the window: `start` in seconds since 1970."""

    start: int
    successes: int
    failures: int


@dataclass(frozen=True, slots=True)
class Breaker:
    """`until` is when an open one lets probes through; `change_time` when its state changed.
    `busy` counts the answers that asked for patience since one went well. `failing_since` is the
    first failure after which nothing arrived; `warned` says that the owner
    was told of it."""

    state: BreakerState = BreakerState.CLOSED
    recent: tuple[Bucket, ...] = ()
    opens: int = 0
    until: datetime | None = None
    change_time: datetime | None = None
    probed: int = 0
    busy: int = 0
    failing_since: datetime | None = None
    warned: bool = False

    @property
    def is_forgettable(self) -> bool:
        """Whether it says nothing that no breaker would not say."""
        return self == Breaker()


@dataclass(frozen=True, slots=True)
class Observed:
    """The breaker as it is now, what it did, and until when its receiver is left alone because it
    asked for patience."""

    breaker: Breaker
    transition: Transition | None = None
    busy_until: datetime | None = None


def observe(breaker: Breaker, policy: BreakerPolicy, now: datetime, answers: Answers) -> Observed:
    """What follows from these answers. Those that a receiver was asked for before its breaker
    opened say nothing new while it is open or half-open: only probes count then."""
    breaker = _note_health(breaker, policy, now, answers)
    if breaker.state is BreakerState.CLOSED:
        seen = _count(breaker, policy, now, answers)
    elif breaker.state is BreakerState.OPEN:
        seen = Observed(breaker)
    elif answers.probe_failures:
        seen = _open(breaker, policy, now, Transition.REOPEN)
    elif answers.probe_successes:
        seen = _probed(breaker, policy, now, answers.probe_successes)
    else:
        seen = Observed(breaker)
    wait = policy.busy_seconds(seen.breaker.busy, answers.asked) if answers.busy else 0.0
    return replace(seen, busy_until=now + timedelta(seconds=wait)) if wait else seen


def admit(
    breaker: Breaker, policy: BreakerPolicy, now: datetime, under_way: int
) -> tuple[Breaker, int | None]:
    """How many may be sent now, where so many are under way; None for no limit.

    An open breaker whose time has come is half-open from here on.
    """
    if breaker.state is BreakerState.CLOSED:
        return breaker, None
    if breaker.state is BreakerState.OPEN:
        if breaker.until is not None and now < breaker.until:
            return breaker, 0
        breaker = replace(
            breaker, state=BreakerState.HALF_OPEN, until=None, change_time=now, probed=0
        )
    return breaker, max(0, policy.probes - under_way)


def _note_health(
    breaker: Breaker, policy: BreakerPolicy, now: datetime, answers: Answers
) -> Breaker:
    # What was under way together says the same thing, however much of it there was.
    busy = min(answers.busy, policy.minimum)
    if answers.went_well:
        busy = busy if answers.mostly_busy else 0
        return replace(breaker, failing_since=None, warned=False, busy=busy)
    if answers.went_wrong:
        since = breaker.failing_since or now
        return replace(breaker, failing_since=since, busy=breaker.busy + busy)
    return breaker


def _count(breaker: Breaker, policy: BreakerPolicy, now: datetime, answers: Answers) -> Observed:
    recent = _slide(breaker.recent, policy.window, now.timestamp(), answers)
    failures = sum(bucket.failures for bucket in recent)
    total = failures + sum(bucket.successes for bucket in recent)
    breaker = replace(breaker, recent=recent)
    if failures and total >= policy.minimum and failures >= policy.share * total:
        return _open(breaker, policy, now, Transition.OPEN)
    if failures == 0 and breaker.opens and _is_calm(breaker, policy, now):
        breaker = replace(breaker, opens=0, change_time=None)
    if failures == 0 and not breaker.opens:
        breaker = replace(breaker, recent=())
    return Observed(breaker)


def _slide(
    recent: tuple[Bucket, ...], window: float, now: float, answers: Answers
) -> tuple[Bucket, ...]:
    width = window / BUCKETS
    start = int(now // width * width)
    kept = [bucket for bucket in recent if now - window < bucket.start]
    ok = answers.successes + answers.probe_successes
    bad = answers.failures + answers.probe_failures
    if kept and kept[-1].start >= start:
        last = kept.pop()
        return (*kept, Bucket(last.start, last.successes + ok, last.failures + bad))
    return (*kept, Bucket(start, ok, bad))


def _open(
    breaker: Breaker, policy: BreakerPolicy, now: datetime, transition: Transition
) -> Observed:
    anew = transition is Transition.OPEN and _is_calm(breaker, policy, now)
    opens = 1 if anew else breaker.opens + 1
    opened = replace(
        breaker,
        state=BreakerState.OPEN,
        recent=(),
        opens=opens,
        until=now + timedelta(seconds=policy.open_seconds(opens)),
        change_time=now,
        probed=0,
    )
    return Observed(opened, transition)


def _probed(breaker: Breaker, policy: BreakerPolicy, now: datetime, successes: int) -> Observed:
    probed = breaker.probed + successes
    if probed < policy.probes:
        return Observed(replace(breaker, probed=probed))
    closed = replace(
        breaker, state=BreakerState.CLOSED, until=None, change_time=now, probed=0, recent=()
    )
    return Observed(closed, Transition.CLOSE)


def _is_calm(breaker: Breaker, policy: BreakerPolicy, now: datetime) -> bool:
    changed = breaker.change_time
    return changed is None or now - changed >= timedelta(seconds=policy.calm)
