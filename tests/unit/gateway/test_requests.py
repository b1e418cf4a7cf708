"""What a request may say, and what it is told when it may not."""

from dataclasses import replace

import pytest

from gateway.transcode.descriptors import Binding, Contract, ContractError, load
from gateway.transcode.routes import RouteTable
from gateway.transcode.transcoder import NotRouted, Transcoder
from libs.errors import AppError, Kind


@pytest.fixture(scope="module")
def transcoder():
    return Transcoder(RouteTable(load()))


@pytest.fixture
def decode(transcoder):
    def run(method, path, query="", body=b"", key=None):
        operation, fields = transcoder.find(method, path)
        return operation.decode(fields, query, body, key)

    return run


@pytest.fixture
def refused(decode):
    """{field: reason} of what is refused."""

    def run(*args, **kwargs):
        with pytest.raises(AppError) as caught:
            decode(*args, **kwargs)
        assert caught.value.kind is Kind.INVALID
        return {v.field: v.reason for v in caught.value.violations}

    return run


ALERT = b'{"card":"cards/a","condition":{"priceAbove":{"currencyCode":"USD","amount":"5.00"}}}'


def with_alert(**fields):
    import json

    return json.dumps({**json.loads(ALERT), **fields}).encode()


def test_a_body_that_is_one_field(decode):
    request = decode("POST", "/v1/alerts", body=ALERT, query="requestId=r1")
    assert request.alert.condition.price_above.amount == "5.00"
    assert request.request_id == "r1"


def test_both_spellings_of_a_field_are_taken_but_not_together(decode, refused):
    body = b'{"card":"c","condition":{"price_above":{"currency_code":"USD","amount":"5"}}}'
    assert decode("POST", "/v1/alerts", body=body).alert.condition.price_above.currency_code
    body = b'{"card":"c","condition":{"priceAbove":{"currency_code":"U","currencyCode":"U"}}}'
    assert refused("POST", "/v1/alerts", body=body) == {
        "alert.condition.priceAbove.currencyCode": "duplicate_field"
    }


def test_a_body_that_is_the_request(decode):
    body = b'{"snoozeTime":"2026-01-31T13:00:00.25+01:00","etag":"e"}'
    request = decode("POST", "/v1/alerts/x:snooze", body=body)
    assert (request.name, request.etag) == ("alerts/x", "e")
    assert request.snooze_time.ToJsonString() == "2026-01-31T12:00:00.250Z"


def test_an_empty_body_is_an_empty_request(decode):
    assert decode("POST", "/v1/alerts/x:deactivate").name == "alerts/x"
    assert not decode("POST", "/v1/accounts").HasField("account")


def test_the_name_in_a_body_must_be_that_of_the_path(decode, refused):
    same = b'{"name":"alerts/x"}'
    assert decode("POST", "/v1/alerts/x:deactivate", body=same).name == "alerts/x"
    other = b'{"name":"alerts/y"}'
    assert refused("POST", "/v1/alerts/x:deactivate", body=other) == {"name": "path_differs"}


def test_what_is_output_only_is_passed_over(decode):
    request = decode("POST", "/v1/alerts", body=with_alert(state=7, fireCount=[], createTime="x"))
    assert request.alert.state == 0
    assert not request.alert.HasField("create_time")


def test_null_means_not_given(decode, refused):
    assert not decode(
        "POST", "/v1/alerts", body=with_alert(note=None, deliverWithin=None)
    ).alert.note
    assert refused("POST", "/v1/alerts", body=with_alert(card=None)) == {"alert.card": "required"}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"{", {"body": "malformed_json"}),
        (b'{"a":1} x', {"body": "malformed_json"}),
        (b"\xff\xfe{}", {"body": "malformed_json"}),
        (b'{"note":NaN}', {"body": "malformed_json"}),
        (b'{"note":-Infinity}', {"body": "malformed_json"}),
        (b'{"note":' + b"9" * 5000 + b"}", {"body": "malformed_json"}),
        (b"[" * 101 + b"]" * 101, {"body": "too_deep"}),
        (b"[" * 100_000, {"body": "too_deep"}),
        (b'{"note":"a","note":"b"}', {"alert.note": "duplicate_field"}),
        (b'{"x":[{},{"y":{"k":1,"k":2}}]}', {"alert.x[1].y.k": "duplicate_field"}),
        (
            b'"text"',
            {"alert": "wrong_type", "alert.card": "required", "alert.condition": "required"},
        ),
        (b"null", {"alert": "required"}),
    ],
)
def test_bodies_that_are_no_request(refused, body, expected):
    assert refused("POST", "/v1/alerts", body=body) == expected


