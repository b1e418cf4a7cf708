"""Sign-ups and tokens are made once, however often they are asked for under one key."""

import asyncio
from dataclasses import replace

import pytest

from gateway.accounts.repeats import Repeats
from gateway.accounts.servicer import AccountServicer, TokenServicer
from libs.api.idempotency import LIFETIME, Recall
from libs.auth import ANONYMOUS
from libs.errors import AppError, Kind
from pq.accounts.v1 import accounts_pb2 as pb
from tests.integration.accounts.place import ask, sign_up

SIGN_UP = "5c1f0a52-9a0e-4d8f-8c5b-0b6a3f0f7f10"
HERE = replace(ANONYMOUS, subject="anonymous@203.0.113.7")
ELSEWHERE = replace(ANONYMOUS, subject="anonymous@203.0.113.8")


def asked(name="Ash", id=SIGN_UP):
    return pb.CreateAccountRequest(account={"display_name": name}, request_id=id)


async def test_a_repeated_sign_up_is_the_same_account_with_the_same_token(servicer, auth, db):
    first = await ask(servicer.CreateAccount, asked(), HERE)
    again = await ask(servicer.CreateAccount, asked(), HERE)
    assert first == again
    assert (await auth.authenticate(f"Bearer {again.token}")).caller.account_name == (
        first.account.name
    )
    assert await db.fetchval("select count(*) from accounts") == 1
    assert len(db.outbox.events) == 1


async def test_what_is_stored_tells_neither_the_token_nor_the_address(servicer, db):
    made = await ask(servicer.CreateAccount, asked(), HERE)
    kept = await db.fetchrow("select * from request_keys")
    assert made.token[:12].encode() not in kept["response"]
    assert "203.0.113" not in kept["scope"]


async def test_a_repeat_from_another_address_is_another_sign_up(servicer):
    first = await ask(servicer.CreateAccount, asked(), HERE)
    other = await ask(servicer.CreateAccount, asked(), ELSEWHERE)
    assert first.account.name != other.account.name
    assert first.token != other.token


async def test_another_body_under_the_same_key_is_refused(servicer):
    await ask(servicer.CreateAccount, asked(), HERE)
    with pytest.raises(AppError) as caught:
        await ask(servicer.CreateAccount, asked("Misty"), HERE)
    assert (caught.value.kind, caught.value.reason) == (Kind.UNPROCESSABLE, "request_id_reused")


async def test_a_key_that_can_be_guessed_is_refused_for_a_sign_up_alone(servicer, tokens):
    with pytest.raises(AppError) as caught:
        await ask(servicer.CreateAccount, asked(id="1"), HERE)
    assert caught.value.violations[0].reason == "request_id_guessable"
    who, _ = await sign_up(servicer)
    await ask(tokens.CreateToken, pb.CreateTokenRequest(token={}, request_id="1"), who)


async def test_of_many_at_once_one_makes_it_and_the_rest_wait_their_turn(servicer, db):
    async def attempt():
        while True:
            try:
                return await ask(servicer.CreateAccount, asked(), HERE)
            except AppError as error:
                if (error.kind, error.retry_after) != (Kind.ABORTED, 1):
                    raise

    answers = await asyncio.gather(*(attempt() for _ in range(8)))
    assert len({answer.token for answer in answers}) == 1
    assert await db.fetchval("select count(*) from tokens") == 1


async def test_a_token_is_made_once_and_shown_again(servicer, tokens, auth, db):
    who, _ = await sign_up(servicer)
    request = pb.CreateTokenRequest(token={"read_only": True}, request_id="again")
    first = await ask(tokens.CreateToken, request, who)
    assert await ask(tokens.CreateToken, request, who) == first
    assert (await auth.authenticate(f"Bearer {first.secret}")).caller.read_only
    assert await db.fetchval("select count(*) from tokens") == 2
    other, _ = await sign_up(servicer)
    assert (await ask(tokens.CreateToken, request, other)).token.name != first.token.name


async def test_rotating_and_revoking_happen_once(servicer, tokens, auth, db):
    who, _ = await sign_up(servicer)
    name = (await ask(tokens.ListTokens, pb.ListTokensRequest(), who)).tokens[0].name
    rotate = pb.RotateTokenRequest(name=name, request_id="turn")
    new = await ask(tokens.RotateToken, rotate, who)
    assert await ask(tokens.RotateToken, rotate, who) == new
    assert await db.fetchval("select count(*) from tokens") == 2
    revoke = pb.RevokeTokenRequest(name=new.token.name, request_id="end")
    ended = await ask(tokens.RevokeToken, revoke, who)
    assert ended.HasField("revoke_time")
    assert await ask(tokens.RevokeToken, revoke, who) == ended


async def test_after_a_day_the_key_is_free(servicer, clock):
    first = await ask(servicer.CreateAccount, asked(), HERE)
    clock.advance(LIFETIME.total_seconds() + 1)
    assert (await ask(servicer.CreateAccount, asked(), HERE)).token != first.token


async def test_under_a_new_server_key_a_repeated_sign_up_is_another(
    servicer, accounts, exports, auth, db, clock
):
    first = await ask(servicer.CreateAccount, asked(), HERE)
    changed = Repeats(db, clock, Recall(b"n" * 32))
    # The scope hangs on the key as well, so only who is known can meet the old answer.
    other = AccountServicer(accounts, changed, exports, auth.forget)
    anew = await ask(other.CreateAccount, asked(), HERE)
    assert anew.account.name != first.account.name


async def test_a_token_asked_for_again_under_a_new_server_key_is_not_made_twice(
    servicer, tokens, accounts, db, clock
):
    who, _ = await sign_up(servicer)
    request = pb.CreateTokenRequest(token={}, request_id="again")
    first = await ask(tokens.CreateToken, request, who)
    changed = Repeats(db, clock, Recall(b"n" * 32))
    other = TokenServicer(accounts, changed, tokens._page_tokens, tokens._minter, clock)
    again = await ask(other.CreateToken, request, who)
    assert (again.token, again.secret) == (first.token, "")
