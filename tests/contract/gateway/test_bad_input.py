"""What is refused, how, and that nothing of it reaches a service."""

import asyncio

import pytest

from gateway.http.backends import unavailable
from pq.accounts.v1 import accounts_pb2
from tests.contract.gateway.serving import Canned, parse, serving

JSON = {"Content-Type": "application/json", "Authorization": "Bearer account"}
ALERT = b'{"card":"cards/a","condition":{"priceAbove":{"currencyCode":"USD","amount":"5"}}}'


def check_problem(response, status, reason):
    assert response.status == status, response.body
    assert response.header("content-type") == "application/problem+json"
    assert response.header("cache-control") == "no-store"
    problem = response.json
    assert problem["status"] == status
    assert problem["reason"] == reason
    assert problem["type"] == f"urn:pq:error:{reason}"
    assert problem["requestId"] == response.header("x-request-id")
    return {v["field"]: v["reason"] for v in problem.get("violations", [])}


BODIES = [
    (b"{", "malformed_json", {"body": "malformed_json"}),
    (b"\xff", "malformed_json", {"body": "malformed_json"}),
    (b'{"note": NaN}', "malformed_json", {"body": "malformed_json"}),
    (b'{"card":' * 60_000, "too_deep", {"body": "too_deep"}),
    (b'{"card":"a","card":"b"}', "duplicate_field", {"alert.card": "duplicate_field"}),
    (ALERT[:-1] + b',"colour":1}', "unknown_field", {"alert.colour": "unknown_field"}),
    (ALERT[:-1] + b',"note":7}', "wrong_type", {"alert.note": "wrong_type"}),
    (
        ALERT.replace(b'"5"', b"5"),
        "wrong_type",
        {"alert.condition.priceAbove.amount": "wrong_type"},
    ),
    (b'{"note":"x"}', "required", {"alert.card": "required", "alert.condition": "required"}),
    (
        b'{"card":"c","condition":{"percentageChange":{"percent":1e999}}}',
        "out_of_range",
        {"alert.condition.percentageChange.percent": "out_of_range"},
    ),
    (b"", "required", {"alert": "required"}),
]


@pytest.mark.parametrize(("body", "reason", "violations"), BODIES)
async def test_bodies(gateway, body, reason, violations):
    response = await gateway.ask("POST", "/v1/alerts", JSON, body)
    assert check_problem(response, 400, reason) == violations
    assert not gateway.canned.calls


REQUESTS = [
    ("GET", "/v1/nothing", {}, 404, "no_such_path"),
    ("GET", "/v1/cards/", {}, 404, "no_such_path"),
    ("GET", "/v1/cards/../alerts", {}, 400, "bad_path"),
    ("GET", "/v1/cards/%2e%2e/alerts", {}, 400, "bad_path"),
    ("GET", "/v1/cards/%ff", {}, 400, "bad_path"),
    ("GET", "/v1/cards/a%00b", {}, 400, "bad_path"),
    ("GET", "/v1/cards/a%5cb", {}, 400, "bad_path"),
    ("PUT", "/v1/cards", {}, 405, "method_not_allowed"),
    # One that HTTP knows and the path has not; one that nobody knows (RFC 9110 §9.1).
    ("PROPFIND", "/v1/cards", {}, 405, "method_not_allowed"),
    ("BREW", "/v1/cards", {}, 501, "method_unknown"),
    ("GET", "/v1/cards?x=1", {}, 400, "unknown_parameter"),
    ("GET", "/v1/cards?pageSize=x", {}, 400, "bad_format"),
    ("GET", "/v1/cards?filter=%zz", {}, 400, "bad_encoding"),
    ("GET", "/v1/cards", {"Accept": "image/png"}, 406, "not_acceptable"),
    ("GET", "/v1/alerts", {}, 401, "token_missing"),
    ("GET", "/v1/alerts", {"Authorization": "Bearer nonsense"}, 401, "token_unknown"),
    ("GET", "/v1/cards", {"Authorization": "Bearer nonsense"}, 401, "token_unknown"),
    ("GET", "/v1/alerts", {"Authorization": "Bearer ingest"}, 403, "role_too_low"),
    ("GET", "/v1/imports", {"Authorization": "Bearer account"}, 403, "account_not_allowed"),
    ("DELETE", "/v1/endpoints/e", {"Authorization": "Bearer reader"}, 403, "read_only_token"),
    ("GET", "/v1/cards", {f"X-{n}": "a" for n in range(80)}, 431, "headers_too_large"),
    ("GET", "/v1/cards", {"X-Big": "a" * 20_000}, 431, "headers_too_large"),
]


@pytest.mark.parametrize(("method", "target", "headers", "status", "reason"), REQUESTS)
async def test_requests(gateway, method, target, headers, status, reason):
    response = await gateway.ask(method, target, headers)
    check_problem(response, status, reason)
    assert not gateway.canned.calls
    if status == 401:
        assert response.header("www-authenticate").startswith('Bearer realm="pq"')


async def test_what_is_allowed_is_said(gateway):
    assert (await gateway.ask("PUT", "/v1/alerts")).header("allow") == "GET, HEAD, OPTIONS, POST"


@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded"])
async def test_a_body_that_is_not_said_to_be_json(gateway, kind):
    headers = {"Authorization": "Bearer account"} | ({"Content-Type": kind} if kind else {})
    check_problem(
        await gateway.ask("POST", "/v1/alerts", headers, ALERT), 415, "unsupported_media_type"
    )


