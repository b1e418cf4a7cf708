"""What a handler raises is what the caller is told, and no more."""

import asyncio
import logging

import asyncpg
import grpc
import pytest
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from libs.errors import AppError, Kind, Violation
from libs.obs import tracing
from libs.obs.requests import request_id
from libs.rpc import client, deadlines
from libs.rpc.deadlines import Limits, remaining
from libs.rpc.received import received
from libs.rpc.server import Server
from libs.testing.rpc import serving
from pq.ops.v1 import ops_pb2, ops_pb2_grpc
from tests.integration.rpc.echo import SHAPES, Echo, Servicer, Stub, adder, ask

shapes = pytest.mark.parametrize("shape", SHAPES)


def raising(error):
    async def on_call(request):
        raise error

    return Servicer(on_call)


async def told(servicer, shape="Unary", **kwargs):
    async with serving((adder("Open"), servicer)) as server:
        with pytest.raises(AppError) as caught:
            await ask(Stub(server.channel(), "Open"), shape, **kwargs)
        return caught.value


@shapes
async def test_an_error_arrives_as_it_was_raised(shape):
    raised = AppError(
        Kind.UNPROCESSABLE,
        "card_retired",
        "the card é is gone",
        metadata={"card": "cards/x"},
        violations=[Violation("alert.card", "no longer traded", "retired")],
        retry_after=1.5,
    )
    error = await told(raising(raised), shape)
    assert vars(error) == vars(raised)


@pytest.mark.parametrize("kind", Kind)
async def test_every_kind_makes_the_round_trip(kind):
    error = await told(raising(AppError(kind, "some_reason", "text")))
    assert (error.kind, error.reason) == (kind, "some_reason")


@shapes
async def test_what_nobody_foresaw_is_told_by_its_id_alone(shape, caplog):
    error = await told(raising(ZeroDivisionError("password is hunter2")), shape)
    assert (error.kind, error.reason) == (Kind.INTERNAL, "internal")
    assert "hunter2" not in repr(vars(error))
    assert "Zero" not in repr(vars(error))
    logged = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(logged) == 1
    assert "hunter2" in str(logged[0].exc_info[1])
    assert error.metadata["request_id"] in error.message


@pytest.mark.parametrize(
    "failure", [ConnectionRefusedError(111, "no"), asyncpg.CannotConnectNowError("starting up")]
)
async def test_a_missing_database_is_a_reason_to_come_again(failure):
    error = await told(raising(failure))
    assert (error.kind, error.reason) == (Kind.UNAVAILABLE, "database_unavailable")
    assert error.retry_after > 0
    assert "no" not in error.message.split()


async def test_more_violations_than_fit_are_cut_rather_than_lost():
    many = [Violation(f"rows[{n}].price", "expected a price " * 10) for n in range(2000)]
    error = await told(raising(AppError(Kind.INVALID, "bad_rows", "x" * 5000, violations=many)))
    assert error.reason == "bad_rows"
    assert 20 < len(error.violations) < 2000
    assert error.violations[0].field == "rows[0].price"


async def test_an_rpc_that_is_not_there():
    servicer = ops_pb2_grpc.OpsServiceServicer.__new__(Bare)
    async with serving((ops_pb2_grpc.add_OpsServiceServicer_to_server, servicer)) as server:
        from libs.testing.rpc import operator

        stub = ops_pb2_grpc.OpsServiceStub(server.channel(operator()))
        with pytest.raises(AppError) as caught:
            await stub.GetStatus(ops_pb2.GetStatusRequest())
    assert caught.value.kind is Kind.UNIMPLEMENTED


class Bare(ops_pb2_grpc.OpsServiceServicer):
    """Implements nothing."""


def test_a_handler_that_would_block_the_loop_is_refused(tmp_path):
    from libs.clock import SystemClock
    from libs.testing.rpc import TestKeys

    class Blocking(Servicer):
        def Unary(self, request, context):  # noqa: N802
            return request

    server = Server("127.0.0.1:0", TestKeys(tmp_path, SystemClock()).verifier())
    with pytest.raises(TypeError, match="async"):
        server.add(adder("Open"), Blocking())


