"""Mutations of accounts and tokens that are safe to repeat, with answers that show secrets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias, TypeVar

from google.protobuf.message import Message

from libs.api.idempotency import Recall, RequestKey, Secret, once, once_with_secret
from libs.auth import CallerKind, caller
from libs.clock import Clock
from libs.db import Database, Tx
from libs.errors import invalid
from pq.accounts.v1 import accounts_pb2 as pb

M = TypeVar("M", bound=Message)

# Whoever repeats an anonymous sign-up is shown its token: the id must not be guessed.
ANONYMOUS_ID_LENGTH = 16

Mutation: TypeAlias = (
    pb.CreateAccountRequest
    | pb.DeleteAccountRequest
    | pb.CreateTokenRequest
    | pb.RevokeTokenRequest
    | pb.RotateTokenRequest
)


class Repeats:
    """Runs mutations in a transaction each, safe to repeat where the request has an id."""

    def __init__(self, db: Database, clock: Clock, recall: Recall) -> None:
        self._db = db
        self._clock = clock
        self._recall = recall

    async def once(
        self, request: Mutation, act: Callable[[Tx], Awaitable[M]], response_type: type[M]
    ) -> M:
        """The answer of `act`, or that of the first call. Raises AppError."""
        key = self._key(request)
        async with self._db.transaction() as tx:
            answer = await once(
                tx, key, request, lambda: act(tx), response_type, now=self._clock.now()
            )
        return answer.response

    async def once_with_secret(
        self,
        request: Mutation,
        act: Callable[[Tx, str], Awaitable[M]],
        response_type: type[M],
        secret: Secret,
    ) -> M:
        """The same, where `act` is given a secret that the answer shows."""
        key = self._key(request)
        async with self._db.transaction() as tx:
            answer = await once_with_secret(
                tx,
                key,
                request,
                lambda made: act(tx, made),
                response_type,
                now=self._clock.now(),
                secret=secret,
                recall=self._recall,
            )
        return answer.response

    def _key(self, request: Mutation) -> RequestKey:
        who, method = caller(), type(request).__name__.removesuffix("Request")
        if who.kind is not CallerKind.ANONYMOUS:
            return RequestKey(who.subject, method, request.request_id)
        if 0 < len(request.request_id) < ANONYMOUS_ID_LENGTH:
            expected = f"expected {ANONYMOUS_ID_LENGTH} characters or more that nobody can guess"
            raise invalid("request_id", f"{expected}, such as a UUID", "request_id_guessable")
        return RequestKey(
            f"anonymous/{self._recall.blind(who.subject)}", method, request.request_id
        )
