"""pq.market.v1.RiskService."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

from libs.db import Database
from libs.errors import Violation, invalid, invalid_all, not_found
from pq.market.v1 import studies_pb2 as pb
from pq.market.v1 import studies_pb2_grpc
from services.market import messages
from services.market.handlers.reading import Reading
from services.market.handlers.risk import BasketRisk, Risks
from services.market.handlers.studies import INDEX
from services.market.servicer import names
from services.market.store import cards, indices

MAX_HOLDINGS = 200
MAX_COPIES = 1_000_000


class RiskServicer(studies_pb2_grpc.RiskServiceServicer):
    """How risky baskets are."""

    def __init__(self, db: Database, reading: Reading, risks: Risks) -> None:
        self._db = db
        self._reading = reading
        self._risks = risks

    async def ComputeBasketRisk(
        self, request: pb.ComputeBasketRiskRequest, _context: Any
    ) -> pb.BasketRisk:
        """Computes it now."""
        ids, copies = _holdings(request)
        day = names.optional_day(request.day)
        of = (await self._reading.published(request.source, day)).of
        numbers = await cards.numbers(self._db, ids)
        unknown = [
            Violation(f"holdings[{at}].card", f"there is no {messages.card_name(id)}", "not_found")
            for at, id in enumerate(ids)
            if id not in numbers
        ]
        if unknown:
            raise invalid_all(unknown)
        index = await self._index(request.index, of.source)
        held = [numbers[id][0] for id in ids]
        found = await self._risks.basket(of.source_number, of.day, held, copies, index)
        return _shown(found, of.source, of.currency, ids, index)

    async def _index(self, name: str, source: str) -> str:
        if not name:
            return INDEX
        of, id = names.index_id(name, "index")
        if of != source:
            raise invalid("index", f"expected one of {source}'s, whose prices are used")
        if await indices.get(self._db, of, id) is None:
            raise not_found(name)
        return id


def _holdings(request: pb.ComputeBasketRiskRequest) -> tuple[list[str], list[float]]:
    held = request.holdings
    if not 1 <= len(held) <= MAX_HOLDINGS:
        raise invalid("holdings", f"expected 1 to {MAX_HOLDINGS}; got {len(held)}")
    ids = [names.card_id(one.card, f"holdings[{at}].card") for at, one in enumerate(held)]
    faults = [
        Violation(f"holdings[{at}].copies", f"expected above 0 to {MAX_COPIES:,}")
        for at, one in enumerate(held)
        if not 0 < one.copies <= MAX_COPIES
    ]
    faults += [
        Violation(f"holdings[{at}].card", "expected each card once", "duplicate")
        for at, id in enumerate(ids)
        if id in ids[:at]
    ]
    if faults:
        raise invalid_all(faults)
    return ids, [one.copies for one in held]


def _shown(
    found: BasketRisk, source: str, currency: str, ids: list[str], index: str
) -> pb.BasketRisk:
    first, last = found.days
    shown = pb.BasketRisk(
        source=source,
        currency_code=currency,
        first_day=first.isoformat(),
        last_day=last.isoformat(),
        worth_cents=_known(found.worth),
        volatility=_known(found.volatility),
        beta_28=_known(found.beta.value),
        beta_dimson=_known(found.dimson.value),
        drawdown=_known(found.drawdown.depth),
        var_30=_known(found.loss.var),
        expected_shortfall_30=_known(found.loss.es),
        var_count=found.loss.count,
        index=f"indices/{source}:{index}",
        cards=[
            pb.CardRisk(
                card=messages.card_name(id),
                weight=_known(one.weight),
                volatility=_known(one.volatility),
                beta_28=_known(one.beta),
                drawdown=_known(one.drawdown),
            )
            for id, one in zip(ids, found.cards, strict=True)
        ],
        correlated_cards=[messages.card_name(ids[place]) for place in found.correlated],
    )
    if found.drawdown.top >= 0:
        shown.drawdown_top_day = _day(found, found.drawdown.top)
        shown.drawdown_bottom_day = _day(found, found.drawdown.bottom)
    if found.shrunk is not None:
        shown.shrinkage = found.shrunk.shrinkage
        shown.correlations.extend(found.shrunk.correlation.ravel().tolist())
    return shown


def _day(found: BasketRisk, place: int) -> str:
    return (found.days[0] + timedelta(days=place)).isoformat()


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
