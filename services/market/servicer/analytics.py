"""pq.market.v1.AnalyticsService."""

from __future__ import annotations

import math
from datetime import date
from typing import Any
from uuid import UUID

from libs.api import filters
from libs.api.paging import PageTokens
from libs.api.wire import resource_id, stamp
from libs.clock import Clock
from libs.db import Database
from libs.errors import invalid, not_found
from pq.market.v1 import analytics_pb2 as pb
from pq.market.v1 import analytics_pb2_grpc
from services.market import messages
from services.market.analytics import movers as rules
from services.market.analytics.catalogue import CATALOGUE, NAMES
from services.market.analytics.quality import STALE_WINDOW, ScoreRule, sentence
from services.market.domain.money import decimal
from services.market.domain.pipeline import Published
from services.market.handlers.reading import CardNumbers, Reading
from services.market.handlers.steps.movers import ORDERINGS
from services.market.handlers.steps.signals import PARTS
from services.market.servicer import names
from services.market.servicer.pipeline import run_name
from services.market.store import anomalies, movers, ticks
from services.market.store.ticks import Tick

_MAX_RESOLUTION = 500
_VERDICTS = ("open", "cleared", "confirmed")
_RANKS = {"": True, "value desc": True, "value": False}
_WEIGHTS = ScoreRule().weights


