"""Proto to domain and back, for accounts and tokens. Called in process by the gateway."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

from google.api.httpbody_pb2 import HttpBody
from google.protobuf.empty_pb2 import Empty

from gateway.accounts import secrets
from gateway.accounts.domain import Account, Owner, Token
from gateway.accounts.export import Exports
from gateway.accounts.handlers import Accounts, NewToken
from gateway.accounts.repeats import Repeats
from libs.api.idempotency import Secret
from libs.api.paging import PageTokens
from libs.api.wire import moment, resource_id, resource_name, stamp
from libs.auth import caller
from libs.auth.tokens import Minter
from libs.clock import Clock
from libs.db import Tx
from libs.errors import invalid, not_found
from pq.accounts.v1 import accounts_pb2 as pb
from pq.accounts.v1 import accounts_pb2_grpc
from pq.auth.v1 import rule_pb2

_FIRST_TOKEN = Secret("token", lambda random: secrets.mint(secrets.ACCOUNT, random))


class AccountServicer(accounts_pb2_grpc.AccountServiceServicer):
    """pq.accounts.v1.AccountService."""

    def __init__(
        self,
        accounts: Accounts,
        repeats: Repeats,
        exports: Exports,
        gone: Callable[[UUID], None],
    ) -> None:
        """`gone(account)` is told of an account that was erased."""
        self._accounts = accounts
        self._repeats = repeats
        self._exports = exports
        self._gone = gone

    async def CreateAccount(
        self, request: pb.CreateAccountRequest, _context: Any
    ) -> pb.CreateAccountResponse:
        """Signs somebody up."""

        async def create(tx: Tx, secret: str) -> pb.CreateAccountResponse:
            name = request.account.display_name
            account = await self._accounts.create_account(tx, name, secret)
            return pb.CreateAccountResponse(account=account_pb(account))

        return await self._repeats.once_with_secret(
            request, create, pb.CreateAccountResponse, _FIRST_TOKEN
        )

    async def GetAccount(self, request: pb.GetAccountRequest, _context: Any) -> pb.Account:
        """Gets one's own account, or any for an operator."""
        return account_pb(await self._accounts.get_account(_meant(request.name)))

    async def DeleteAccount(self, request: pb.DeleteAccountRequest, _context: Any) -> Empty:
        """Erases one's own account, or any for an admin."""
        id = _meant(request.name)

        async def delete(tx: Tx) -> Empty:
            await self._accounts.delete_account(tx, id)
            tx.after_commit(lambda: self._gone(id))
            return Empty()

        return await self._repeats.once(request, delete, Empty)

    async def ExportAccount(
        self, request: pb.ExportAccountRequest, _context: Any
    ) -> AsyncIterator[HttpBody]:
        """Hands out everything of one's own account, in parts."""
        who, id = caller(), _meant(request.name)
        account = await self._accounts.note_export(id)
        async for part in self._exports.document(who, account_pb(account)):
            yield HttpBody(content_type="application/json", data=part)


