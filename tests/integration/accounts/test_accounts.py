"""Accounts and tokens on a real PostgreSQL."""

from datetime import timedelta

import pytest

from gateway.accounts import authenticator, domain, secrets
from libs.auth import Caller, Role
from libs.errors import AppError, Kind
from pq.accounts.v1 import accounts_pb2 as pb
from pq.auth.v1 import rule_pb2
from tests.integration.accounts.place import ask, sign_up

ADMIN = Caller.for_operator("tokens/tok_root", Role.ADMIN)


async def test_sign_up_gives_a_token_that_speaks_for_the_account(servicer, auth, db):
    who, secret = await sign_up(servicer, "Ash")
    identity = await auth.authenticate(f"Bearer {secret}")
    assert identity.caller == who
    assert identity.jwt
    assert [event.account for event in db.outbox.events] == [identity.caller.account_name]
    stored = await db.fetchval("select string_agg(t::text, ' ') from tokens t")
    assert secret not in stored


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("Bearer nonsense", "token_malformed"),
        ("Basic abc", "token_malformed"),
        ("", "token_malformed"),
        (f"Bearer {secrets.mint('acc', lambda count: b'x' * count)}", "token_unknown"),
    ],
)
async def test_a_bad_token_is_told_what_is_wrong(auth, header, reason):
    with pytest.raises(AppError) as caught:
        await auth.authenticate(header)
    assert (caught.value.kind, caught.value.reason) == (Kind.UNAUTHENTICATED, reason)


async def test_no_header_is_the_anonymous(auth):
    assert (await auth.authenticate(None)).jwt == ""


async def test_a_revoked_token_ends_when_the_verdict_does(servicer, auth, tokens, clock):
    who, first = await sign_up(servicer)
    made = await ask(tokens.CreateToken, pb.CreateTokenRequest(token={"read_only": True}), who)
    assert (await auth.authenticate(f"Bearer {made.secret}")).caller.read_only
    await ask(tokens.RevokeToken, pb.RevokeTokenRequest(name=made.token.name), who)
    clock.advance(authenticator.VERDICT_SECONDS + 1)
    with pytest.raises(AppError, match="revoked"):
        await auth.authenticate(f"Bearer {made.secret}")
    assert (await auth.authenticate(f"Bearer {first}")).caller == who


async def test_rotation_overlaps_or_ends_at_once(servicer, auth, tokens, clock):
    who, old = await sign_up(servicer)
    name = (await ask(tokens.ListTokens, pb.ListTokensRequest(), who)).tokens[0].name
    request = pb.RotateTokenRequest(name=name, overlap=timedelta(hours=1))
    new = await ask(tokens.RotateToken, request, who)
    clock.advance(60)
    for secret in (old, new.secret):
        await auth.authenticate(f"Bearer {secret}")
    clock.advance(3600)
    with pytest.raises(AppError):
        await auth.authenticate(f"Bearer {old}")
    again = pb.RotateTokenRequest(name=new.token.name)
    await ask(tokens.RotateToken, again, who)
    clock.advance(authenticator.VERDICT_SECONDS + 1)
    with pytest.raises(AppError):
        await auth.authenticate(f"Bearer {new.secret}")


async def test_another_accounts_token_does_not_exist(servicer, tokens):
    (who, _), (other, _) = await sign_up(servicer), await sign_up(servicer)
    name = (await ask(tokens.ListTokens, pb.ListTokensRequest(), other)).tokens[0].name
    for method, request in [
        (tokens.RevokeToken, pb.RevokeTokenRequest(name=name)),
        (tokens.RotateToken, pb.RotateTokenRequest(name=name)),
    ]:
        with pytest.raises(AppError) as caught:
            await ask(method, request, who)
        assert caught.value.kind is Kind.NOT_FOUND


