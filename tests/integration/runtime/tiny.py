"""The smallest service there can be; tests run it as a process of its own."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from libs.config import field
from libs.runtime import ServiceConfig, run
from tests.integration.rpc.echo import Servicer, adder


@dataclass(frozen=True)
class Config(ServiceConfig):
    service = "tiny"
    drained: Path = field("TINY_DRAINED", help="a file that is written when draining")


async def build(rt, config):
    db = await rt.database(migrations={"tiny": Path(__file__).with_name("migrations")})
    rt.relay(db, await rt.event_log())

    async def on_call(request):
        if request.text == "wait":
            await asyncio.sleep(0.5)  # longer than the notice: it is under way when draining starts
        elif request.text:
            await db.execute("insert into notes (text) values ($1)", request.text)
        request.text = str(await db.fetchval("select count(*) from notes"))
        return request

    async def drained():
        config.drained.write_text("drained")

    async def stumble():
        if await db.fetchval("select count(*) from notes") < 1:
            raise RuntimeError("nothing there")
        await asyncio.Event().wait()

    rt.servicer(adder("Open"), Servicer(on_call))
    rt.background("stumble", stumble)
    rt.on_drain(drained)


if __name__ == "__main__":
    run(build, Config)
