"""Where the gateway is put together."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from pathlib import Path

from gateway import docs_page
from gateway.accounts.authenticator import TokenAuthenticator
from gateway.accounts.export import Exports
from gateway.accounts.handlers import Accounts
from gateway.accounts.repeats import Repeats
from gateway.accounts.servicer import AccountServicer, TokenServicer
from gateway.config import Config
from gateway.http.application import Application
from gateway.http.auth import Authenticator
from gateway.http.backends import Backend, Backends, GrpcBackend, LocalBackend
from gateway.http.body import BodyReader
from gateway.http.cache import ReadCache
from gateway.http.calls import Calls
from gateway.http.coalesce import Coalescing
from gateway.http.gate import Gate
from gateway.http.invalidation import Invalidation
from gateway.http.observe import observe
from gateway.http.quota import Quotas
from gateway.http.server import HttpServer, bind
from gateway.transcode import descriptors
from gateway.transcode.routes import RouteTable
from gateway.transcode.transcoder import Transcoder
from libs.auth import Role
from libs.clock import Clock
from libs.runtime import Runtime
from libs.runtime.config import address

_MIGRATIONS = Path(__file__).with_name("accounts") / "migrations"


async def build(rt: Runtime, config: Config) -> None:
    """Connects the rooms: accounts in process, the services behind channels, HTTP in front."""
    db = await rt.database(migrations={"accounts": _MIGRATIONS})
    log = await rt.event_log()
    rt.relay(db, log)
    authenticator = TokenAuthenticator(db, rt.tokens, rt.clock)
    rt.background("token-uses", authenticator.keep_uses)
    cache = ReadCache(rt.clock, config.cache_bytes)
    rt.background("invalidation", Invalidation(log, cache).run)
    accounts = Accounts(db, rt.clock, rt.ids)
    if config.admin_token is not None:
        file = config.admin_token
        rt.background("admin-token", lambda: _register_admin(accounts, file), needs=db)
    repeats = Repeats(db, rt.clock, rt.recall())
    backends = _backends(rt, config, accounts, repeats, authenticator)
    application = assemble(config, backends, authenticator, cache, rt.clock)
    host, port = address(config.gateway_listen)
    server = HttpServer(application, bind(host, port))
    rt.background("http", lambda: _serve(rt, server))
    rt.on_drain(lambda: server.stop(config.drain_grace))


def assemble(
    config: Config,
    backends: Mapping[str, Backend],
    authenticator: Authenticator,
    cache: ReadCache,
    clock: Clock,
) -> Application:
    """The HTTP application over whatever serves the RPCs."""
    contract = descriptors.load()
    table = RouteTable(contract)
    gate = Gate(authenticator, config.policies(), Quotas(clock), frozenset(config.trusted_proxies))
    calls = Calls(
        gate,
        Backends(backends, contract.rpcs),
        BodyReader(config.max_body, config.body_timeout),
        cache,
        config.call_timeout,
    )
    pages = docs_page.pages(contract, table, importlib.metadata.version("pq-platform"))
    return Application(Transcoder(table), calls, pages, observe)


async def _register_admin(accounts: Accounts, file: Path) -> None:
    """Lets the token that whoever set the product up put into `file` be an admin's."""
    await accounts.ensure_operator(file.read_text().strip(), Role.ADMIN, "set-up")


async def _serve(rt: Runtime, server: HttpServer) -> None:
    try:
        await server.run()
    except RuntimeError as error:
        rt.fail(error)


def _backends(
    rt: Runtime, config: Config, accounts: Accounts, repeats: Repeats, auth: TokenAuthenticator
) -> Mapping[str, Backend]:
    tokens = TokenServicer(accounts, repeats, rt.page_tokens(), rt.minter, rt.clock)
    contract = descriptors.load()
    delivery = GrpcBackend(rt.plain_channel(config.delivery_target))
    found: dict[str, Backend] = {
        "pq.accounts.v1.TokenService": LocalBackend(tokens),
        "pq.market.v1": GrpcBackend(rt.plain_channel(config.market_target)),
        "pq.alerts.v1": GrpcBackend(rt.plain_channel(config.alerts_target)),
        "pq.delivery.v1": delivery,
        "pq.delivery.v1.SendingService": Coalescing(delivery, contract.rpcs),
    }
    exports = Exports(contract, found, rt.tokens)
    servicer = AccountServicer(accounts, repeats, exports, auth.forget)
    return {**found, "pq.accounts.v1.AccountService": LocalBackend(servicer)}
