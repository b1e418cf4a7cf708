"""What a client may rely on, over real HTTP and real gRPC."""

import asyncio
import csv
import gzip
import io

import pytest

from libs.errors import AppError, Kind, Violation
from pq.market.v1.catalog_pb2 import ListRelatedCardsResponse
from tests.contract.gateway.serving import Canned, card, serving, until

ALERT = {"card": "cards/a", "condition": {"priceAbove": {"currencyCode": "USD", "amount": "5"}}}


async def test_a_call_carries_who_and_which_request(gateway):
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    response = await gateway.post(
        "/v1/alerts", ALERT, Idempotency_Key="key-1", X_Request_Id="mine-1", traceparent=trace
    )
    assert response.status == 200, response.body
    assert response.header("x-request-id") == "mine-1"
    assert response.header("cache-control") == "no-store"
    assert response.json["condition"] == ALERT["condition"]
    [(rpc, request, metadata)] = gateway.canned.calls
    assert rpc == "CreateAlert"
    assert request.request_id == "key-1"
    assert metadata["authorization"] == "Bearer jwt-of-account"
    assert metadata["x-request-id"] == "mine-1"
    assert metadata["traceparent"].split("-")[1] == trace.split("-")[1]
    assert metadata["traceparent"] != trace


@pytest.mark.parametrize("given", ["a b", "x" * 129, "<script>", ""])
async def test_a_request_id_that_is_none_is_replaced(gateway, given):
    response = await gateway.ask("GET", "/v1/cards", {"X-Request-Id": given})
    assert response.header("x-request-id").startswith("req_")


async def test_a_public_read_is_answered_from_memory_until_a_snapshot(gateway):
    first = await gateway.ask("GET", "/v1/cards/pokemon-1-holofoil")
    again = await gateway.ask("GET", "/v1/cards/pokemon-1-holofoil")
    assert first.body == again.body
    assert first.header("etag") == again.header("etag")
    assert again.header("cache-control") == "public, max-age=30"
    assert len(gateway.canned.calls) == 1
    gateway.cache.clear()
    await gateway.ask("GET", "/v1/cards/pokemon-1-holofoil")
    assert len(gateway.canned.calls) == 2


async def test_who_asks_the_same_at_once_shares_one_call():
    go = asyncio.Event()

    async def waits(_request, _metadata):
        await go.wait()
        return card(1)

    canned = Canned({"GetCard": waits})
    async with serving(canned) as gateway:
        asking = [asyncio.create_task(gateway.ask("GET", "/v1/cards/a")) for _ in range(8)]
        await until(lambda: gateway.application.active == 8 and bool(canned.calls))
        go.set()
        assert {r.status for r in await asyncio.gather(*asking)} == {200}
    assert len(canned.calls) == 1


async def test_errors_are_not_kept():
    async def fails(_request, _metadata):
        raise AppError(Kind.UNPROCESSABLE, "no", "no")

    async with serving(Canned({"GetCard": fails})) as gateway:
        for _ in range(2):
            assert (await gateway.ask("GET", "/v1/cards/a")).status == 422
        assert len(gateway.canned.calls) == 2


async def test_a_private_read_is_never_kept(gateway):
    for token in ("account", "reader", "account"):
        await gateway.ask("GET", "/v1/alerts", {"Authorization": f"Bearer {token}"})
    assert len(gateway.canned.calls) == 3


@pytest.mark.parametrize("target", ["/v1/cards", "/docs", "/openapi.json"])
async def test_tags_and_encodings(gateway, target):
    plain = await gateway.ask("GET", target)
    packed = await gateway.ask("GET", target, {"Accept-Encoding": "gzip"})
    assert packed.header("content-encoding") == "gzip"
    assert gzip.decompress(packed.body) == plain.body
    assert packed.header("etag") != plain.header("etag")
    assert "accept-encoding" in packed.header("vary")
    for tag in (plain.header("etag"), packed.header("etag"), f'W/"x", {plain.header("etag")}'):
        known = await gateway.ask("GET", target, {"If-None-Match": tag})
        assert known.status == 304
        assert known.body == b""
        assert known.header("etag") == plain.header("etag")
        assert known.header("cache-control")
    assert (await gateway.ask("GET", target, {"If-None-Match": '"x"'})).status == 200


async def test_head_is_get_without_the_body(gateway):
    full = await gateway.ask("GET", "/v1/cards/pokemon-1-holofoil")
    head = await gateway.ask("HEAD", "/v1/cards/pokemon-1-holofoil")
    assert head.status == 200
    assert head.body == b""
    assert head.header("content-length") == full.header("content-length")
    assert head.header("etag") == full.header("etag")


async def test_options_and_preflight(gateway):
    plain = await gateway.ask("OPTIONS", "/v1/alerts")
    assert (plain.status, plain.header("allow")) == (204, "GET, HEAD, OPTIONS, POST")
    asked = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}
    preflight = await gateway.ask("OPTIONS", "/v1/alerts", asked)
    assert preflight.status == 204
    assert preflight.header("access-control-allow-origin") == "*"
    assert "POST" in preflight.header("access-control-allow-methods")
    assert "idempotency-key" in preflight.header("access-control-allow-headers")
    assert (await gateway.ask("OPTIONS", "/nowhere")).status == 404
    assert (await gateway.ask("OPTIONS", "*")).status == 204


