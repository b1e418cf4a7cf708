"""Repeats, replicas, and streams that come to an end."""

import asyncio
import collections

import pytest

from libs.auth import Caller, calling
from libs.auth.tokens import CallerTokens
from libs.clock import SystemClock
from libs.errors import AppError, Kind
from libs.rpc import client
from libs.rpc.retries import RetryPolicy
from libs.testing.rpc import ONCE, service, serving
from tests.integration.rpc.echo import Echo, Servicer, Stub, adder, ask

QUICK = RetryPolicy(attempts=3, base=0.001)


class Flaky(Servicer):
    """Fails as often as it is told to."""

    def __init__(self, failures, error=None):
        super().__init__(self._fail)
        self.failures, self.calls = failures, 0
        self.error = error or AppError(Kind.UNAVAILABLE, "busy", "come again")

    async def _fail(self, request):
        self.calls += 1
        if self.calls <= self.failures:
            raise self.error
        return request


@pytest.mark.parametrize(
    ("rule", "request_id", "calls"),
    [("Open", "", 3), ("Service", "", 1), ("Service", "once-1", 3)],
)
async def test_what_changes_nothing_or_carries_an_id_is_repeated(rule, request_id, calls):
    servicer = Flaky(failures=9)
    async with serving((adder(rule), servicer)) as server:
        stub = Stub(server.channel(service("alerts"), QUICK), rule)
        with pytest.raises(AppError, match="come again"):
            await stub.Unary(Echo(request_id=request_id))
    assert servicer.calls == calls


async def test_a_repeat_that_succeeds_is_all_the_caller_sees():
    servicer = Flaky(failures=2)
    async with serving((adder("Open"), servicer)) as server:
        assert await ask(Stub(server.channel(retry=QUICK), "Open"), "Unary") == "ab"


@pytest.mark.parametrize("kind", [Kind.INTERNAL, Kind.ABORTED, Kind.DEADLINE, Kind.NOT_FOUND])
async def test_nothing_else_is_repeated(kind):
    servicer = Flaky(failures=9, error=AppError(kind, "no", "no"))
    async with serving((adder("Open"), servicer)) as server:
        with pytest.raises(AppError):
            await ask(Stub(server.channel(retry=QUICK), "Open"), "Unary")
    assert servicer.calls == 1


async def test_streams_are_not_repeated():
    servicer = Flaky(failures=9)
    async with serving((adder("Open"), servicer)) as server:
        for shape in ("Collect", "Feed"):
            with pytest.raises(AppError):
                await ask(Stub(server.channel(retry=QUICK), "Open"), shape)
    assert servicer.calls == 2


async def test_a_server_that_is_not_there_is_unavailable_and_then_found_again():
    async with serving((adder("Open"), Servicer())) as first:
        port = first.server.port
        plain = client.plain_channel(first.target)
        channel = client.Channel(plain, None, ONCE)
        assert await ask(Stub(channel, "Open"), "Unary") == "ab"
    with pytest.raises(AppError) as caught:
        await ask(Stub(channel, "Open"), "Unary")
    assert caught.value.kind is Kind.UNAVAILABLE
    assert "127.0.0.1" not in str(caught.value), "it may be passed on to strangers"
    async with serving((adder("Open"), Servicer()), listen=f"127.0.0.1:{port}"):
        patient = client.Channel(plain, None, RetryPolicy(attempts=100, base=0.05, cap=0.05))
        async with asyncio.timeout(5):  # reconnecting takes a second at most
            assert await ask(Stub(patient, "Open"), "Unary") == "ab"
    await channel.close()


async def test_calls_spread_over_replicas_and_go_round_one_that_dies():
    calls = collections.Counter()

    def replica(name):
        async def count(request):
            calls[name] += 1
            return request

        return serving((adder("Open"), Servicer(count)))

    async with replica("a") as a:
        async with replica("b") as b:
            ports = f"127.0.0.1:{a.server.port},127.0.0.1:{b.server.port}"
            channel = client.open_channel(f"ipv4:{ports}", retry=QUICK)
            stub = Stub(channel, "Open")
            async with asyncio.timeout(5):
                while len(calls) < 2:
                    await stub.Unary(Echo())
            calls.clear()
            for _ in range(40):
                await stub.Unary(Echo())
            assert calls == {"a": 20, "b": 20}
        for _ in range(10):
            await stub.Unary(Echo())
        assert calls["a"] == 30
        await channel.close()


async def test_an_error_in_the_callers_own_iterator_is_the_callers():
    class OwnError(Exception):
        pass

    async def broken():
        yield Echo(text="a")
        raise OwnError

    async with serving((adder("Open"), Servicer())) as server:
        stub = Stub(server.channel(), "Open")
        with pytest.raises(OwnError):
            await stub.Collect(broken())
        with pytest.raises(OwnError):
            async for _ in stub.Talk(broken()):
                pass


async def test_the_gateways_channel_speaks_for_whoever_calls():
    seen = []

    async def look(request):
        from libs.auth import caller

        seen.append(caller().subject)
        return request

    async with serving((adder("Open"), Servicer(look))) as server:
        tokens = CallerTokens(server.keys.minter(), SystemClock())
        async with client.open_channel(server.target, client.CallerIdentity(tokens)) as channel:
            stub = Stub(channel, "Open")
            await stub.Unary(Echo())
            with calling(Caller.for_operator("tokens/tok_9", 2)):
                await stub.Unary(Echo())
    assert seen == ["anonymous", "tokens/tok_9"]


async def test_stopping_finishes_what_is_under_way_and_ends_feeds():
    entered, release = asyncio.Semaphore(0), asyncio.Event()

    async def wait(request):
        entered.release()
        await release.wait()
        return request

    async with serving((adder("Open"), Servicer(wait))) as server:
        stub = Stub(server.channel(), "Open")
        work = [asyncio.create_task(ask(stub, shape, "a")) for shape in ("Unary", "Collect")]
        feeds = [asyncio.create_task(ask(stub, shape, "a")) for shape in ("Feed", "Talk")]
        for _ in range(4):
            await entered.acquire()
        stopping = asyncio.create_task(server.server.stop(grace=10, stream_grace=0.05))
        for feed in feeds:
            with pytest.raises(AppError) as caught:
                await feed
            assert (caught.value.kind, caught.value.reason) == (Kind.UNAVAILABLE, "draining")
        assert not any(task.done() for task in (*work, stopping))
        with pytest.raises(AppError):
            await ask(stub, "Unary")
        release.set()
        assert await asyncio.gather(*work) == ["a", "a"]
        await stopping


async def test_what_does_not_finish_within_the_grace_is_cut():
    entered, cut = asyncio.Event(), asyncio.Event()

    async def wait(request):
        entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            cut.set()

    async with serving((adder("Open"), Servicer(wait))) as server:
        call = asyncio.create_task(ask(Stub(server.channel(), "Open"), "Unary"))
        await entered.wait()
        async with asyncio.timeout(5):
            await server.server.stop(grace=0.1)
            await cut.wait()
            with pytest.raises(AppError):
                await call


async def test_two_servers_never_share_a_port():
    from libs.rpc.server import AddressInUseError

    async with serving((adder("Open"), Servicer())) as server:
        with pytest.raises(AddressInUseError):
            async with serving(listen=f"127.0.0.1:{server.server.port}"):
                pass
