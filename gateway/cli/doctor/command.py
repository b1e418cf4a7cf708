"""`pq doctor`."""

from __future__ import annotations

from gateway.cli.access import AccessTokens
from gateway.cli.client import Rest
from gateway.cli.doctor.probes import PATIENCE, examine
from gateway.cli.doctor.report import render
from gateway.cli.exits import CliError, Exit
from gateway.cli.output import Output
from gateway.cli.product import Product
from libs.clock import SystemClock


async def doctor(output: Output, product: Product) -> Exit:
    """Asks everything, prints what it found, and ends with its verdict."""

    async def bearer() -> str:
        try:
            async with Rest(product.gateway, product.token(), timeout=PATIENCE) as rest:
                return await AccessTokens(rest, SystemClock()).get()
        except CliError as error:
            if error.exit is Exit.REFUSED or (minted := _own_token(product)) is None:
                raise
            return minted

    findings = await examine(product, bearer)
    output.document(findings.document())
    output.say(render(findings))
    return findings.verdict()


def _own_token(product: Product) -> str | None:
    """An access token made here, for when the gateway is what is ill.

    Whoever may read the home's private keys could make one anyway.
    """
    from libs.auth.callers import Caller, Role
    from libs.auth.keys import KeyFileError, SigningKey
    from libs.auth.tokens import Minter

    try:
        key = SigningKey.load(product.home / "keys" / "gateway.pem")
    except KeyFileError:
        return None
    viewer = Caller.for_operator("pq doctor", Role.VIEWER)
    return Minter(key).mint_for(viewer, SystemClock().now())[0]
