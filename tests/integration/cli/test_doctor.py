"""The doctor asks real gRPC servers, a real database and a canned gateway."""

from contextlib import asynccontextmanager

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from gateway.cli.doctor.probes import examine
from gateway.cli.exits import CliError, Exit
from gateway.cli.product import Product, ServiceAddress
from libs.auth import Role
from libs.auth.callers import CallerKind
from libs.auth.keys import PublicKeys, generate
from libs.auth.tokens import Verifier
from libs.clock import SystemClock
from pq.ops.v1 import ops_pb2, ops_pb2_grpc
from tests.integration.cli.canned import Canned, problem


class Ops(ops_pb2_grpc.OpsServiceServicer):
    """Tells of a lag to whoever comes with a token."""

    async def GetStatus(self, _request, context):  # noqa: N802
        token = dict(context.invocation_metadata()).get("authorization")
        if token != "Bearer jwt":
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "who are you?")
        status = ops_pb2.ServiceStatus(service="alerts", version="1")
        status.start_time.GetCurrentTime()
        status.parts.add(name="database", ok=True)
        for number in range(2):
            status.partitions.add(consumer="alerts", topic="t", partition=number, lag=4)
        return status


@asynccontextmanager
async def service(state=health_pb2.HealthCheckResponse.SERVING):
    server = grpc.aio.server()
    servicer = health.aio.HealthServicer()
    await servicer.set("", state)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    ops_pb2_grpc.add_OpsServiceServicer_to_server(Ops(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"dns:///127.0.0.1:{port}"
    finally:
        await server.stop(None)


async def bearer():
    return "jwt"


async def no_bearer():
    raise CliError(Exit.REFUSED, "no_token", "no token")


SNAPSHOTS = {"GET /v1/snapshots": lambda _: (200, {"snapshots": []})}


async def test_all_is_well(tmp_path, empty_database):
    async with Canned(SNAPSHOTS) as gateway, service() as target:
        product = Product(
            tmp_path,
            gateway.url,
            {"alerts": ServiceAddress(target)},
            {"alerts": empty_database},
            empty_database,
        )
        findings = await examine(product, bearer)
    assert findings.faults() == []
    assert findings.verdict() is Exit.OK
    assert [(lag.topic, lag.lag) for lag in findings.services[0].consumers] == [("t", 8)]
    assert [part.name for part in findings.parts] == ["PostgreSQL", "event log"]


async def test_each_thing_that_is_wrong_is_told_with_its_reason(tmp_path):
    away = problem(503, "unavailable", "the market is away")
    ready = {"GET /readyz": lambda _: (503, b"waiting for database\n")}
    not_serving = health_pb2.HealthCheckResponse.NOT_SERVING
    async with (
        Canned({"GET /v1/snapshots": lambda _: (503, away)}) as gateway,
        Canned(ready) as probes,
        service(not_serving) as target,
    ):
        services = {
            "alerts": ServiceAddress(target, probes.url.removeprefix("http://")),
            "market": ServiceAddress("dns:///127.0.0.1:1"),
        }
        dead = "postgresql://x:y@127.0.0.1:1/x"
        product = Product(tmp_path, gateway.url, services, {"market": dead}, dead)
        findings = await examine(product, bearer)
    assert findings.verdict() is Exit.DEGRADED
    faults = {f"{name}/{check.name}": check for name, check in findings.faults()}
    assert set(faults) == {
        *("REST/read", "PostgreSQL/PostgreSQL", "event log/event log"),
        *("alerts/serving", "market/serving"),
    }
    assert "the market is away" in faults["REST/read"].detail
    assert faults["alerts/serving"].detail == "waiting for database"
    assert not faults["market/serving"].reached
    assert all(check.hint for check in faults.values())


async def test_without_a_token_it_tells_what_it_can(tmp_path):
    async with Canned(SNAPSHOTS) as gateway, service() as target:
        product = Product(tmp_path, gateway.url, {"alerts": ServiceAddress(target)})
        findings = await examine(product, no_bearer)
    assert [name for name, _ in findings.faults()] == ["REST"]
    assert findings.services[0].checks[0].ok
    assert findings.services[0].uptime_seconds is None


async def test_nothing_answers(tmp_path):
    product = Product(
        tmp_path, "http://127.0.0.1:1", {"alerts": ServiceAddress("dns:///127.0.0.1:1")}
    )
    assert (await examine(product, bearer)).verdict() is Exit.UNREACHABLE


async def test_with_the_gateway_ill_the_homes_own_key_speaks(tmp_path):
    from gateway.cli.doctor.command import _own_token

    product = Product(tmp_path, "http://127.0.0.1:1")
    assert _own_token(product) is None
    (tmp_path / "keys").mkdir()
    generate("gateway", tmp_path / "keys", tmp_path / "keys" / "public")
    clock = SystemClock()
    verifier = Verifier(PublicKeys(tmp_path / "keys" / "public", clock), clock)
    caller = verifier.verify(_own_token(product))
    assert (caller.kind, caller.role) == (CallerKind.OPERATOR, Role.VIEWER)