def test_a_bracket_in_a_string_is_not_depth(decode):
    body = with_alert(note="[{" * 200 + '\\"[')
    assert decode("POST", "/v1/alerts", body=body).alert.note.startswith("[{")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"nope": 1}, {"alert.nope": "unknown_field"}),
        ({"note": 5}, {"alert.note": "wrong_type"}),
        ({"note": ["x"]}, {"alert.note": "wrong_type"}),
        ({"note": "a\0b"}, {"alert.note": "bad_character"}),
        ({"note": "\ud800"}, {"alert.note": "bad_character"}),
        ({"condition": []}, {"alert.condition": "wrong_type"}),
        ({"deliverWithin": "3.5"}, {"alert.deliverWithin": "bad_format"}),
        ({"deliverWithin": 3}, {"alert.deliverWithin": "wrong_type"}),
        ({"deliverWithin": "315576000001s"}, {"alert.deliverWithin": "out_of_range"}),
        (
            {"condition": {"priceAbove": {}, "priceBelow": {}}},
            {"alert.condition.priceBelow": "one_of"},
        ),
        (
            {"condition": {"percentageChange": {"percent": "10"}}},
            {"alert.condition.percentageChange.percent": "wrong_type"},
        ),
        (
            {"condition": {"percentageChange": {"percent": 10**400}}},
            {"alert.condition.percentageChange.percent": "out_of_range"},
        ),
        (
            {"condition": {"percentageChange": {}}},
            {"alert.condition.percentageChange.percent": "required"},
        ),
        (
            {"condition": {"percentageChange": {"percent": 1, "direction": "UP"}}},
            {"alert.condition.percentageChange.direction": "unknown_value"},
        ),
        (
            {"condition": {"percentageChange": {"percent": 1, "direction": 1}}},
            {"alert.condition.percentageChange.direction": "wrong_type"},
        ),
    ],
)
def test_fields_that_are_wrong_are_named(refused, fields, expected):
    assert refused("POST", "/v1/alerts", body=with_alert(**fields)) == expected


def test_a_number_that_overflows_a_double_is_not_infinite(refused):
    body = b'{"card":"c","condition":{"percentageChange":{"percent":1e999}}}'
    assert refused("POST", "/v1/alerts", body=body) == {
        "alert.condition.percentageChange.percent": "out_of_range"
    }


def test_every_fault_is_told_at_once(refused):
    body = b'{"note":1,"x":2,"condition":{"priceAbove":{"amount":3}}}'
    told = refused("POST", "/v1/alerts", body=body, query="y=1")
    assert told == {
        "alert.note": "wrong_type",
        "alert.x": "unknown_field",
        "alert.condition.priceAbove.amount": "wrong_type",
        "alert.card": "required",
        "y": "unknown_parameter",
    }


def test_a_misspelt_field_is_met_with_the_right_one(decode):
    with pytest.raises(AppError, match="did you mean 'condition'"):
        decode("POST", "/v1/alerts", body=b'{"conditon":{}}')


@pytest.mark.parametrize(
    "text",
    [
        "2026-02-30T00:00:00Z",
        "2026-01-31 12:00:00Z",
        "2026-01-31T12:00:00",
        "2026-01-31t12:00:00z",
        "2026-01-31T24:00:00Z",
        "2026-01-31T12:00:60Z",
        "2026-01-31T12:00:00+24:00",
        "2026-01-31T12:00:00.Z",
        "2026-01-31T12:00:00.1234567891Z",
        "0001-01-01T00:00:00+01:00",
        "٢٠٢٦-01-31T12:00:00Z",
        "",
    ],
)
def test_times_are_read_strictly(refused, text):
    import json

    body = json.dumps({"snoozeTime": text}).encode()
    assert list(refused("POST", "/v1/alerts/x:snooze", body=body)) == ["snoozeTime"]


