"""What publish() checks on the spot."""

from __future__ import annotations

import pytest

from libs.events import Catalog, CatalogError, EventSpec, Outbox, Partition, partition_for
from libs.events.outbox import SLOTS, slots
from libs.ids import Ids
from libs.obs import tracing
from libs.testing.clock import FakeClock
from pq.accounts.v1.accounts_events_pb2 import AccountChanged
from pq.market.v1.market_events_pb2 import PricesChanged
from pq.market.v1.market_pb2 import Snapshot


@pytest.fixture
def outbox(clock: FakeClock, ids: Ids) -> Outbox:
    return Outbox(Catalog.load(), "/pq/test", ids, clock)


def test_a_record_has_what_the_contract_says(outbox: Outbox, clock: FakeClock) -> None:
    """Topic, key, partition, type, time and source."""
    message = AccountChanged(account="accounts/a")
    record = outbox.encode(message)
    assert (record.topic, record.key) == ("pq.accounts.events.v1", "accounts/a")
    assert record.partition == partition_for("accounts/a", 4)
    assert record.type == "pq.accounts.v1.AccountChanged"
    assert (record.time, record.source) == (clock.now(), "/pq/test")
    assert AccountChanged.FromString(record.payload) == message


def test_an_integer_key_may_be_zero_and_a_text_key_not_empty(outbox: Outbox) -> None:
    """Shard 0 is a key; an account nobody named is a mistake."""
    assert outbox.encode(PricesChanged(shard=0)).key == "0"
    with pytest.raises(ValueError, match="account must have 1 to 512 bytes"):
        outbox.encode(AccountChanged())
    with pytest.raises(ValueError, match="account must have"):
        outbox.encode(AccountChanged(account="ü" * 257))


def test_what_is_no_event_cannot_be_published(outbox: Outbox) -> None:
    """Told at the call, not by a relay later."""
    with pytest.raises(CatalogError):
        outbox.encode(Snapshot())


@pytest.mark.parametrize(
    "headers",
    [{"Upper": "x"}, {"ce_id": "x"}, {"content-type": "x"}, {"a": "x\0"}, {"a": "x" * 5000}],
)
def test_headers_that_the_log_could_not_carry_are_refused(
    outbox: Outbox, headers: dict[str, str]
) -> None:
    """CloudEvents' own names, capitals, NUL, and too much."""
    with pytest.raises(ValueError, match="header"):
        outbox.encode(AccountChanged(account="accounts/a"), headers=headers)


def test_the_trace_comes_along_unless_another_is_named(outbox: Outbox) -> None:
    """traceparent of the current span, or of the event that is answered."""
    message = AccountChanged(account="accounts/a")
    assert outbox.encode(message).headers == {}
    with tracing.span("test") as span:
        assert outbox.encode(message).headers["traceparent"] == span.context.traceparent
        named = {"traceparent": f"00-{'1' * 32}-{'2' * 16}-01"}
        assert outbox.encode(message, headers=named).headers == named


def test_lock_slots_are_few_and_ascending(outbox: Outbox) -> None:
    """Two publishers never wait in a circle, and 15,000 keys do not fill the lock table."""
    records = [outbox.encode(AccountChanged(account=f"accounts/{n}")) for n in range(2_000)]
    found = slots(records)
    assert found == sorted(set(found))
    assert len(found) == SLOTS
    assert set(found) <= set(range(SLOTS))


def test_shards_spread_over_the_partitions() -> None:
    """64 shards on 16 partitions: none is without work, none has a quarter of it."""
    spec = Catalog.load().spec(PricesChanged)
    assert isinstance(spec, EventSpec)
    counts = [0] * spec.partitions
    for shard in range(64):
        counts[partition_for(str(shard), spec.partitions)] += 1
    assert min(counts) >= 1
    assert max(counts) <= 8
    assert str(Partition(spec.topic, 3)) == "pq.market.prices.v1/3"
