"""Events as the tail prints them."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from gateway.cli.exits import CliError
from gateway.cli.tail import Decoder, _brief, choose_topics
from libs.events.catalog import Catalog
from libs.events.record import Record, Stored
from pq.accounts.v1 import accounts_events_pb2


@pytest.fixture(scope="module")
def catalog():
    return Catalog.load()


def stored(type, payload):
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    record = Record(
        UUID(int=7), "pq.accounts.events.v1", 1, "accounts/acc_1", type, moment, "/pq/x", payload
    )
    return Stored(11, record)


def test_topics_are_found_by_a_part_of_their_name(catalog):
    assert choose_topics(catalog, ["prices", "pq.alerts.triggered.v1"]) == [
        *("pq.alerts.triggered.v1", "pq.market.prices.v1")
    ]
    assert not any(topic.endswith(".dlq") for topic in choose_topics(catalog, []))
    assert all(topic.endswith(".dlq") for topic in choose_topics(catalog, ["dlq"]))
    with pytest.raises(CliError, match="no topic has 'weather'"):
        choose_topics(catalog, ["weather"])


def test_long_lists_are_cut_for_people():
    assert _brief({"a": [{"b": [1, 2, 3]}, 2], "c": list(range(1001))}) == {
        "a": [{"b": [1, "… and 2 more"]}, 2],
        "c": [0, "… and 1,000 more"],
    }


def test_an_event_is_decoded_by_its_contract(catalog):
    message = accounts_events_pb2.AccountChanged(
        account="accounts/acc_1", change=accounts_events_pb2.ACCOUNT_CHANGE_CREATED
    )
    type = message.DESCRIPTOR.full_name
    document = Decoder(catalog).document(stored(type, message.SerializeToString()))
    assert document["data"] == {"account": "accounts/acc_1", "change": "ACCOUNT_CHANGE_CREATED"}
    assert (document["offset"], document["time"]) == (11, "2026-01-02T03:04:05Z")


@pytest.mark.parametrize(
    ("type", "payload"), [("pq.unknown.Event", b"\x01"), ("pq.accounts.v1.AccountChanged", b"\xff")]
)
def test_what_cannot_be_decoded_is_shown_as_it_is(catalog, type, payload):
    document = Decoder(catalog).document(stored(type, payload))
    assert document["data_base64"] in ("AQ==", "/w==")