async def test_another_account_does_not_exist_but_a_viewer_sees_it(servicer):
    who, _ = await sign_up(servicer)
    other, _ = await sign_up(servicer, "Misty")
    request = pb.GetAccountRequest(name=other.account_name)
    with pytest.raises(AppError) as caught:
        await ask(servicer.GetAccount, request, who)
    assert caught.value.kind is Kind.NOT_FOUND
    viewer = Caller.for_operator("tokens/tok_v", Role.VIEWER)
    assert (await ask(servicer.GetAccount, request, viewer)).display_name == "Misty"
    mine = await ask(servicer.GetAccount, pb.GetAccountRequest(name="accounts/me"), who)
    assert mine.name == who.account_name


async def test_an_admin_mints_roles_and_an_account_cannot(servicer, auth, tokens):
    request = pb.CreateTokenRequest(token={"role": rule_pb2.ROLE_INGEST, "display_name": "feed"})
    made = await ask(tokens.CreateToken, request, ADMIN)
    assert (await auth.authenticate(f"Bearer {made.secret}")).caller.role is Role.INGEST
    who, _ = await sign_up(servicer)
    with pytest.raises(AppError) as caught:
        await ask(tokens.CreateToken, request, who)
    assert caught.value.violations[0].field == "token.role"
    with pytest.raises(AppError) as caught:
        await ask(tokens.CreateToken, pb.CreateTokenRequest(), ADMIN)
    assert "ROLE_INGEST" in caught.value.message


async def test_live_tokens_are_limited(servicer, tokens, monkeypatch):
    monkeypatch.setattr(domain, "MAX_TOKENS", 2)
    who, _ = await sign_up(servicer)
    made = await ask(tokens.CreateToken, pb.CreateTokenRequest(token={}), who)
    with pytest.raises(AppError) as caught:
        await ask(tokens.CreateToken, pb.CreateTokenRequest(token={}), who)
    assert caught.value.reason == "too_many_tokens"
    await ask(tokens.RevokeToken, pb.RevokeTokenRequest(name=made.token.name), who)
    await ask(tokens.CreateToken, pb.CreateTokenRequest(token={}), who)


async def test_tokens_are_listed_newest_first_a_page_at_a_time(servicer, tokens, clock):
    who, _ = await sign_up(servicer)
    for name in "abc":
        clock.advance(1)
        await ask(tokens.CreateToken, pb.CreateTokenRequest(token={"display_name": name}), who)
    names, token = [], ""
    while True:
        request = pb.ListTokensRequest(page_size=2, page_token=token)
        page = await ask(tokens.ListTokens, request, who)
        names += [found.display_name for found in page.tokens]
        if not (token := page.next_page_token):
            break
    assert names == ["c", "b", "a", "first token"]


async def test_use_is_written_down_for_all_at_once(servicer, auth, tokens, clock):
    who, secret = await sign_up(servicer)
    await auth.authenticate(f"Bearer {secret}")
    await auth.flush_uses()
    listed = await ask(tokens.ListTokens, pb.ListTokensRequest(), who)
    assert listed.tokens[0].last_use_time.ToDatetime(clock.now().tzinfo) == clock.now()


async def test_an_operators_secret_made_outside_is_registered_once(accounts, auth, db):
    secret = secrets.mint(secrets.OPERATOR)
    for _ in range(2):
        await accounts.ensure_operator(secret, Role.ADMIN, "set-up")
    assert (await auth.authenticate(f"Bearer {secret}")).caller.role is Role.ADMIN
    assert await db.fetchval("select count(*) from tokens") == 1


async def test_while_the_database_is_away_a_known_token_still_works(servicer, auth, db, clock):
    _, secret = await sign_up(servicer)
    await auth.authenticate(f"Bearer {secret}")
    clock.advance(authenticator.VERDICT_SECONDS + 1)
    await db.close()
    await auth.authenticate(f"Bearer {secret}")
    clock.advance(authenticator.GRACE_SECONDS)
    with pytest.raises(AppError) as caught:
        await auth.authenticate(f"Bearer {secret}")
    assert caught.value.kind is Kind.UNAVAILABLE
