"""Accounts and tokens on a real PostgreSQL."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import gateway.accounts
from gateway.accounts.authenticator import TokenAuthenticator
from gateway.accounts.export import Exports
from gateway.accounts.handlers import Accounts
from gateway.accounts.repeats import Repeats
from gateway.accounts.servicer import AccountServicer, TokenServicer
from gateway.http.backends import LocalBackend
from gateway.transcode.descriptors import Contract, load
from libs import events
from libs.api import idempotency
from libs.api.idempotency import Recall
from libs.api.paging import PageTokens
from libs.auth.keys import SigningKey
from libs.auth.tokens import CallerTokens, Minter
from libs.db import Database, migrate
from tests.integration.accounts.place import Published

MIGRATIONS = Path(gateway.accounts.__file__).with_name("migrations")


@pytest.fixture
async def db(empty_database):
    await migrate(
        empty_database,
        [("events", events.MIGRATIONS), ("api", idempotency.MIGRATIONS), ("accounts", MIGRATIONS)],
    )
    database = await Database.connect(empty_database, application="test", outbox=Published())
    yield database
    await database.close()


@pytest.fixture
def accounts(db, clock, ids):
    return Accounts(db, clock, ids)


@pytest.fixture
def minter():
    return Minter(SigningKey("gateway", Ed25519PrivateKey.generate()))


@pytest.fixture
def auth(db, minter, clock):
    return TokenAuthenticator(db, CallerTokens(minter, clock), clock)


@pytest.fixture
def repeats(db, clock):
    return Repeats(db, clock, Recall(b"k" * 32))


@pytest.fixture
def tokens(accounts, repeats, minter, clock):
    return TokenServicer(accounts, repeats, PageTokens(b"k" * 32, clock), minter, clock)


@pytest.fixture
def exports(tokens, minter, clock):
    """Of what the gateway has itself: tokens."""
    contract = load()
    service = "pq.accounts.v1.TokenService"
    own = Contract(tuple(rpc for rpc in contract.rpcs if rpc.service == service), {})
    return Exports(own, {service: LocalBackend(tokens)}, CallerTokens(minter, clock))


@pytest.fixture
def servicer(accounts, repeats, exports, auth):
    return AccountServicer(accounts, repeats, exports, auth.forget)
