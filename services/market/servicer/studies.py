"""pq.market.v1.FactorService and BacktestService."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from uuid import UUID

from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message

from libs.api.idempotency import RequestKey, once
from libs.api.paging import PageTokens
from libs.api.wire import resource_id
from libs.auth import caller
from libs.clock import Clock
from libs.db import Database, Tx
from libs.errors import AppError, Kind, invalid, not_found
from libs.ids import Ids
from pq.market.v1 import studies_pb2 as pb
from pq.market.v1 import studies_pb2_grpc
from services.market.analytics.backtest import Rules
from services.market.domain import studies as domain
from services.market.domain.studies import MAX_NAME, MAX_UNFINISHED, Asked, State, Study
from services.market.handlers.studies import report_of
from services.market.servicer import names
from services.market.servicer.account import account as calling_account
from services.market.servicer.show_studies import asked_json, backtest_pb, factor_report_pb
from services.market.store import studies

M = TypeVar("M", bound=Message)


class _Once:
    """Mutations that are safe to repeat."""

    def __init__(
        self, db: Database, tokens: PageTokens, clock: Clock, ids: Ids, wake: Callable[[], None]
    ) -> None:
        self._db = db
        self._tokens = tokens
        self._clock = clock
        self._ids = ids
        self._wake = wake

    async def _once(
        self, method: str, request: Any, handle: Callable[[Tx], Awaitable[M]], response: type[M]
    ) -> M:
        key, now = RequestKey(caller().subject, method, request.request_id), self._clock.now()
        async with self._db.transaction() as tx:
            answer = await once(tx, key, request, lambda: handle(tx), response, now=now)
            tx.after_commit(self._wake)
        return answer.response

    async def _source(self, name: str, field: str) -> int:
        number = await studies.source_number(self._db, name) if name else None
        if number is None:
            told = f"expected a source that has published; got {name[:60]!r}"
            raise invalid(field, told, "unknown_source")
        return number


class FactorServicer(_Once, studies_pb2_grpc.FactorServiceServicer):
    """Factor reports."""

    async def ListFactorReports(
        self, request: pb.ListFactorReportsRequest, _context: Any
    ) -> pb.ListFactorReportsResponse:
        """A page of reports."""
        page = self._tokens.page(
            method="ListFactorReports",
            page_size=request.page_size,
            page_token=request.page_token,
            default=50,
            question=(request.source,),
        )
        before = UUID(str(page.cursor[0])) if page.cursor else None
        found = await studies.page(
            self._db, domain.Kind.FACTORS, None, request.source, before, page.size + 1
        )
        shown, token = self._tokens.cut(page, found, lambda last: [str(last.id)])
        return pb.ListFactorReportsResponse(
            factor_reports=map(factor_report_pb, shown), next_page_token=token
        )

    async def GetFactorReport(
        self, request: pb.GetFactorReportRequest, _context: Any
    ) -> pb.FactorReport:
        """A report."""
        id = resource_id("factorReports", "fac", request.name)
        found = await studies.get(self._db, domain.Kind.FACTORS, None, id)
        if found is None:
            raise not_found(request.name)
        return factor_report_pb(found)

    async def CreateFactorReport(
        self, request: pb.CreateFactorReportRequest, _context: Any
    ) -> pb.FactorReport:
        """Has a report made."""
        number = await self._source(request.source, "source")

        async def create(tx: Tx) -> pb.FactorReport:
            made = report_of(request.source, number, self._ids, self._clock)
            await studies.insert(tx, made)
            return factor_report_pb(made)

        return await self._once("CreateFactorReport", request, create, pb.FactorReport)


class BacktestServicer(_Once, studies_pb2_grpc.BacktestServiceServicer):
    """The calling account's backtests; another's do not exist."""

    async def CreateBacktest(self, request: pb.CreateBacktestRequest, _context: Any) -> pb.Backtest:
        """Has rules played through the past."""
        account, asked = calling_account(), request.backtest
        checked = _checked(asked)
        number = await self._source(asked.rules.source, "backtest.rules.source")

        async def create(tx: Tx) -> pb.Backtest:
            if await studies.unfinished(tx, account) >= MAX_UNFINISHED:
                told = f"{MAX_UNFINISHED} backtests are not done; wait for one of them"
                raise AppError(Kind.PRECONDITION, "too_many_backtests", told)
            made = Study(
                self._ids.uuid(),
                domain.Kind.BACKTEST,
                asked.rules.source,
                number,
                account,
                {"display_name": asked.display_name, **asked_json(checked)},
                State.WAITING,
                "",
                self._clock.now(),
            )
            await studies.insert(tx, made)
            return backtest_pb(made)

        return await self._once("CreateBacktest", request, create, pb.Backtest)

    async def ListBacktests(
        self, request: pb.ListBacktestsRequest, _context: Any
    ) -> pb.ListBacktestsResponse:
        """A page of backtests."""
        account = calling_account()
        page = self._tokens.page(
            method="ListBacktests",
            page_size=request.page_size,
            page_token=request.page_token,
            default=50,
            question=(str(account),),
        )
        before = UUID(str(page.cursor[0])) if page.cursor else None
        found = await studies.page(
            self._db, domain.Kind.BACKTEST, account, "", before, page.size + 1
        )
        shown, token = self._tokens.cut(page, found, lambda last: [str(last.id)])
        return pb.ListBacktestsResponse(backtests=map(backtest_pb, shown), next_page_token=token)

    async def GetBacktest(self, request: pb.GetBacktestRequest, _context: Any) -> pb.Backtest:
        """A backtest with its days."""
        id = resource_id("backtests", "bkt", request.name)
        found = await studies.get(self._db, domain.Kind.BACKTEST, calling_account(), id)
        if found is None:
            raise not_found(request.name)
        return backtest_pb(found)

    async def DeleteBacktest(self, request: pb.DeleteBacktestRequest, _context: Any) -> Empty:
        """Deletes a backtest."""
        account, id = calling_account(), resource_id("backtests", "bkt", request.name)

        async def delete(tx: Tx) -> Empty:
            if not await studies.delete(tx, account, id):
                raise not_found(request.name)
            return Empty()

        return await self._once("DeleteBacktest", request, delete, Empty)


def _checked(asked: pb.Backtest) -> Asked:
    if len(asked.display_name) > MAX_NAME or "\x00" in asked.display_name:
        raise invalid("backtest.display_name", f"expected at most {MAX_NAME} characters, no NUL")
    if not asked.HasField("rules"):
        raise invalid("backtest.rules", "expected rules", "required")
    rules, usual = asked.rules, Rules()
    return domain.check(
        dict(rules.weights),
        Rules(
            every=rules.rebalance_days or usual.every,
            share=rules.share or usual.share,
            most=rules.most_cards or usual.most,
            copies=rules.copies or usual.copies,
            least_cents=rules.least_cents or usual.least_cents,
            fee=rules.fee if rules.HasField("fee") else usual.fee,
            fee_cents=rules.fee_cents if rules.HasField("fee_cents") else usual.fee_cents,
            premium=rules.premium,
            start=rules.start_cents or usual.start,
        ),
        names.optional_day(rules.first_day, "backtest.rules.first_day"),
    )