async def test_what_a_service_refuses_is_told_in_json_names():
    async def refuses(_request, _metadata):
        field = "alert.condition.price_above.amount"
        violation = Violation(field, "has too many decimals", "too_many_decimals")
        raise AppError(Kind.INVALID, "too_many_decimals", "no", violations=[violation])

    async with serving(Canned({"CreateAlert": refuses})) as gateway:
        response = await gateway.post("/v1/alerts", ALERT)
        assert response.status == 400
        assert response.json["violations"] == [
            {
                "field": "alert.condition.priceAbove.amount",
                "description": "has too many decimals",
                "reason": "too_many_decimals",
            }
        ]


@pytest.mark.parametrize(
    ("kind", "status"),
    [(k, k.http) for k in Kind if k not in (Kind.INTERNAL, Kind.UNAUTHENTICATED)],
)
async def test_each_kind_of_error_has_its_status(kind, status):
    async def fails(_request, _metadata):
        raise AppError(kind, "the_reason", "what happened", retry_after=7)

    async with serving(Canned({"CreateAlert": fails})) as gateway:
        response = await gateway.post("/v1/alerts", ALERT)
        assert (response.status, response.json["reason"]) == (status, "the_reason")
        assert response.header("retry-after") == "7"


async def test_a_service_that_refuses_our_own_token_is_our_fault():
    async def fails(_request, _metadata):
        raise AppError(Kind.UNAUTHENTICATED, "token_unknown_key", "which key?")

    async with serving(Canned({"CreateAlert": fails})) as gateway:
        assert (await gateway.post("/v1/alerts", ALERT)).status == 503


@pytest.mark.parametrize(("key", "calls"), [("k", 2), ("", 1)])
async def test_a_change_is_repeated_only_with_a_key(key, calls):
    canned = Canned()

    async def fails_once(request, _metadata):
        if len(canned.calls) == 1:
            raise AppError(Kind.UNAVAILABLE, "away", "come again")
        return await canned._create_alert(request, None)

    canned.answers["CreateAlert"] = fails_once
    async with serving(canned) as gateway:
        headers = {"Idempotency_Key": key} if key else {}
        response = await gateway.post("/v1/alerts", ALERT, **headers)
        assert response.status == (200 if key else 503)
        assert len(canned.calls) == calls


async def test_a_whole_list_as_csv(gateway):
    response = await gateway.ask("GET", "/v1/cards", {"Accept": "text/csv"})
    assert response.header("content-type").startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(response.body.decode(), newline=""), strict=True))
    assert len(rows) == 2_500
    assert rows[7]["displayName"] == "Charizard ex, no. 7"
    assert rows[7]["headline.market"] == "12.50"
    assert [request.page_size for _, request, _ in gateway.canned.calls] == [1_000] * 3


async def test_one_page_as_csv_says_how_to_go_on(gateway):
    response = await gateway.ask("GET", "/v1/cards?pageSize=10", {"Accept": "text/csv"})
    assert response.body.count(b"\r\n") == 11
    assert response.header("pq-next-page-token") == "10"


async def test_a_list_without_pages_as_csv():
    async def related(_request, _metadata):
        return ListRelatedCardsResponse(cards=[card(1), card(2)])

    async with serving(Canned({"ListRelatedCards": related})) as gateway:
        path = "/v1/cards/pokemon-1-holofoil/related"
        response = await gateway.ask("GET", path, {"Accept": "text/csv"})
        rows = list(csv.DictReader(io.StringIO(response.body.decode(), newline="")))
        assert [row["name"] for row in rows] == [card(1).name, card(2).name]
        assert response.header("pq-next-page-token") is None


async def test_csv_that_breaks_off_does_not_look_whole():
    canned = Canned()

    async def breaks(request, _metadata):
        if request.page_token:
            raise AppError(Kind.INTERNAL, "internal", "it broke")
        return await canned._list_cards(request, None)

    canned.answers["ListCards"] = breaks
    async with serving(canned) as gateway:
        with pytest.raises((ValueError, ConnectionError)):
            await gateway.ask("GET", "/v1/cards", {"Accept": "text/csv"})
        # Others are not touched by it.
        assert (await gateway.ask("GET", "/v1/cards/pokemon-1-holofoil")).status == 200


async def test_a_csv_that_cannot_begin_is_a_problem(gateway):
    response = await gateway.ask("GET", "/v1/alerts", {"Accept": "text/csv"})
    assert response.status == 401
    assert response.header("content-type") == "application/problem+json"


async def test_stopping_finishes_what_is_under_way_and_takes_nothing_new():
    go = asyncio.Event()

    async def waits(_request, _metadata):
        await go.wait()
        return card(1)

    canned = Canned({"GetCard": waits})
    async with serving(canned) as gateway:
        asking = asyncio.create_task(gateway.ask("GET", "/v1/cards/a"))
        await until(lambda: bool(canned.calls))
        stopping = asyncio.create_task(gateway.server.stop(5))
        # asyncio loses track of a connection that comes while its server closes, so none is tried
        # before that.
        await until(lambda: not gateway.server.listening)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", gateway.port)
        assert not asking.done()
        go.set()
        assert (await asking).status == 200
        await stopping


async def test_a_port_that_is_taken_is_said_at_once(gateway):
    from gateway.http.server import bind
    from libs.rpc.server import AddressInUseError

    with pytest.raises(AddressInUseError, match=str(gateway.port)):
        bind("127.0.0.1", gateway.port)
