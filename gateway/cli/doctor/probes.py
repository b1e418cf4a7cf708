"""Asking everything how it is, all at once, each within a few seconds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from gateway.cli.client import ProblemError, Rest
from gateway.cli.doctor.findings import Check, Findings, ServiceFindings, read_status
from gateway.cli.exits import CliError
from gateway.cli.product import Product, ServiceAddress
from libs.rpc.client import plain_channel
from libs.rpc.received import received
from pq.ops.v1 import ops_pb2, ops_pb2_grpc

PATIENCE = 4.0
_START = "`pq up` starts it; the log in the home says why it ended"
_SEE_BELOW = "see what is said of the services"
Bearer = Callable[[], Awaitable[str]]


async def examine(product: Product, bearer: Bearer) -> Findings:
    """Asks all of it. `bearer` answers an access token, or raises CliError."""
    async with Rest(product.gateway, timeout=PATIENCE) as rest:
        gateway, access = await asyncio.gather(_gateway(rest), _access(bearer))
    services = [
        _service(name, address, access)
        for name, address in sorted(product.services.items())
        if address.target
    ]
    parts = [_databases(product)] if product.databases else []
    parts += [_event_log(product.event_log)] if product.event_log else []
    found_parts, found = await asyncio.gather(asyncio.gather(*parts), asyncio.gather(*services))
    if isinstance(access, CliError) and gateway.ok:
        hint = access.hint or "without a token nothing tells of its lag"
        gateway = replace(gateway, ok=False, detail=f"up, but: {access.message}", hint=hint)
    return Findings(str(product.home), gateway, tuple(found_parts), tuple(found))


async def _access(bearer: Bearer) -> str | CliError:
    try:
        return await bearer()
    except CliError as error:
        return error


async def _gateway(rest: Rest) -> Check:
    """Reads something public: that takes the gateway and the market behind it."""
    try:
        await rest.get("/v1/snapshots", {"pageSize": "1"})
    except ProblemError as problem:
        return Check("read", False, f"it answers, but not a read: {problem.message}", _SEE_BELOW)
    except CliError as error:
        return Check("read", False, error.message, error.hint, reached=False)
    return Check("read", True, rest.base_url)


async def _why_not_ready(address: ServiceAddress) -> str:
    """What a process says at /readyz; empty where it says nothing."""
    from pyreqwest.exceptions import RequestError
    from pyreqwest.simple.request import pyreqwest_get

    if not address.metrics:
        return ""
    request = pyreqwest_get(f"http://{address.metrics}/readyz").timeout(timedelta(seconds=PATIENCE))
    try:
        return (await (await request.send()).text()).strip()
    except RequestError:
        return ""


async def _service(name: str, address: ServiceAddress, access: str | CliError) -> ServiceFindings:
    async with plain_channel(address.target) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        try:
            health = await stub.Check(health_pb2.HealthCheckRequest(), timeout=PATIENCE)
        except grpc.aio.AioRpcError as error:
            why = received(error).message
            check = Check("serving", False, f"{address.target}: {why}", _START, reached=False)
            return ServiceFindings(name, (check,))
        if health.status == health_pb2.HealthCheckResponse.SERVING:
            first = Check("serving", True)
        else:
            why = await _why_not_ready(address) or "it says NOT_SERVING"
            first = Check("serving", False, why, "it goes on by itself once that is there")
        if isinstance(access, CliError):
            return ServiceFindings(name, (first,))
        return await _status(name, channel, access, first)


async def _status(
    name: str, channel: grpc.aio.Channel, access: str, first: Check
) -> ServiceFindings:
    stub: Any = ops_pb2_grpc.OpsServiceStub(channel)
    try:
        status = await stub.GetStatus(
            ops_pb2.GetStatusRequest(),
            metadata=(("authorization", f"Bearer {access}"),),
            timeout=PATIENCE,
        )
    except grpc.aio.AioRpcError as error:
        told = received(error)
        check = Check("status", False, f"it does not tell: {told.message}", "see its log")
        return ServiceFindings(name, (first, check))
    found = read_status(status, time.time())
    return replace(found, service=name, checks=(first, *found.checks))


async def _databases(product: Product) -> Check:
    import asyncpg

    counts = []
    for name, url in sorted(product.databases.items()):
        try:
            connection = await asyncpg.connect(url, timeout=PATIENCE)
        except (OSError, TimeoutError, asyncpg.PostgresError) as error:
            why = str(error) or type(error).__name__
            reached = isinstance(error, asyncpg.PostgresError)
            return Check("PostgreSQL", False, f"{name}: {why}", _START, reached=reached)
        try:
            size = await connection.fetchval("select pg_database_size(current_database())")
            version = connection.get_server_version()
            counts.append(f"{name} {size / 1e6:,.0f} MB")
        finally:
            await connection.close(timeout=PATIENCE)
    return Check("PostgreSQL", True, f"{version.major}.{version.minor}: {', '.join(counts)}")


async def _event_log(url: str) -> Check:
    from libs.events.catalog import Catalog
    from libs.events.engines import open_log
    from libs.events.log import LogError

    try:
        log = open_log(url, catalog=Catalog.load())
    except ValueError as error:
        return Check(
            "event log", False, f"PQ_EVENT_LOG: {error}", "set it to postgres:// or kafka://"
        )
    try:
        async with asyncio.timeout(PATIENCE * 2):
            ranges = await log.ranges(log.catalog.topics)
    except (LogError, TimeoutError) as error:
        why = str(error) or "no answer"
        hint = "events wait in the outboxes until it is back"
        return Check("event log", False, why, hint, reached=False)
    finally:
        await log.close()
    count = sum(found.end - found.begin for found in ranges.values())
    engine = urlsplit(url).scheme
    return Check(
        "event log", True, f"{engine}: at most {count:,} events in {len(ranges)} partitions"
    )