class AnalyticsServicer(analytics_pb2_grpc.AnalyticsServiceServicer):
    """Numbers of published versions."""

    def __init__(self, db: Database, tokens: PageTokens, clock: Clock, reading: Reading) -> None:
        self._db = db
        self._tokens = tokens
        self._clock = clock
        self._reading = reading

    async def ListSignals(
        self, request: pb.ListSignalsRequest, _context: Any
    ) -> pb.ListSignalsResponse:
        """What signals there are."""
        page = self._tokens.page(
            method="ListSignals",
            page_size=request.page_size,
            page_token=request.page_token,
            default=len(CATALOGUE),
        )
        start = int(page.cursor[0] or 0) if page.cursor else 0
        shown, token = self._tokens.cut(
            page, CATALOGUE[start : start + page.size + 1], lambda _: [start + page.size]
        )
        signals = [
            pb.Signal(
                name=f"signals/{one.name}",
                title=one.title,
                formula=one.formula,
                window_days=one.window,
                unit=one.unit,
                inputs=one.source,
            )
            for one in shown
        ]
        return pb.ListSignalsResponse(signals=signals, next_page_token=token)

    async def GetCardSignals(
        self, request: pb.GetCardSignalsRequest, _context: Any
    ) -> pb.CardSignals:
        """A card's signals."""
        found = await self._card(request, "signals")
        return pb.CardSignals(
            name=request.name,
            basis=basis(found.of),
            values=[_signal_value(name, found) for name in NAMES],
        )

    async def ListCardSignalDays(
        self, request: pb.ListCardSignalDaysRequest, _context: Any
    ) -> pb.ListCardSignalDaysResponse:
        """A page of a signal over time."""
        id, signal = names.card_id(request.parent, "parent"), request.signal
        name = signal.removeprefix("signals/")
        if name not in NAMES or name == signal:
            told = f"expected one of signals/{', signals/'.join(NAMES)}; got {signal[:80]!r}"
            raise invalid("signal", told, "unknown_value")
        of = (await self._reading.published(request.source, None)).of
        page = self._tokens.page(
            method="ListCardSignalDays",
            page_size=request.page_size,
            page_token=request.page_token,
            default=90,
            question=(id, signal, of.source),
        )
        before = date.fromisoformat(str(page.cursor[0])) if page.cursor else None
        found = await self._reading.over_days(id, of.source_number, name, before, page.size + 1)
        shown, token = self._tokens.cut(page, found, lambda last: [last[0].of.day.isoformat()])
        return pb.ListCardSignalDaysResponse(
            days=[
                pb.CardSignalDay(
                    value=_known(value),
                    reason=pb.UnknownReason.ValueType(reason),
                    basis=basis(version),
                )
                for version, value, reason in shown
            ],
            next_page_token=token,
        )

    async def GetCardQuality(
        self, request: pb.GetCardQualityRequest, _context: Any
    ) -> pb.CardQuality:
        """How far a card's price can be trusted."""
        found = await self._card(request, "quality")
        found_ticks = await self._reading.ticks(
            names.part_of_card(request.name, "quality"), found.of
        )
        values = found.values or {}
        return pb.CardQuality(
            name=request.name,
            basis=basis(found.of),
            score=_known(values.get("score")),
            parts=[
                pb.QualityPart(part=part, value=_known(values.get(part)), weight=_WEIGHTS[part])
                for part in PARTS
            ],
            staleness=_staleness(values),
            suspect_ticks=map(_tick, found_ticks),
        )

    async def ListSignalValues(
        self, request: pb.ListSignalValuesRequest, _context: Any
    ) -> pb.ListSignalValuesResponse:
        """Cards by one signal."""
        signal, order = request.parent.removeprefix("signals/"), names.words(request.order_by)
        if signal not in NAMES or not request.parent.startswith("signals/"):
            raise not_found(request.parent[:80])
        descending = _RANKS.get(order)
        if descending is None:
            raise names.wrong_order(request.order_by, ("value desc", "value"))
        of = await self._reading.published(request.source, names.optional_day(request.day))
        page = self._page("ListSignalValues", request, of, signal, str(descending))
        start = _start(page)
        found, known, unknown = await self._reading.ranked(
            of, signal, start, page.size, descending=descending
        )
        following = [start + page.size] if start + page.size < known else None
        return pb.ListSignalValuesResponse(
            values=[pb.CardValue(card=messages.card_name(id), value=value) for id, value in found],
            next_page_token=self._tokens.next(page, following),
            basis=basis(of),
            known_count=known,
            unknown_counts=[
                pb.UnknownCount(reason=pb.UnknownReason.ValueType(reason), card_count=count)
                for reason, count in unknown.items()
            ],
        )

    async def ListMovers(
        self, request: pb.ListMoversRequest, _context: Any
    ) -> pb.ListMoversResponse:
        """Movers."""
        window, ordering = request.window_days or 7, int(request.order) or 1
        if window not in rules.WINDOWS:
            raise invalid("window_days", f"expected 1, 7, 30 or 90; got {window}", "out_of_range")
        if ordering not in ORDERINGS:
            raise invalid("order", "expected one of the orders", "out_of_range")
        of = await self._reading.find(request.source, names.optional_day(request.day))
        if of is None:
            return pb.ListMoversResponse(rule=_RULE)
        page = self._page("ListMovers", request, of, str((window, ordering, request.thin)))
        found = await movers.page(
            self._db,
            of.of,
            window,
            ordering,
            thin=request.thin,
            after=_start(page),
            limit=page.size + 1,
        )
        shown, token = self._tokens.cut(page, found, lambda last: [last.place])
        return pb.ListMoversResponse(
            movers=map(mover_pb, shown), next_page_token=token, basis=basis(of), rule=_RULE
        )

    async def ListAnomalies(
        self, request: pb.ListAnomaliesRequest, _context: Any
    ) -> pb.ListAnomaliesResponse:
        """A page of anomalies."""
        where = filters.parse(request.filter, anomalies.FILTERS, first=4)
        page = self._tokens.page(
            method="ListAnomalies",
            page_size=request.page_size,
            page_token=request.page_token,
            default=50,
            question=(request.filter,),
        )
        after = None
        if page.cursor is not None:
            after = (date.fromisoformat(str(page.cursor[0])), UUID(str(page.cursor[1])))
        found = await anomalies.page(self._db, where, after, page.size + 1)
        shown, token = self._tokens.cut(
            page, found, lambda last: [last.day.isoformat(), str(last.id)]
        )
        return pb.ListAnomaliesResponse(
            anomalies=map(messages.anomaly, shown), next_page_token=token
        )

    async def ListSuspectTicks(
        self, request: pb.ListSuspectTicksRequest, _context: Any
    ) -> pb.ListSuspectTicksResponse:
        """A page of suspect ticks."""
        where = filters.parse(request.filter, ticks.FILTERS, first=4)
        page = self._tokens.page(
            method="ListSuspectTicks",
            page_size=request.page_size,
            page_token=request.page_token,
            default=50,
            question=(request.filter,),
        )
        after = None
        if page.cursor is not None:
            after = (date.fromisoformat(str(page.cursor[0])), int(str(page.cursor[1])))
        found = await ticks.page(self._db, where, after, page.size + 1)
        shown, token = self._tokens.cut(
            page, found, lambda last: [last.tick.day.isoformat(), last.place]
        )
        return pb.ListSuspectTicksResponse(
            suspect_ticks=[_tick(one.tick, one.card, one.display_name) for one in shown],
            next_page_token=token,
        )

    async def GetAnomaly(self, request: pb.GetAnomalyRequest, _context: Any) -> pb.Anomaly:
        """One anomaly."""
        found = await anomalies.get(
            self._db, resource_id("anomalies", messages.ANOMALY, request.name)
        )
        if found is None:
            raise not_found(request.name)
        return messages.anomaly(found)

    async def ResolveAnomaly(self, request: pb.ResolveAnomalyRequest, _context: Any) -> pb.Anomaly:
        """Notes what an anomaly was."""
        id = resource_id("anomalies", messages.ANOMALY, request.name)
        text = request.resolution.strip()
        if not text or len(text) > _MAX_RESOLUTION or "\x00" in text:
            told = f"expected 1 to {_MAX_RESOLUTION} characters, none of them NUL"
            raise invalid("resolution", told, "wrong_length")
        async with self._db.transaction() as tx:
            if not await anomalies.resolve(tx, id, text, self._clock.now()):
                raise not_found(request.name)
        found = await anomalies.get(self._db, id)
        assert found is not None  # it was there, and none is deleted but by its own day's run
        return messages.anomaly(found)

    async def _card(self, request: Any, part: str) -> CardNumbers:
        id = names.part_of_card(request.name, part)
        return await self._reading.card(id, request.source, names.optional_day(request.day))

    def _page(self, method: str, request: Any, of: Published, *question: str) -> Any:
        """Pages are bound to the version: a list does not change under who reads it."""
        return self._tokens.page(
            method=method,
            page_size=request.page_size,
            page_token=request.page_token,
            default=50,
            question=(*question, str(of.run), of.publish_time.isoformat()),
        )


