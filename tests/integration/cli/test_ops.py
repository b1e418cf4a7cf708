"""`pq ops` on a real consumer that has given up a message and stands still at another."""

import json
from types import SimpleNamespace

import pytest

from gateway.cli.exits import CliError, Exit
from gateway.cli.ops import command
from gateway.cli.output import Output
from gateway.cli.product import Product, ServiceAddress
from libs.api.paging import PageTokens
from libs.auth import Role
from libs.clock import SystemClock
from libs.events import Poison
from libs.runtime.parts import Parts
from libs.runtime.servicer import OpsServicer
from libs.testing.postgres import fresh_database
from libs.testing.rpc import operator, serving
from pq.ops.v1 import ops_pb2_grpc
from tests.contract.events.world import (
    catalog,
    event,
    publish,
    until,
    until_handled,
    value_of,
    world,
    writing,
)
from tests.integration.cli.canned import Canned

BAD, BROKEN = 13, 99
ENDS = "2100-01-01T00:00:00Z"


class Handler:
    """Writes down what it handles; says what else it does with these values while it is `ill`."""

    ill = True

    async def __call__(self, tx, batch):
        for received in batch:
            if self.ill and value_of(received) == BAD:
                raise Poison("thirteen cannot be")
            if self.ill and value_of(received) == BROKEN:
                raise ZeroDivisionError("a fault of ours")
        await writing("test.one")(tx, batch)


@pytest.fixture
async def here(postgres, empty_database):
    async with fresh_database(postgres) as dsn:

        async def only():
            return dsn

        async with world(empty_database, catalog("ops", partitions=1), only) as made:
            yield made


@pytest.fixture
async def scene(here, tmp_path):
    """A service with that consumer, a gateway that exchanges tokens, and `pq ops` before them."""
    db, handler, clock = await here.service(), Handler(), SystemClock()
    relay = here.relay(db, here.log())
    consumer = here.consumer(db, here.log(), handler=handler)
    rt = SimpleNamespace(
        service="tests",
        version="1",
        start_time=clock.now(),
        parts=Parts(),
        databases=[db],
        relays=[relay],
        consumers=[consumer],
        page_tokens=lambda: PageTokens(b"k" * 32, clock),
    )
    add = ops_pb2_grpc.add_OpsServiceServicer_to_server
    async with serving((add, OpsServicer(rt))) as server:
        tokens = {
            f"Bearer {role.name}": server.keys.token(operator(role))
            for role in (Role.OPERATOR, Role.VIEWER)
        }
        routes = {
            "POST /v1/tokens:exchange": lambda asked: (
                200,
                {"accessToken": tokens[asked.headers["authorization"]], "expireTime": ENDS},
            )
        }
        async with Canned(routes) as gateway:

            def product(role=Role.OPERATOR, **more):
                services = {"tests": ServiceAddress(server.target), **more}
                return Product(tmp_path, gateway.url, services, given_token=role.name)

            yield SimpleNamespace(db=db, handler=handler, product=product)


@pytest.fixture
def said(capsys):
    def read():
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return read


async def letters(scene, said, consumer="", **more):
    everything = more.get("everything", False)
    done = command.letters(Output(json=True), scene.product(), (), consumer, everything=everything)
    assert await done is Exit.OK
    return said()[0]["deadLetters"]


async def test_a_dead_letter_is_listed_refused_while_it_is_poison_and_handled_after(scene, said):
    await publish(scene.db, event("a", 1), event("a", BAD), event("a", 2))
    await until_handled(scene.db, 2)
    (letter,) = await letters(scene, said)
    assert (letter["service"], letter["consumer"]) == ("tests", "test.one")
    assert "thirteen cannot be" in letter["error"]
    output, product = Output(json=True), scene.product()
    assert await command.redrive(output, product, [letter["id"]], "") is Exit.REJECTED
    assert said()[0]["refused"]["reason"] == "still_poison"
    scene.handler.ill = False
    assert await command.redrive(output, product, [letter["id"]], "") is Exit.OK
    assert said()[0]["handled"]["redriveTime"]
    await until_handled(scene.db, 3)
    assert await letters(scene, said) == []
    assert len(await letters(scene, said, everything=True)) == 1
    assert await command.redrive(output, product, [letter["id"]], "") is Exit.REJECTED
    assert said()[0]["refused"]["reason"] == "already_redriven"


async def test_all_letters_of_a_consumer_are_driven_again(scene, said):
    await publish(scene.db, *(event("a", BAD) for _ in range(3)), event("a", 1))
    await until_handled(scene.db, 1)
    scene.handler.ill = False
    output, product = Output(json=True), scene.product()
    assert await letters(scene, said, "another") == []
    assert await command.redrive(output, product, (), "test.one") is Exit.OK
    assert len(said()) == 3
    await until_handled(scene.db, 4)


async def test_a_halted_partition_is_shown_and_goes_on(scene, said):
    await publish(scene.db, event("a", BROKEN))
    output, product = Output(json=True), scene.product()

    async def halted():
        return await command.lag(output, product, ()) is Exit.DEGRADED

    await until(halted)
    (partition,) = said()[-1]["partitions"]
    assert "ZeroDivisionError" in partition["halt"]
    assert partition["lag"] == "1"
    with pytest.raises(CliError) as caught:
        await command.resume(output, product, "test.one", "another", None)
    assert (caught.value.exit, caught.value.reason) == (Exit.REJECTED, "not_halted")
    scene.handler.ill = False
    assert await command.resume(output, product, "test.one", "", None) is Exit.OK
    await until_handled(scene.db, 1)
    assert await command.lag(output, product, ()) is Exit.OK


async def test_a_viewer_may_look_and_not_mend(scene, said):
    await publish(scene.db, event("a", BAD), event("a", 1))
    await until_handled(scene.db, 1)
    (letter,) = await letters(scene, said)
    output, viewer = Output(json=True), scene.product(Role.VIEWER)
    assert await command.letters(output, viewer, (), "", everything=False) is Exit.OK
    with pytest.raises(CliError) as caught:
        await command.redrive(output, viewer, [letter["id"]], "")
    assert caught.value.exit is Exit.REFUSED


async def test_who_is_away_is_told_of_and_the_rest_is_shown(scene, said, capsys):
    away = ServiceAddress("dns:///127.0.0.1:1")
    output = Output(json=True)
    assert await command.lag(output, scene.product(market=away), ()) is Exit.DEGRADED
    assert "market: a service is away" in capsys.readouterr().err
    with pytest.raises(CliError) as caught:
        await command.lag(output, scene.product(market=away), ["market"])
    assert caught.value.exit is Exit.UNREACHABLE
    with pytest.raises(CliError) as caught:
        await command.letters(output, scene.product(), ["nobody"], "", everything=False)
    assert caught.value.exit is Exit.UNREACHABLE


async def test_a_person_gets_tables(scene, capsys):
    await publish(scene.db, event("a", BAD), event("a", 1))
    await until_handled(scene.db, 1)
    output, product = Output(), scene.product()
    assert await command.letters(output, product, (), "", everything=False) is Exit.OK
    assert await command.lag(output, product, ()) is Exit.OK
    told = capsys.readouterr().out
    assert "thirteen cannot be" in told
    assert "BEHIND" in told
