"""REST answers become values or typed errors."""

from datetime import timedelta

import pytest

from gateway.cli.access import AccessTokens
from gateway.cli.client import ProblemError, Rest
from gateway.cli.exits import CliError, Exit
from libs.testing.clock import FakeClock
from tests.integration.cli.canned import Canned, problem


async def test_a_problem_is_typed_and_names_its_fields():
    violations = [
        {"field": "endpoint.url", "description": "expected https", "reason": "url_scheme"}
    ]
    document = problem(400, "invalid", "no", violations=violations, requestId="r1")
    async with (
        Canned({"POST /v1/endpoints": lambda _: (400, document)}) as server,
        Rest(server.url, "secret") as rest,
    ):
        with pytest.raises(ProblemError, match="no") as caught:
            await rest.post("/v1/endpoints", {"url": "x"})
    assert (caught.value.exit, caught.value.reason) == (Exit.REJECTED, "invalid")
    assert caught.value.violations[0].field == "endpoint.url"
    assert caught.value.document()["error"]["request_id"] == "r1"
    assert server.asked[0].headers["authorization"] == "Bearer secret"
    assert server.asked[0].body == {"url": "x"}


@pytest.mark.parametrize(
    ("status", "exit"),
    [
        (401, Exit.REFUSED),
        (403, Exit.REFUSED),
        (404, Exit.REJECTED),
        (409, Exit.REJECTED),
        (422, Exit.REJECTED),
        (429, Exit.FAILED),
        (500, Exit.FAILED),
        (503, Exit.DEGRADED),
    ],
)
async def test_a_status_decides_the_exit_code(status, exit):
    async with (
        Canned({"GET /x": lambda _: (status, b"<html>")}) as server,
        Rest(server.url) as rest,
    ):
        with pytest.raises(ProblemError) as caught:
            await rest.get("/x")
    assert caught.value.exit is exit
    assert caught.value.reason == f"http_{status}"


async def test_nothing_there_and_something_else_there_are_unreachable():
    async with Canned({"GET /x": lambda _: (200, b"<html>")}) as server, Rest(server.url) as rest:
        with pytest.raises(CliError, match="what answers is not pq") as caught:
            await rest.get("/x")
        assert caught.value.exit is Exit.UNREACHABLE
    async with Rest(server.url) as rest:
        with pytest.raises(CliError, match="nothing answers") as caught:
            await rest.get("/x")
    assert caught.value.exit is Exit.UNREACHABLE
    assert "pq up" in caught.value.hint


async def test_all_pages_are_read():
    pages = {"": (["a", "b"], "2"), "2": (["c"], "")}

    def page(asked):
        items, following = pages[asked.query.get("pageToken", "")]
        return 200, {"things": [{"id": item} for item in items], "nextPageToken": following}

    async with Canned({"GET /v1/things": page}) as server, Rest(server.url) as rest:
        found = [item["id"] async for item in rest.pages("/v1/things", "things")]
    assert found == ["a", "b", "c"]


async def test_an_access_token_is_exchanged_before_it_ends():
    clock = FakeClock()
    made = []

    def exchange(asked):
        made.append(asked.headers["authorization"])
        stamp = (clock.now() + timedelta(seconds=300)).isoformat().replace("+00:00", "Z")
        return 200, {"accessToken": f"jwt-{len(made)}", "expireTime": stamp}

    async with (
        Canned({"POST /v1/tokens:exchange": exchange}) as server,
        Rest(server.url, "op") as rest,
    ):
        access = AccessTokens(rest, clock)
        assert [await access.get(), await access.get()] == ["jwt-1", "jwt-1"]
        clock.advance(211)
        assert await access.get() == "jwt-2"
        access.forget()
        assert await access.get() == "jwt-3"
    assert made == ["Bearer op"] * 3
