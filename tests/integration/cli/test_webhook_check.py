"""The conformance kit against a right receiver, and against each of the usual wrong ones."""

from __future__ import annotations

import asyncio
import base64
import json

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from gateway.cli.exits import CliError, Exit
from gateway.cli.output import Output
from gateway.cli.webhooks.check import play
from gateway.cli.webhooks.check.cases import CASES, LARGEST
from gateway.cli.webhooks.check.command import check
from tests.integration.delivery.receiver import Arrival, Receiver, answer, drop

SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()


def right(arrival: Arrival) -> int:
    """As the documents have it."""
    try:
        Webhook(SECRET).verify(arrival.body, arrival.headers)
    except (WebhookVerificationError, ValueError, OverflowError):
        return 400
    return 204


def checks_nothing(_arrival: Arrival) -> int:
    return 204


def refuses_all(_arrival: Arrival) -> int:
    return 401


def ignores_time(arrival: Arrival) -> int:
    """Signs what came, and never looks at a clock."""
    return _by_hand(arrival, arrival.body)


def parses_first(arrival: Arrival) -> int:
    """Signs what its JSON library writes."""
    body = json.dumps(json.loads(arrival.body), separators=(",", ":"), ensure_ascii=False).encode()
    return _by_hand(arrival, body) if right(arrival) == 204 else 400


def compares_the_whole_header(arrival: Arrival) -> int:
    several = " " in arrival.headers.get("webhook-signature", "")
    return 400 if several else right(arrival)


def splits_and_hopes(arrival: Arrival) -> int:
    """Takes each part for v1, and for base64."""
    status = right(arrival)
    if status == 204 and "v9,??" in arrival.headers["webhook-signature"]:
        return 400
    return status


def crashes(arrival: Arrival) -> int:
    return 500 if right(arrival) == 400 else 204


def knows_its_events(arrival: Arrival) -> int:
    status = right(arrival)
    if status == 204 and json.loads(arrival.body)["type"] != "alert.triggered":
        return 422
    return status


def validates_strictly(arrival: Arrival) -> int:
    status = right(arrival)
    if status == 204 and "fieldOfTomorrow" in json.loads(arrival.body)["data"]:
        return 422
    return status


def is_small(arrival: Arrival) -> int:
    return 413 if len(arrival.body) > 100_000 else right(arrival)


def conflicts(seen: set[str]):
    def decide(arrival: Arrival) -> int:
        status = right(arrival)
        if status == 204 and arrival.id in seen:
            return 409
        seen.add(arrival.headers.get("webhook-id", ""))
        return status

    return decide


def _by_hand(arrival: Arrival, body: bytes) -> int:
    """Verifies all but the age of the timestamp."""
    import hmac

    headers = arrival.headers
    if not {"webhook-id", "webhook-timestamp", "webhook-signature"} <= headers.keys():
        return 400
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    mine = "v1," + base64.b64encode(hmac.digest(b"k" * 32, signed, "sha256")).decode()
    return 204 if mine in headers["webhook-signature"].split() else 400


