"""An account ends for good, and hands out what it had before that."""

import json

import pytest

from libs.auth import Caller, Role, calling
from libs.errors import AppError, Kind
from pq.accounts.v1 import accounts_events_pb2 as events
from pq.accounts.v1 import accounts_pb2 as pb
from tests.integration.accounts.place import ask, sign_up

ADMIN = Caller.for_operator("tokens/tok_root", Role.ADMIN)
TABLES = ("accounts", "tokens", "request_keys")


async def exported(servicer, who, name="accounts/me"):
    with calling(who):
        parts = servicer.ExportAccount(pb.ExportAccountRequest(name=name), None)
        return json.loads(b"".join([part.data async for part in parts]))


async def refused(call):
    with pytest.raises(AppError) as caught:
        await call
    return caught.value


async def test_an_erased_account_is_gone_at_once_with_its_tokens(servicer, tokens, auth, db):
    who, secret = await sign_up(servicer, "Ash")
    made = await ask(tokens.CreateToken, pb.CreateTokenRequest(token={}, request_id="k"), who)
    for token in (secret, made.secret):
        await auth.authenticate(f"Bearer {token}")
    await ask(servicer.DeleteAccount, pb.DeleteAccountRequest(name="accounts/me"), who)
    for token in (secret, made.secret):
        assert (await refused(auth.authenticate(f"Bearer {token}"))).reason == "token_unknown"
    for table in TABLES:
        assert await db.fetchval(f"select count(*) from {table}") == 0
    told = [(event.account, event.change) for event in db.outbox.events]
    assert told == [
        (who.account_name, events.ACCOUNT_CHANGE_CREATED),
        (who.account_name, events.ACCOUNT_CHANGE_ERASED),
    ]


async def test_the_answer_to_a_sign_up_is_forgotten_with_it(servicer, db):
    request = pb.CreateAccountRequest(account={"display_name": "Ash"}, request_id="r" * 16)
    made = await ask(servicer.CreateAccount, request, Caller.for_service("nobody"))
    await ask(servicer.DeleteAccount, pb.DeleteAccountRequest(name=made.account.name), ADMIN)
    assert await db.fetchval("select count(*) from request_keys") == 0


async def test_an_admin_erases_any_account_and_a_repeat_is_no_error(servicer, db):
    who, _ = await sign_up(servicer)
    other, _ = await sign_up(servicer)
    request = pb.DeleteAccountRequest(name=who.account_name, request_id="away")
    for _ in range(2):
        await ask(servicer.DeleteAccount, request, ADMIN)
    again = pb.DeleteAccountRequest(name=who.account_name)
    assert (await refused(ask(servicer.DeleteAccount, again, ADMIN))).kind is Kind.NOT_FOUND
    assert await db.fetchval("select id from accounts") == other.account


async def test_another_account_can_neither_be_erased_nor_exported(servicer):
    who, _ = await sign_up(servicer)
    other, _ = await sign_up(servicer)
    request = pb.DeleteAccountRequest(name=other.account_name)
    assert (await refused(ask(servicer.DeleteAccount, request, who))).kind is Kind.NOT_FOUND
    assert (await refused(exported(servicer, who, other.account_name))).kind is Kind.NOT_FOUND


async def test_an_export_has_everything_and_no_secret_and_is_told_of(servicer, tokens, db):
    who, secret = await sign_up(servicer, "Ash")
    for number in range(3):
        request = pb.CreateTokenRequest(token={"display_name": f"{number}"})
        await ask(tokens.CreateToken, request, who)
    await sign_up(servicer, "Misty")
    document = await exported(servicer, who)
    assert document["account"]["displayName"] == "Ash"
    assert [t["displayName"] for t in document["tokens"]] == ["2", "1", "0", "first token"]
    assert secret not in json.dumps(document)
    assert db.outbox.events[-1].change == events.ACCOUNT_CHANGE_EXPORTED


async def test_one_export_of_an_account_is_made_at_a_time(servicer, exports):
    who, _ = await sign_up(servicer)
    with calling(who):
        first = servicer.ExportAccount(pb.ExportAccountRequest(name="accounts/me"), None)
        await anext(first)
        error = await refused(exported(servicer, who))
        assert (error.kind, error.reason) == (Kind.RATE_LIMITED, "export_running")
        await first.aclose()
    await exported(servicer, who)
