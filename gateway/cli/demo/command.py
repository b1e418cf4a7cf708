"""`pq demo`, connected to a product."""

from __future__ import annotations

from gateway.cli.access import AccessTokens
from gateway.cli.client import Rest
from gateway.cli.demo.card import SOURCE
from gateway.cli.demo.journey import Demo
from gateway.cli.exits import Exit
from gateway.cli.ingest.upload import Terms, Uploader
from gateway.cli.output import Output
from gateway.cli.product import Product
from libs.clock import SystemClock
from libs.rpc.client import plain_channel


async def demo(output: Output, product: Product, *, timeout: float) -> Exit:
    """Runs the demonstration against `product`, whose token must be allowed to send prices."""
    clock = SystemClock()
    async with (
        Rest(product.gateway, product.token()) as operator,
        plain_channel(product.target("market")) as channel,
    ):
        terms = Terms(SOURCE, patience=timeout)
        uploader = Uploader(channel, AccessTokens(operator, clock), terms, clock)
        return await Demo(operator, uploader.send, output, clock, timeout).run()