def basis(of: Published) -> pb.Basis:
    """From what the numbers of a version were made."""
    return pb.Basis(
        snapshot=messages.snapshot_name(of.of.source, of.of.day, of.of.version),
        day=of.of.day.isoformat(),
        source=of.of.source,
        currency_code=of.of.currency,
        data_version=of.of.data_version,
        code_version=of.code_version,
        pipeline_run=run_name(of.run),
        publish_time=stamp(of.publish_time),
    )


def _start(page: Any) -> int:
    return int(page.cursor[0] or 0) if page.cursor else 0


def _known(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else value


def _signal_value(name: str, found: CardNumbers) -> pb.SignalValue:
    if found.values is None or found.reasons is None:
        return pb.SignalValue(signal=f"signals/{name}", reason=pb.UNKNOWN_REASON_NO_QUOTE)
    return pb.SignalValue(
        signal=f"signals/{name}",
        value=_known(found.values[name]),
        reason=pb.UnknownReason.ValueType(found.reasons[name]),
    )


def _staleness(values: dict[str, float]) -> str:
    if not values:
        return "not quoted for a year"
    return sentence(STALE_WINDOW, int(values["moves"]), int(values["move_age"]))


def _tick(tick: Tick, card: str = "", display_name: str = "") -> pb.SuspectTick:
    return pb.SuspectTick(
        card=messages.card_name(card) if card else "",
        display_name=display_name,
        day=tick.day.isoformat(),
        price_before=decimal(tick.before),
        price=decimal(tick.price),
        low=decimal(tick.low),
        verdict=_VERDICTS[tick.verdict],
        verdict_day=tick.verdict_day.isoformat() if tick.verdict_day else "",
    )


def mover_pb(mover: movers.Mover) -> pb.Mover:
    """A mover on the wire."""
    change = mover.price - mover.before
    return pb.Mover(
        card=messages.card_name(mover.card),
        display_name=mover.display_name,
        price_before=decimal(mover.before),
        price=decimal(mover.price),
        change=("-" if change < 0 else "") + decimal(abs(change)),
        relative_change=change / mover.before,
        moves=mover.moves,
    )


_EVIDENCE = rules.EvidenceRule()
_RULE = (
    f"{_EVIDENCE.version}: {_EVIDENCE.month_moves} quote changes in 30 days and"
    f" {_EVIDENCE.week_moves} in 7, lowest ask from {_EVIDENCE.least_ratio:g} to"
    f" {_EVIDENCE.most_ratio:g} of the market price; a price before of 1.00 or more"
)
