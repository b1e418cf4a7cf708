"""pq.alerts.v1.AlertService."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import date
from typing import Any, TypeAlias, TypeVar
from uuid import UUID

from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message

from libs.api import filters
from libs.api.idempotency import RequestKey, once
from libs.api.paging import PageTokens
from libs.auth import caller
from libs.clock import Clock
from libs.db import Database, Tx
from libs.errors import AppError, Kind
from pq.alerts.v1 import alerts_pb2 as pb
from pq.alerts.v1 import alerts_pb2_grpc
from services.alerts.domain.alerts import Alert
from services.alerts.handlers.alerts import Alerts, Target
from services.alerts.handlers.erasure import scope
from services.alerts.servicer import read
from services.alerts.servicer.write import alert_pb, firing_pb

M = TypeVar("M", bound=Message)

DEFAULT_PAGE = 50

Mutation: TypeAlias = (
    pb.CreateAlertRequest
    | pb.DeactivateAlertRequest
    | pb.ActivateAlertRequest
    | pb.SnoozeAlertRequest
    | pb.DeleteAlertRequest
)


class AlertServicer(alerts_pb2_grpc.AlertServiceServicer):
    """The calling account's alerts; another's do not exist."""

    def __init__(self, alerts: Alerts, db: Database, page_tokens: PageTokens, clock: Clock) -> None:
        self._alerts = alerts
        self._db = db
        self._page_tokens = page_tokens
        self._clock = clock

    async def CreateAlert(self, request: pb.CreateAlertRequest, _context: Any) -> pb.Alert:
        """Creates an alert."""
        account, asked = _account(), read.new_alert(request)
        await self._alerts.check_card(asked)
        return await self._once(
            "CreateAlert", request, lambda tx: self._alerts.create(tx, account, asked)
        )

    async def GetAlert(self, request: pb.GetAlertRequest, _context: Any) -> pb.Alert:
        """Gets an alert."""
        id = read.alert_id(request.name)
        return alert_pb(await self._alerts.get(self._db, _account(), id))

    async def ListAlerts(
        self, request: pb.ListAlertsRequest, _context: Any
    ) -> pb.ListAlertsResponse:
        """Lists alerts, newest first."""
        account = _account()
        where = filters.parse(request.filter, read.LIST_COLUMNS, first=4)
        page = self._page_tokens.page(
            method="ListAlerts",
            page_size=request.page_size,
            page_token=request.page_token,
            default=DEFAULT_PAGE,
            question=(str(account), request.filter),
        )
        before = UUID(str(page.cursor[0])) if page.cursor else None
        found = await self._alerts.page(self._db, account, where, before, page.size + 1)
        shown, token = self._page_tokens.cut(page, found, lambda last: [str(last.id)])
        return pb.ListAlertsResponse(
            alerts=[alert_pb(alert) for alert in shown],
            next_page_token=token,
        )

    async def DeactivateAlert(self, request: pb.DeactivateAlertRequest, _context: Any) -> pb.Alert:
        """Stops an alert."""
        target = _target(request)
        return await self._once(
            "DeactivateAlert", request, lambda tx: self._alerts.deactivate(tx, target)
        )

    async def ActivateAlert(self, request: pb.ActivateAlertRequest, _context: Any) -> pb.Alert:
        """Lets an alert watch again."""
        target = _target(request)
        return await self._once(
            "ActivateAlert", request, lambda tx: self._alerts.activate(tx, target)
        )

    async def SnoozeAlert(self, request: pb.SnoozeAlertRequest, _context: Any) -> pb.Alert:
        """Keeps an alert quiet for a while."""
        target, until = _target(request), read.snooze_time(request, self._clock.now())
        return await self._once(
            "SnoozeAlert", request, lambda tx: self._alerts.snooze(tx, target, until)
        )

    async def DeleteAlert(self, request: pb.DeleteAlertRequest, _context: Any) -> Empty:
        """Deletes an alert with its firings."""
        target = _target(request)

        async def delete(tx: Tx) -> Empty:
            await self._alerts.delete(tx, target)
            return Empty()

        return await self._answer("DeleteAlert", request, delete, Empty)

    async def ListFirings(
        self, request: pb.ListFiringsRequest, _context: Any
    ) -> pb.ListFiringsResponse:
        """Lists an alert's firings, newest first."""
        account, parent = _account(), read.alert_id(request.parent, "parent")
        page = self._page_tokens.page(
            method="ListFirings",
            page_size=request.page_size,
            page_token=request.page_token,
            default=DEFAULT_PAGE,
            question=(str(account), request.parent),
        )
        before = date.fromisoformat(str(page.cursor[0])) if page.cursor else None
        found = await self._alerts.firings(self._db, account, parent, before, page.size + 1)
        shown, token = self._page_tokens.cut(page, found, lambda last: [last.day.isoformat()])
        return pb.ListFiringsResponse(
            firings=[firing_pb(firing) for firing in shown],
            next_page_token=token,
        )

    async def _once(
        self, method: str, request: Mutation, act: Callable[[Tx], Awaitable[Alert]]
    ) -> pb.Alert:
        async def answer(tx: Tx) -> pb.Alert:
            return alert_pb(await act(tx))

        return await self._answer(method, request, answer, pb.Alert)

    async def _answer(
        self,
        method: str,
        request: Mutation,
        act: Callable[[Tx], Awaitable[M]],
        response_type: type[M],
    ) -> M:
        """One transaction, safe to repeat where the request has an id."""
        key = RequestKey(scope(_account()), method, request.request_id)
        async with self._db.transaction() as tx:
            answer = await once(
                tx, key, request, lambda: act(tx), response_type, now=self._clock.now()
            )
        return answer.response


def _account() -> UUID:
    account = caller().account
    if account is None:  # the RPCs' rules let accounts in and nobody else
        raise AppError(Kind.FORBIDDEN, "account_required", "only an account has alerts")
    return account


def _target(
    request: pb.DeactivateAlertRequest
    | pb.ActivateAlertRequest
    | pb.SnoozeAlertRequest
    | pb.DeleteAlertRequest,
) -> Target:
    return Target(_account(), read.alert_id(request.name), request.etag)