async def test_a_compressed_body(gateway):
    headers = {**JSON, "Content-Encoding": "gzip"}
    response = await gateway.ask("POST", "/v1/alerts", headers, ALERT)
    check_problem(response, 415, "unsupported_encoding")


async def test_a_body_where_none_is_taken(gateway):
    assert check_problem(await gateway.ask("GET", "/v1/cards", JSON, b"{}"), 400, "body_not_taken")


async def test_ten_megabytes_are_refused_and_the_client_gets_to_hear_it(gateway):
    response = await gateway.ask("POST", "/v1/alerts", JSON, b"x" * 10_000_000)
    check_problem(response, 413, "body_too_large")
    # A client that asks first is told before it sends anything.
    told = await gateway.raw(
        b"POST /v1/alerts HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer account\r\n"
        b"Expect: 100-continue\r\nContent-Length: 10000000\r\n\r\n"
    )
    assert told.startswith(b"HTTP/1.1 413")


async def test_length_and_chunks_together_are_refused(gateway):
    told = await gateway.raw(
        b"POST /v1/alerts HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n"
        b"Content-Type: application/json\r\nAuthorization: Bearer account\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        b"GET /v1/smuggled HTTP/1.1\r\nHost: t\r\n\r\n"
    )
    check_problem(parse(told), 400, "bad_request")
    assert told.count(b"HTTP/1.1") == 1


async def test_chunks_alone_are_told_to_come_with_a_length(gateway):
    told = await gateway.raw(
        b"POST /v1/alerts HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n"
        b"Authorization: Bearer account\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
    )
    check_problem(parse(told), 411, "length_required")


async def test_two_lengths_or_garbage_do_not_reach_us(gateway):
    for data in (
        b"POST /v1/alerts HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"\x00\x01\x02\r\n\r\n",
    ):
        assert (await gateway.raw(data)).startswith(b"HTTP/1.1 400")


async def test_a_header_flood_ends_in_the_parser(gateway):
    flood = b"".join(b"X-%d: a\r\n" % n for n in range(5_000))
    told = await gateway.raw(b"GET /v1/cards HTTP/1.1\r\nHost: t\r\n" + flood + b"\r\n")
    assert told.startswith(b"HTTP/1.1 431")


async def test_authorization_twice(gateway):
    told = await gateway.raw(
        b"GET /v1/alerts HTTP/1.1\r\nHost: t\r\nConnection: close\r\n"
        b"Authorization: Bearer account\r\nAuthorization: Bearer admin\r\n\r\n"
    )
    check_problem(parse(told), 400, "authorization_repeated")


async def test_a_body_that_does_not_come():
    async with serving(body_timeout=0.2) as gateway:
        told = await gateway.raw(
            b"POST /v1/alerts HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer account\r\n"
            b"Content-Type: application/json\r\nContent-Length: 50\r\n\r\n{"
        )
        check_problem(parse(told), 408, "body_timeout")


async def test_what_a_service_did_not_mean_to_say_is_not_said():
    async def broken(_request, _metadata):
        raise RuntimeError("password=hunter2")

    async with serving(Canned({"GetCard": broken})) as gateway:
        response = await gateway.ask("GET", "/v1/cards/a")
        check_problem(response, 500, "internal")
        assert b"hunter2" not in response.body
        # It is gone: grpc's own words hold its address.
        await gateway.grpc_server.stop(None)
        response = await gateway.ask("GET", "/v1/snapshots/a")
        check_problem(response, 503, "unavailable")
        assert b"127.0.0.1" not in response.body
        assert response.header("retry-after")


async def test_a_service_that_is_too_slow():
    async def slow(_request, _metadata):
        await asyncio.Event().wait()

    async with serving(Canned({"GetCard": slow}), call_timeout=0.2) as gateway:
        check_problem(await gateway.ask("GET", "/v1/cards/a"), 504, "deadline_exceeded")


async def test_too_many_requests():
    async with serving(limit_anonymous_reads="2/60") as gateway:
        first = await gateway.ask("GET", "/v1/cards")
        assert first.header("ratelimit-policy") == '"anonymous-reads";q=2;w=60'
        assert first.header("ratelimit").startswith('"anonymous-reads";r=1;')
        # From memory or not, a read counts; and so does a guess at a token.
        await gateway.ask("GET", "/v1/cards", {"Authorization": "Bearer guess"})
        response = await gateway.ask("GET", "/v1/cards")
        check_problem(response, 429, "rate_limited")
        assert 1 <= int(response.header("retry-after")) <= 30
        other = await gateway.ask("GET", "/v1/cards", {"Authorization": "Bearer account"})
        assert other.status == 200


async def test_a_sign_up_that_could_not_be_served_does_not_count():
    answers = [unavailable(), unavailable(), unavailable()]

    async def sign_up(_request, _metadata):
        if answers:
            raise answers.pop()
        return accounts_pb2.CreateAccountResponse()

    async with serving(Canned({"CreateAccount": sign_up}), limit_signups="1/3600") as gateway:
        asked = [
            await gateway.ask("POST", "/v1/accounts", {"Content-Type": "application/json"}, b"{}")
            for _ in range(5)
        ]
    assert [response.status for response in asked] == [503, 503, 503, 200, 429]