async def play_against(decide, capsys, **options) -> tuple[Exit, dict]:
    async def behave(arrival, writer) -> bool:
        return await answer(decide(arrival))(arrival, writer)

    async with Receiver(paths={"/hook": behave}) as receiver:
        code = await check(
            Output(json=True),
            url=receiver.url("/hook"),
            secret=SECRET,
            event_type="alert.triggered",
            **options,
        )
    return code, json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("decide", "wrong"),
    [
        (right, set()),
        (
            checks_nothing,
            {"bad_signature", "tampered", "old_timestamp", "future_timestamp", "replay"}
            | {"missing_headers", "malformed_headers"},
        ),
        (
            refuses_all,
            {"good_signature", "rotated_secret", "other_signature_kinds", "raw_body"}
            | {"unknown_event", "unknown_field", "large_body", "duplicate_id"},
        ),
        (ignores_time, {"old_timestamp", "future_timestamp"}),
        (parses_first, {"raw_body"}),
        (compares_the_whole_header, {"rotated_secret", "other_signature_kinds"}),
        (splits_and_hopes, {"other_signature_kinds"}),
        (
            crashes,
            {"bad_signature", "tampered", "old_timestamp", "future_timestamp", "replay"}
            | {"missing_headers", "malformed_headers"},
        ),
        (knows_its_events, {"unknown_event"}),
        (validates_strictly, {"unknown_field"}),
        (is_small, {"large_body"}),
        (conflicts(set()), {"duplicate_id"}),
    ],
)
async def test_each_receiver_is_told_what_it_gets_wrong(capsys, decide, wrong):
    code, told = await play_against(decide, capsys)
    assert {case["case"] for case in told["cases"] if not case["passed"]} == wrong
    assert [case["case"] for case in told["cases"]] == [case.name for case in CASES]
    assert told["wrong"] == len(wrong)
    assert code is (Exit.DEGRADED if wrong else Exit.OK)
    for case in told["cases"]:
        assert ("advice" in case) is not case["passed"]


async def test_one_case_can_be_played_alone(capsys):
    code, told = await play_against(checks_nothing, capsys, only=["good_signature"])
    assert (code, len(told["cases"])) == (Exit.OK, 1)
    with pytest.raises(CliError, match="good_signature, bad_signature") as caught:
        await play_against(right, capsys, only=["nonsense"])
    assert caught.value.exit is Exit.USAGE


async def test_people_read_what_is_wrong_and_what_to_do(capsys):
    async with Receiver() as receiver:
        await check(Output(), url=receiver.url(), secret=SECRET, event_type="a.b")
    printed = capsys.readouterr().out
    assert "good_signature         right  answered 200\n" in printed
    assert "anybody can send it events" in printed
    assert "8 of 15 cases right" in printed


async def test_the_large_body_is_as_large_as_they_come(capsys):
    sizes = []

    def measure(arrival: Arrival) -> int:
        sizes.append(len(arrival.body))
        return right(arrival)

    await play_against(measure, capsys, only=["large_body"])
    assert LARGEST - 200 < sizes[0] <= LARGEST


@pytest.mark.parametrize(
    ("behaviour", "remark"),
    [
        (answer(302, location="/elsewhere"), "redirect"),
        (answer(410), "disables an endpoint"),
    ],
)
async def test_what_pq_takes_amiss_is_remarked(capsys, behaviour, remark):
    async with Receiver(paths={"/": behaviour}) as receiver:
        await check(
            Output(json=True),
            url=receiver.url(),
            secret=SECRET,
            event_type="a.b",
            only=["good_signature"],
        )
    [case] = json.loads(capsys.readouterr().out)["cases"]
    assert not case["passed"]
    assert remark in case["remarks"][0]


async def test_who_cuts_the_line_or_is_late_is_wrong(capsys, monkeypatch):
    monkeypatch.setattr(play, "PATIENCE", 0.2)
    monkeypatch.setattr(play, "SLOW", 0.1)
    never = asyncio.Event()

    async def hang(_arrival, _writer) -> bool:
        await never.wait()
        return False

    async with Receiver(paths={"/drop": drop, "/hang": hang}) as receiver:
        for path, answered in (("/drop", "disconnected"), ("/hang", "no answer in 0.2 s")):
            await check(
                Output(json=True),
                url=receiver.url(path),
                secret=SECRET,
                event_type="a.b",
                only=["good_signature"],
            )
            [case] = json.loads(capsys.readouterr().out)["cases"]
            assert case["answered"] == [answered]


async def test_nobody_there_and_no_secret_are_said_at_once():
    async with Receiver() as receiver:
        url = receiver.url()
    for given, expected in ((SECRET, Exit.UNREACHABLE), ("abc", Exit.USAGE)):
        with pytest.raises(CliError) as caught:
            await check(Output(), url=url, secret=given, event_type="a.b")
        assert caught.value.exit is expected
