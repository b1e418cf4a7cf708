"""What messages look like as JSON and as CSV."""

import csv
import io
import json

import pytest
from google.protobuf import wrappers_pb2
from google.protobuf.struct_pb2 import Struct

from gateway.accounts.export import _lists, sections
from gateway.http.csv import Table
from gateway.transcode.descriptors import ContractError, load
from gateway.transcode.write import Writers
from pq.alerts.v1 import alerts_pb2
from pq.delivery.v1 import delivery_pb2
from pq.market.v1 import market_pb2


@pytest.fixture(scope="module")
def writers():
    return Writers()


def shown(writers, message):
    encode = writers.encoder(type(message))
    return json.loads(encode(message.SerializeToString()))


def test_what_has_no_presence_is_always_there_and_what_is_unset_is_null(writers):
    answer = shown(writers, market_pb2.Card(product_id=2**53 + 1))
    assert answer["productId"] == "9007199254740993"
    assert answer["setId"] == "0"
    assert answer["displayName"] == ""
    assert answer["sealed"] is None
    assert answer["headline"] is None
    assert shown(writers, market_pb2.Card(sealed=False))["sealed"] is False


def test_of_a_oneof_only_what_is_set_is_printed(writers):
    condition = alerts_pb2.Condition()
    assert shown(writers, condition) == {}
    condition.percentage_change.percent = 0.1
    assert shown(writers, condition) == {
        "percentageChange": {"percent": 0.1, "direction": "DIRECTION_UNSPECIFIED"}
    }


def test_times_durations_enums_and_words_of_python(writers):
    attempt = delivery_pb2.Attempt(http_status=200)
    attempt.duration.FromNanoseconds(-3_500_000)
    attempt.start_time.FromJsonString("2026-01-31T12:00:00.000001Z")
    answer = shown(writers, attempt)
    assert answer["duration"] == "-0.003500s"
    assert answer["startTime"] == "2026-01-31T12:00:00.000001Z"
    snapshot = market_pb2.Snapshot(mode=market_pb2.MODE_LIVE)
    setattr(snapshot, "import", "imports/i")
    answer = shown(writers, snapshot)
    assert (answer["mode"], answer["import"]) == ("MODE_LIVE", "imports/i")


def test_an_enum_value_of_a_later_version_is_its_number(writers):
    data = (
        market_pb2.Snapshot(mode=market_pb2.MODE_LIVE)
        .SerializeToString()
        .replace(b"\x50\x01", b"\x50\x63")
    )
    assert json.loads(writers.encoder(market_pb2.Snapshot)(data))["mode"] == 99


def test_a_double_that_is_not_finite_is_unknown(writers):
    assert shown(writers, alerts_pb2.PercentageChange(percent=float("nan")))["percent"] is None


def test_wrappers_are_their_value_and_what_has_no_form_is_refused(writers):
    assert (
        writers.writer(wrappers_pb2.Int64Value.DESCRIPTOR)(wrappers_pb2.Int64Value(value=5)) == "5"
    )
    with pytest.raises(ContractError, match="Struct"):
        writers.writer(Struct.DESCRIPTOR)


def read_csv(writers, items):
    descriptor = type(items[0]).DESCRIPTOR
    table = Table(descriptor)
    data = table.header.encode() + table.rows(items, writers.writer(descriptor))
    assert data.endswith(b"\r\n")
    return list(csv.DictReader(io.StringIO(data.decode(), newline=""), strict=True))


def test_nested_fields_are_columns(writers):
    alert = alerts_pb2.Alert(name="alerts/a", note='say "hi",\r\nthen go')
    alert.condition.price_below.amount = "-5"
    [row] = read_csv(writers, [alert])
    assert row["condition.priceBelow.amount"] == "'-5"
    assert row["condition.priceAbove.amount"] == ""
    assert row["note"] == 'say "hi",\r\nthen go'
    assert row["fireCount"] == "0"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx", "\rx", '=HYPERLINK("x")'])
def test_no_cell_is_a_formula(writers, text):
    [row] = read_csv(writers, [alerts_pb2.Alert(note=text)])
    assert row["note"] == "'" + text


def test_lists_in_a_cell(writers):
    endpoint = delivery_pb2.Endpoint(event_types=["a", "b"])
    assert read_csv(writers, [endpoint])[0]["eventTypes"] == "a;b"
    message = delivery_pb2.Message(deliveries=[delivery_pb2.Delivery(endpoint="endpoints/e")])
    [row] = read_csv(writers, [message])
    assert json.loads(row["deliveries"])[0]["endpoint"] == "endpoints/e"


def test_an_export_has_every_list_that_accounts_alone_may_call():
    """A new List for accounts is exported without a line of code; this says that it is."""
    contract = load()
    shown = {s.key: [inner.key for inner in s.inner] for s in sections(tuple(_lists(contract)))}
    assert (
        shown.items()
        >= {
            "tokens": [],
            "alerts": ["firings"],
            "endpoints": [],
            "messages": ["attempts"],
            "emailAddresses": [],
        }.items()
    )
    assert "cards" not in shown