def test_query_parameters(decode):
    request = decode("GET", "/v1/cards", query="pageSize=5&filter=a%3D1+AND%20b&order_by=name&&")
    assert (request.page_size, request.filter, request.order_by) == (5, "a=1 AND b", "name")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("x=1", {"x": "unknown_parameter"}),
        ("=1", {"query": "unknown_parameter"}),
        ("pageSize=", {"pageSize": "bad_format"}),
        ("pageSize=1.0", {"pageSize": "bad_format"}),
        ("pageSize=1_0", {"pageSize": "bad_format"}),
        ("pageSize=2147483648", {"pageSize": "out_of_range"}),
        ("pageSize=" + "9" * 30, {"pageSize": "bad_format"}),
        ("pageSize=1&page_size=2", {"pageSize": "duplicate_field"}),
        ("filter=%zz", {"filter": "bad_encoding"}),
        ("filter=%", {"filter": "bad_encoding"}),
        ("filter=%ff", {"filter": "bad_encoding"}),
        ("filter=%00", {"filter": "bad_character"}),
        ("&".join(f"a{i}=1" for i in range(101)), {"query": "too_many"}),
    ],
)
def test_query_parameters_that_are_wrong(refused, query, expected):
    assert refused("GET", "/v1/cards", query=query) == expected


def test_what_the_path_gives_the_query_may_not(refused):
    assert refused("GET", "/v1/cards/a", query="name=cards/b") == {"name": "unknown_parameter"}
    assert refused("POST", "/v1/alerts/a:deactivate", query="etag=1") == {
        "etag": "unknown_parameter"
    }


def test_the_idempotency_key_becomes_the_request_id(decode, refused):
    assert decode("POST", "/v1/alerts", body=ALERT, key="k").request_id == "k"
    same = decode("POST", "/v1/alerts", body=ALERT, query="requestId=k", key="k")
    assert same.request_id == "k"
    assert refused("POST", "/v1/alerts", body=ALERT, query="requestId=j", key="k") == {
        "requestId": "idempotency_key_differs"
    }
    for bad in ("", "x" * 256, "ü", "a\tb"):
        assert refused("POST", "/v1/alerts", body=ALERT, key=bad) == {
            "Idempotency-Key": "bad_format"
        }


def test_a_key_changes_nothing_where_nothing_changes(decode):
    assert decode("GET", "/v1/cards/a", key="k").name == "cards/a"
    assert decode("POST", "/v1/tokens:exchange", key="k").ByteSize() == 0


def test_head_goes_where_get_does_and_others_are_told_what_there_is(transcoder):
    assert transcoder.find("HEAD", "/v1/cards")[0].rpc.name == "ListCards"
    with pytest.raises(NotRouted) as caught:
        transcoder.find("PATCH", "/v1/cards")
    assert caught.value.allowed == {"GET", "HEAD"}


# AIP-134: an update names its resource in the path and carries the rest of it in the body.
UPDATE = Binding("PATCH", "/v1/{alert.name=alerts/*}", "alert")


def updating(binding):
    [create] = [rpc for rpc in load().rpcs if rpc.name == "CreateAlert"]
    return Transcoder(RouteTable(Contract((replace(create, bindings=(binding,)),), {})))


def test_a_name_within_the_body_comes_from_the_path():
    operation, path = updating(UPDATE).find("PATCH", "/v1/alerts/alr_1")
    request = operation.decode(path, "", ALERT, None)
    assert (request.alert.name, request.alert.card) == ("alerts/alr_1", "cards/a")
    same = with_alert(name="alerts/alr_1")
    assert operation.decode(path, "", same, None) == request
    with pytest.raises(AppError) as caught:
        operation.decode(path, "", with_alert(name="alerts/alr_2"), None)
    assert [(v.field, v.reason) for v in caught.value.violations] == [
        ("alert.name", "path_differs")
    ]


def test_an_update_need_not_repeat_what_stays():
    operation, path = updating(UPDATE).find("PATCH", "/v1/alerts/alr_1")
    assert operation.decode(path, "", b'{"note":"mine"}', None).alert.note == "mine"


@pytest.mark.parametrize("name", ["alert.nothing", "nothing.name", "request_id.name"])
def test_a_path_names_a_field_that_is_there(name):
    with pytest.raises(ContractError, match=name):
        updating(replace(UPDATE, template=f"/v1/{{{name}=alerts/*}}"))


def test_a_map_that_is_required(decode, refused):
    body = b'{"rules":{"source":"a","weights":{"price":1.5}}}'
    assert dict(decode("POST", "/v1/backtests", body=body).backtest.rules.weights) == {"price": 1.5}
    body = b'{"rules":{"source":"a"}}'
    assert refused("POST", "/v1/backtests", body=body) == {"backtest.rules.weights": "required"}
