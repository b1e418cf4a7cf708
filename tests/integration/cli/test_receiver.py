"""A receiver on a real socket, spoken to by real clients."""

import asyncio
import base64
import json
from datetime import UTC, datetime

import pytest
from pyreqwest.client import ClientBuilder
from pyreqwest.exceptions import RequestError
from standardwebhooks import Webhook

from gateway.cli.exits import CliError, Exit
from gateway.cli.output import Output
from gateway.cli.webhooks.behaviour import DROP, Behaviour
from gateway.cli.webhooks.listen import listen
from gateway.cli.webhooks.receiver import Receiver
from gateway.cli.webhooks.verify import Verifier

SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
OTHER = "whsec_" + base64.b64encode(b"o" * 32).decode()


def signed(id="msg_1", secret=SECRET, body='{"type":"alert.triggered"}', at=None):
    at = at or datetime.now(UTC)
    headers = {
        "webhook-id": id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign(id, at, body),
    }
    return headers, body.encode()


@pytest.fixture
async def client():
    async with ClientBuilder().no_proxy().build() as built:
        yield built


async def post(client, receiver, headers, body):
    return await client.post(receiver.url).headers(headers).body_bytes(body).build().send()


async def test_deliveries_are_verified_and_repeats_counted(client):
    seen = []
    async with Receiver(seen.append, verifier=Verifier([OTHER, SECRET])) as receiver:
        for _ in range(2):
            assert (await post(client, receiver, *signed())).status == 204
    assert [(d.id, d.type, d.verified, d.seen) for d in seen] == [
        ("msg_1", "alert.triggered", True, 1),
        ("msg_1", "alert.triggered", True, 2),
    ]


async def test_challenges_are_answered_unless_it_is_to_fail(client):
    body = '{"type":"endpoint.verification","data":{"challenge":"q1w2"}}'
    async with Receiver(lambda _delivery: None) as receiver:
        response = await post(client, receiver, *signed(body=body))
        assert (response.status, await response.text()) == (200, "q1w2")
        receiver.behaviour = Behaviour(fail=1.0, status=500)
        assert (await post(client, receiver, *signed(body=body))).status == 500


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda h, b: (h, b + b" "), "no matching signature"),
        (lambda h, b: (h | {"webhook-id": "msg_2"}, b), "no matching signature"),
        (lambda h, b: (h | {"webhook-timestamp": "1"}, b), "too old"),
        (lambda h, b: (h | {"webhook-signature": "nonsense"}, b), "malformed"),
        (lambda h, b: (h | {"webhook-signature": "v1,%"}, b), "no matching signature"),
        (lambda h, b: ({}, b), "missing required headers"),
        (lambda h, b: (h, b"\xff"), "malformed"),
    ],
)
async def test_what_is_not_genuine_says_why(client, change, why):
    seen = []
    async with Receiver(seen.append, verifier=Verifier([SECRET])) as receiver:
        await post(client, receiver, *change(*signed()))
    assert not seen[0].verified
    assert why in seen[0].fault


async def test_it_fails_as_told(client):
    answers = iter([0.1, 0.9])
    behaviour = Behaviour(0.5, 429, retry_after=7)
    async with Receiver(
        lambda _: None, behaviour=behaviour, random=lambda: next(answers)
    ) as receiver:
        first = await post(client, receiver, *signed())
        second = await post(client, receiver, *signed())
    assert (first.status, first.get_header("retry-after")) == (429, "7")
    assert (second.status, second.get_header("retry-after")) == (204, None)


async def test_it_cuts_the_connection(client):
    seen = []
    async with Receiver(seen.append, behaviour=Behaviour(1.0, DROP)) as receiver:
        with pytest.raises(RequestError):
            await post(client, receiver, *signed())
    assert seen[0].status == DROP


async def test_bodies_in_chunks_and_several_requests_on_a_connection():
    seen = []
    async with Receiver(seen.append) as receiver:
        reader, writer = await asyncio.open_connection("127.0.0.1", receiver.port)
        head = "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
        writer.write((head + "3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n").encode() * 2)
        for _ in range(2):
            assert b" 204 " in await reader.readuntil(b"\r\n\r\n")
        writer.close()
    assert [d.body for d in seen] == [b"abcde", b"abcde"]


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\ncontent-length: x\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\ncontent-length: 99999999999\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\na: " + b"x" * 70_000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\n\r\n", 200),
        (b"PUT / HTTP/1.1\r\n\r\n", 405),
    ],
)
async def test_odd_requests_get_a_plain_answer(request_, status):
    async with Receiver(lambda _: None) as receiver:
        reader, writer = await asyncio.open_connection("127.0.0.1", receiver.port)
        writer.write(request_)
        assert (await reader.readline()).split()[1] == str(status).encode()
        writer.close()


async def test_listen_prints_a_line_each_and_a_summary_at_the_end(client, capsys):
    output, ready = Output(json=True), asyncio.Event()

    def started(document):
        original(document)
        ready.set()

    original, output.line = output.line, started
    task = asyncio.create_task(
        listen(
            output,
            host="127.0.0.1",
            port=0,
            secrets=[SECRET],
            behaviour=Behaviour(),
            bodies=False,
        )
    )
    await asyncio.wait_for(ready.wait(), 5)
    url = json.loads(capsys.readouterr().out)["listening"]
    headers, body = signed()
    await client.post(url).headers(headers).body_bytes(body).build().send()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    told = capsys.readouterr()
    delivery = json.loads(told.out)
    assert (delivery["id"], delivery["verified"], delivery["answered"]) == ("msg_1", True, 204)
    assert "1 deliveries, 0 of them repeats, 0 not verified" in told.err


async def test_a_port_in_use_is_said():
    async with Receiver(lambda _: None) as receiver:
        with pytest.raises(CliError, match="cannot listen on") as caught:
            await listen(
                Output(),
                host="127.0.0.1",
                port=receiver.port,
                secrets=[],
                behaviour=Behaviour(),
                bodies=False,
            )
    assert caught.value.exit is Exit.FAILED
