"""The contracts' events, and what is refused of them."""

from __future__ import annotations

import dataclasses

import pytest

from libs.events import Catalog, CatalogError, EventSpec, Partition
from pq.accounts.v1.accounts_events_pb2 import AccountChanged
from pq.alerts.v1.alerts_events_pb2 import AlertTriggered
from pq.market.v1.market_events_pb2 import PricesChanged, SnapshotPublished
from pq.market.v1.market_pb2 import Snapshot

SPEC = EventSpec("pq.test.v1", "account", 4, AccountChanged)


def test_every_event_of_the_contracts_is_found() -> None:
    """Walked from the package, not listed."""
    catalog = Catalog.load()
    assert {spec.message for spec in catalog.specs} >= {
        AccountChanged,
        AlertTriggered,
        PricesChanged,
        SnapshotPublished,
    }
    assert catalog.spec(PricesChanged).topic == "pq.market.prices.v1"
    assert catalog.topics["pq.market.prices.v1.dlq"] == catalog.topics["pq.market.prices.v1"] == 16
    assert catalog.partitions("pq.market.snapshots.v1") == [Partition("pq.market.snapshots.v1", 0)]


def test_the_table_has_a_row_for_each() -> None:
    """docs/architecture.md shows it."""
    lines = Catalog.load().table().splitlines()
    assert (
        "| `pq.alerts.triggered.v1` | 16 | `recipient` | `pq.alerts.v1.AlertTriggered` |" in lines
    )
    assert len(lines) == 2 + len(Catalog.load().specs)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"partitions": 0}, "0 partitions"),
        ({"topic": ""}, "cannot be a topic"),
        ({"topic": "pq.test.v1.dlq"}, "cannot be a topic"),
        ({"key_field": "nowhere"}, "'nowhere' is no string or integer field"),
        ({"key_field": "change_time"}, "'change_time' is no string or integer field"),
        ({"message": PricesChanged, "key_field": "changes"}, "'changes' is no string"),
    ],
)
def test_a_contract_that_cannot_be_is_refused(changes: dict[str, object], told: str) -> None:
    """At start, before anything is published."""
    with pytest.raises(CatalogError, match=told):
        Catalog([dataclasses.replace(SPEC, **changes)])  # type: ignore[arg-type]


def test_a_type_that_is_there_twice_is_refused() -> None:
    """Only one of them could be right."""
    with pytest.raises(CatalogError, match="twice"):
        Catalog([SPEC, dataclasses.replace(SPEC, topic="pq.other.v1")])


def test_two_partition_counts_for_one_topic_are_refused() -> None:
    """They would disagree about where a key is."""
    other = EventSpec(SPEC.topic, "recipient", 8, AlertTriggered)
    with pytest.raises(CatalogError, match="another number of partitions"):
        Catalog([SPEC, other])


def test_a_message_that_is_no_event_is_refused() -> None:
    """Its class is named."""
    with pytest.raises(CatalogError, match=r"pq\.market\.v1\.Snapshot is no event"):
        Catalog.load().spec(Snapshot)
