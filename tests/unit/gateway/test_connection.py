"""One connection over a transport of bytes: order, limits and time, however the bytes are cut."""

import asyncio
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.http import connection as room
from gateway.http.application import Application
from gateway.http.connection import Connection
from gateway.http.request import HELD, ClientGoneError

ANSWER = b"ok"


class Transport:
    """Keeps what is written, and what was asked of it."""

    def __init__(self):
        self.sent = bytearray()
        self.closed = self.cut = self.ended = False
        self.reading = True

    def set_write_buffer_limits(self, high):
        self.high = high

    def get_extra_info(self, _name):
        return ("192.0.2.7", 4711)

    def write(self, data):
        assert not self.closed
        self.sent += data

    def can_write_eof(self):
        return True

    def write_eof(self):
        self.ended = True

    def close(self):
        self.closed = True

    def is_closing(self):
        return self.closed

    def abort(self):
        self.closed = self.cut = True

    def pause_reading(self):
        self.reading = False

    def resume_reading(self):
        self.reading = True


class Echo(Application):
    """Tells what it was asked: at once for paths under /now, after `gate` for others."""

    def __init__(self):
        self.asked = []
        self.gate = asyncio.Event()
        self.refused = []

    def answer(self, request):
        self.asked.append((request.method, request.path, request.query))
        if request.path.startswith("/now"):
            request.respond(200, [], request.path.encode())
            return None
        return self._later(request)

    async def _later(self, request):
        if request.path == "/parts":
            request.begin(200, [])
            for part in (b"one", b"two"):
                await request.send(part)
                await self.gate.wait()
            request.end()
            return
        if request.path == "/gated-body":
            await self.gate.wait()
        if request.path.endswith("body"):
            try:
                data = await request.body()
            except ClientGoneError:
                self.refused.append("gone")
                return
            request.respond(200, [], b"%d" % len(data))
            return
        await self.gate.wait()
        request.respond(200, [], request.path.encode())

    def refuse(self, request, error):
        self.refused.append(error.reason)
        request.respond(error.status, [("connection", "close")], error.reason.encode())


class Shared:
    """A server of one connection."""

    def __init__(self):
        self.application = Echo()
        self.stopping = False
        self.tick = 0
        self.date = "Thu, 01 Jan 2026 00:00:00 GMT"
        self.open = set()

    def joined(self, connection):
        self.open.add(connection)

    def left(self, connection):
        self.open.discard(connection)


@pytest.fixture
def shared():
    return Shared()


def connect(shared):
    connection, transport = Connection(shared), Transport()
    connection.connection_made(transport)
    return connection, transport


def get(path, *fields):
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: t", *fields, "", ""]).encode()


def post(path, body, *fields):
    head = [f"POST {path} HTTP/1.1", "Host: t", f"Content-Length: {len(body)}", *fields, "", ""]
    return "\r\n".join(head).encode() + body


def bodies(sent):
    """The bodies of answers that tell their length."""
    found, rest = [], bytes(sent)
    while rest:
        head, _, rest = rest.partition(b"\r\n\r\n")
        length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        found.append(rest[:length])
        rest = rest[length:]
    return found


async def settle():
    for _ in range(5):
        await asyncio.sleep(0)


async def test_requests_of_one_piece_are_answered_in_order(shared):
    connection, transport = connect(shared)
    connection.data_received(get("/later") + get("/now/1") + get("/now/2"))
    assert not transport.sent  # the first is not answered yet
    assert not transport.reading
    shared.application.gate.set()
    await settle()
    assert bodies(transport.sent) == [b"/later", b"/now/1", b"/now/2"]
    assert transport.reading
    assert not transport.closed


@given(cuts=st.lists(st.integers(1, 400), max_size=12), hold=st.booleans())
def test_it_does_not_matter_how_bytes_are_cut(cuts, hold):
    data = get("/now/a%20b?q=%31") + post("/body", b"x" * 90) + get("/later") + get("/now/z")

    async def play():
        shared = Shared()
        connection, transport = connect(shared)
        if not hold:
            shared.application.gate.set()
        edges = sorted({0, len(data), *(min(c, len(data)) for c in cuts)})
        for start, end in itertools.pairwise(edges):
            connection.data_received(data[start:end])
            await settle()
        shared.application.gate.set()
        await settle()
        return bodies(transport.sent), shared.application.asked

    told, asked = asyncio.run(play())
    assert told == [b"/now/a b", b"90", b"/later", b"/now/z"]
    assert asked[0] == ("GET", "/now/a b", "q=%31")


async def test_a_body_is_received_no_faster_than_it_is_read(shared):
    connection, transport = connect(shared)
    sent = post("/gated-body", b"z" * (HELD * 2))
    connection.data_received(sent[: HELD + 1_000])
    await settle()
    assert not transport.reading
    shared.application.gate.set()
    await settle()
    assert transport.reading
    connection.data_received(sent[HELD + 1_000 :])
    await settle()
    assert bodies(transport.sent) == [b"%d" % (HELD * 2)]
    connection.data_received(sent)
    await settle()
    assert len(bodies(transport.sent)) == 2
    assert transport.reading


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"\x00\x01\r\n\r\n", "bad_request"),
        (b"GET /a b c HTTP/1.1\r\n\r\n", "bad_request"),
        (b"BREW / HTTP/1.1\r\n\r\n", "method_unknown"),
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "bad_request"),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", "bad_request"),
        (get("/now/flood", *[f"X-{n}: a" for n in range(200)]), "headers_too_large"),
    ],
)
async def test_what_is_no_request_is_told_and_the_connection_ends(shared, sent, reason):
    connection, transport = connect(shared)
    connection.data_received(get("/now/first"))
    connection.data_received(sent + get("/now/smuggled"))
    assert shared.application.refused == [reason]
    assert [path for _, path, _ in shared.application.asked] == ["/now/first"]
    assert transport.ended
    connection.check_time(room.LINGER_TIME + 1)
    assert transport.cut