@shapes
async def test_the_callers_deadline_ends_the_handler(shape):
    ended = asyncio.Event()

    async def wait(request):
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    error = await told(Servicer(wait), shape, timeout=0.2)
    assert error.kind is Kind.DEADLINE
    async with asyncio.timeout(5):
        await ended.wait()


@shapes
async def test_a_call_without_a_deadline_gets_one(shape, monkeypatch):
    monkeypatch.setattr(deadlines, "UNARY", Limits(0.2, 0.3))
    monkeypatch.setattr(deadlines, "STREAM", Limits(0.2, 0.3))

    async def wait(request):
        await asyncio.Event().wait()

    async with (
        serving((adder("Open"), Servicer(wait))) as server,
        client.plain_channel(server.target) as channel,
    ):
        for timeout in (None, 30):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                async with asyncio.timeout(5):
                    await ask(Stub(channel, "Open"), shape, timeout=timeout)
            assert received(caught.value).reason == "deadline_exceeded"


async def test_what_is_left_of_a_deadline_goes_on_to_further_calls():
    left = []

    async def look(request):
        left.append(remaining())
        return request

    async with serving((adder("Open"), Servicer(look))) as inner:
        stub = Stub(inner.channel(), "Open")

        async def further(request):
            return await stub.Unary(request)

        async with serving((adder("Open"), Servicer(further))) as outer:
            await Stub(outer.channel(), "Open").Unary(Echo(), timeout=5)
            await Stub(outer.channel(), "Open").Unary(Echo())
    # gRPC rounds up.
    assert 4 < left[0] <= 5.5
    assert 10 < left[1] <= deadlines.UNARY.default + 0.5


async def test_a_call_with_no_time_left_is_not_made():
    async with serving((adder("Open"), Servicer())) as server:
        deadlines.set_remaining(-1)
        with pytest.raises(AppError) as caught:
            await Stub(server.channel(), "Open").Unary(Echo())
    assert caught.value.kind is Kind.DEADLINE


async def test_request_id_and_trace_go_along():
    seen = []

    async def look(request):
        seen.append((request_id(), tracing.current().trace_id))
        return request

    async with serving((adder("Open"), Servicer(look))) as inner:
        stub = Stub(inner.channel(), "Open")

        async def further(request):
            await look(request)
            return await stub.Unary(request)

        async with serving((adder("Open"), Servicer(further))) as outer:
            call = Stub(outer.channel(), "Open").Unary
            trace = "00-" + "ab" * 16 + "-" + "cd" * 8 + "-01"
            await call(Echo(), metadata=[("x-request-id", "mine-1"), ("traceparent", trace)])
            await call(Echo(), metadata=[("x-request-id", "a b;"), ("traceparent", "00-junk")])
    assert seen[0] == seen[1] == ("mine-1", "ab" * 16)
    assert seen[2] == seen[3]
    assert seen[2][0].startswith("req_")
    assert seen[2][1] != "ab" * 16


async def test_health_and_reflection_are_open_and_say_what_is_there(tmp_path):
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    from libs.clock import SystemClock
    from libs.testing.rpc import TestKeys

    server = Server("127.0.0.1:0", TestKeys(tmp_path, SystemClock()).verifier())
    server.add(adder("Account"), Servicer())
    port = await server.start()
    async with client.plain_channel(f"dns:///127.0.0.1:{port}") as channel:
        check = health_pb2_grpc.HealthStub(channel).Check
        request = health_pb2.HealthCheckRequest(service="pq.test.v1.Account")
        assert (await check(request)).status == health_pb2.HealthCheckResponse.NOT_SERVING
        await server.set_serving(True)
        assert (await check(request)).status == health_pb2.HealthCheckResponse.SERVING
        stub = reflection_pb2_grpc.ServerReflectionStub(channel)
        asked = iter([reflection_pb2.ServerReflectionRequest(list_services="")])
        answers = [answer async for answer in stub.ServerReflectionInfo(asked)]
        names = {service.name for service in answers[0].list_services_response.service}
        assert "pq.test.v1.Account" in names
    await server.stop(0)