class TokenServicer(accounts_pb2_grpc.TokenServiceServicer):
    """pq.accounts.v1.TokenService."""

    def __init__(
        self,
        accounts: Accounts,
        repeats: Repeats,
        page_tokens: PageTokens,
        minter: Minter,
        clock: Clock,
    ) -> None:
        self._accounts = accounts
        self._repeats = repeats
        self._page_tokens = page_tokens
        self._minter = minter
        self._clock = clock

    async def CreateToken(
        self, request: pb.CreateTokenRequest, _context: Any
    ) -> pb.CreateTokenResponse:
        """Mints a token."""
        owner, token = _owner(), request.token
        expires = moment(token.expire_time) if token.HasField("expire_time") else None
        asked = NewToken(token.display_name, _role(owner, token.role), token.read_only, expires)
        if owner.account is None and token.read_only:
            raise invalid("token.read_only", "expected false: a role says what its token may do")

        async def create(tx: Tx, secret: str) -> pb.CreateTokenResponse:
            made = await self._accounts.create_token(tx, owner, asked, secret)
            return pb.CreateTokenResponse(token=token_pb(made))

        return await self._repeats.once_with_secret(
            request, create, pb.CreateTokenResponse, _secret(owner)
        )

    async def ListTokens(
        self, request: pb.ListTokensRequest, _context: Any
    ) -> pb.ListTokensResponse:
        """Lists tokens, newest first."""
        owner = _owner()
        page = self._page_tokens.page(
            method="ListTokens",
            page_size=request.page_size,
            page_token=request.page_token,
            default=50,
            question=(str(owner.account),),
        )
        before = UUID(str(page.cursor[0])) if page.cursor else None
        found = await self._accounts.list_tokens(owner, before, page.size + 1)
        shown, token = self._page_tokens.cut(page, found, lambda last: [str(last.id)])
        return pb.ListTokensResponse(
            tokens=[token_pb(token) for token in shown],
            next_page_token=token,
        )

    async def RevokeToken(self, request: pb.RevokeTokenRequest, _context: Any) -> pb.Token:
        """Ends a token."""
        owner, id = _owner(), resource_id("tokens", "tok", request.name)

        async def revoke(tx: Tx) -> pb.Token:
            return token_pb(await self._accounts.revoke_token(tx, owner, id))

        return await self._repeats.once(request, revoke, pb.Token)

    async def RotateToken(
        self, request: pb.RotateTokenRequest, _context: Any
    ) -> pb.CreateTokenResponse:
        """Mints a token's successor."""
        owner, id = _owner(), resource_id("tokens", "tok", request.name)
        overlap = request.overlap.ToTimedelta() if request.HasField("overlap") else timedelta(0)

        async def rotate(tx: Tx, secret: str) -> pb.CreateTokenResponse:
            made = await self._accounts.rotate_token(tx, owner, id, overlap, secret)
            return pb.CreateTokenResponse(token=token_pb(made))

        return await self._repeats.once_with_secret(
            request, rotate, pb.CreateTokenResponse, _secret(owner)
        )

    async def ExchangeToken(
        self, _request: pb.ExchangeTokenRequest, _context: Any
    ) -> pb.ExchangeTokenResponse:
        """Mints a short-lived access token for the caller."""
        jwt, expires = self._minter.mint_for(caller(), self._clock.now())
        return pb.ExchangeTokenResponse(access_token=jwt, expire_time=stamp(expires))


def account_pb(account: Account) -> pb.Account:
    """An account as it is shown."""
    return pb.Account(
        name=resource_name("accounts", "acc", account.id),
        display_name=account.display_name,
        create_time=stamp(account.create_time),
    )


def token_pb(token: Token) -> pb.Token:
    """A token as it is shown."""
    return pb.Token(
        name=resource_name("tokens", "tok", token.id),
        display_name=token.display_name,
        account=resource_name("accounts", "acc", token.account) if token.account else "",
        role=rule_pb2.Role.ValueType(token.role or 0),
        read_only=token.read_only,
        hint=token.hint,
        create_time=stamp(token.create_time),
        expire_time=stamp(token.expire_time),
        last_use_time=stamp(token.last_use_time),
        revoke_time=stamp(token.revoke_time),
    )


def _meant(name: str) -> UUID:
    """The account that a caller names; another's does not exist for an account."""
    who = caller()
    if name == "accounts/me" and who.account is not None:
        return who.account
    id = resource_id("accounts", "acc", name)
    if who.account is not None and who.account != id:
        raise not_found(name)
    return id


def _owner() -> Owner:
    return Owner(caller().account)


def _secret(owner: Owner) -> Secret:
    kind = secrets.ACCOUNT if owner.account else secrets.OPERATOR
    return Secret("secret", lambda random: secrets.mint(kind, random))


def _role(owner: Owner, role: int) -> int | None:
    if owner.account is not None:
        if role:
            raise invalid("token.role", "expected none: an account's token has no role")
        return None
    if role not in rule_pb2.Role.values() or not role:
        names = ", ".join(name for name, number in rule_pb2.Role.items() if number)
        raise invalid("token.role", f"expected one of {names}")
    return role