async def test_a_head_that_never_ends_is_not_kept(shared):
    connection, _ = connect(shared)
    connection.data_received(b"GET / HTTP/1.1\r\nX: ")
    for _ in range(room.HEAD_SIZE // 1_000 + 1):
        connection.data_received(b"a" * 1_000)
    assert shared.application.refused == ["headers_too_large"]


async def test_a_head_has_its_time_and_a_silent_connection_too(shared):
    connection, transport = connect(shared)
    connection.data_received(b"GET / HT")
    connection.check_time(room.HEAD_TIME)
    assert not shared.application.refused
    connection.check_time(room.HEAD_TIME + 1)
    assert shared.application.refused == ["head_timeout"]
    connection, transport = connect(shared)
    connection.data_received(get("/now"))
    connection.check_time(room.IDLE_TIME)
    assert not transport.closed
    connection.check_time(room.IDLE_TIME + 1)
    assert transport.closed


async def test_a_client_that_does_not_read_is_given_nothing_more(shared):
    connection, transport = connect(shared)
    connection.pause_writing()
    connection.data_received(get("/now/1") + get("/now/2"))
    assert not transport.sent
    assert not transport.reading
    connection.resume_writing()
    assert bodies(transport.sent) == [b"/now/1", b"/now/2"]
    assert transport.reading
    connection.pause_writing()
    connection.check_time(room.STUCK_TIME + 1)
    assert transport.cut


async def test_an_answer_in_parts_ends_with_its_reader(shared):
    connection, transport = connect(shared)
    connection.data_received(get("/parts"))
    await settle()
    task = connection._task
    assert transport.sent.endswith(b"3\r\none\r\n")
    connection.connection_lost(None)
    await settle()
    assert task.done()
    assert not shared.open


async def test_a_change_is_made_although_its_client_has_gone(shared):
    connection, transport = connect(shared)
    connection.data_received(get("/later"))
    await settle()
    connection.connection_lost(None)
    shared.application.gate.set()
    await settle()
    assert connection._task is None
    assert not transport.sent


async def test_a_body_that_never_ends_is_told_to_its_reader(shared):
    connection, _ = connect(shared)
    connection.data_received(post("/body", b"12345")[:-2])
    await settle()
    connection.connection_lost(None)
    await settle()
    assert shared.application.refused == ["gone"]


@pytest.mark.parametrize(
    ("version", "field", "kept"),
    [
        ("1.1", "X: y", True),
        ("1.1", "Connection: close", False),
        ("1.0", "X: y", False),
        ("1.0", "Connection: keep-alive", True),
    ],
)
async def test_who_keeps_the_connection(shared, version, field, kept):
    connection, transport = connect(shared)
    connection.data_received(f"GET /now HTTP/{version}\r\nHost: t\r\n{field}\r\n\r\n".encode())
    assert transport.closed is not kept
    assert (b"connection: close" in transport.sent) is not kept


async def test_parts_for_who_knows_no_chunks(shared):
    connection, transport = connect(shared)
    shared.application.gate.set()
    connection.data_received(b"GET /parts HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    await settle()
    assert transport.sent.endswith(b"\r\n\r\nonetwo")
    assert transport.closed


async def test_another_protocol_is_not_spoken(shared):
    connection, transport = connect(shared)
    connection.data_received(get("/now", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c"))
    assert bodies(transport.sent) == [b"/now"]
    assert transport.closed


async def test_who_waits_to_be_asked_for_the_body_is_asked(shared):
    connection, transport = connect(shared)
    connection.data_received(post("/body", b"12345", "Expect: 100-continue")[:-5])
    await settle()
    assert transport.sent == b"HTTP/1.1 100 Continue\r\n\r\n"
    connection.data_received(b"12345")
    await settle()
    assert transport.sent.endswith(b"\r\n\r\n5")


async def test_half_a_connection_is_enough_for_the_answer(shared):
    connection, transport = connect(shared)
    connection.data_received(get("/later"))
    assert connection.eof_received()
    shared.application.gate.set()
    await settle()
    assert bodies(transport.sent) == [b"/later"]
    assert transport.closed


async def test_half_a_connection_is_enough_for_an_answer_in_parts(shared):
    connection, transport = connect(shared)
    connection.data_received(get("/parts"))
    await settle()
    assert connection.eof_received()
    shared.application.gate.set()
    await settle()
    assert transport.sent.endswith(b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n")
    assert transport.closed
    assert not transport.cut


async def test_the_end_waits_for_what_is_under_way(shared):
    connection, transport = connect(shared)
    connection.data_received(get("/later"))
    shared.stopping = True
    connection.retire()
    assert not transport.closed
    shared.application.gate.set()
    await settle()
    assert transport.closed
    late, transport = connect(shared)
    late.data_received(get("/now"))  # who came just then is still served, once
    assert bodies(transport.sent) == [b"/now"]
    assert transport.closed
    shared.stopping = False
    idle, transport = connect(shared)
    idle.retire()
    assert transport.closed


async def test_no_field_of_an_answer_begins_a_line(shared):
    connection, _ = connect(shared)
    connection.data_received(get("/later"))
    with pytest.raises(ValueError, match="line break"):
        connection._current.respond(200, [("x", "a\r\nSet-Cookie: b")], b"")
    shared.application.gate.set()
    await settle()
