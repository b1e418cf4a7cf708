"""The market's values as messages of its contract."""

from __future__ import annotations

from libs.api.wire import resource_name, stamp
from pq.market.v1 import analytics_pb2, imports_pb2, market_pb2
from services.market.domain import money
from services.market.domain.anomalies import Anomaly
from services.market.domain.imports import Import, Kind, Snapshot
from services.market.domain.prices import FIELDS
from services.market.domain.quotes import Card, Quote

PREFIX = "imp"
ANOMALY = "ano"


def card_name(id: str) -> str:
    """The resource name of a card."""
    return f"cards/{id}"


def snapshot_name(source: str, day: object, version: int) -> str:
    """The resource name of a version of a day."""
    return f"snapshots/{source}-{day}-v{version}"


def quote(value: Quote) -> market_pb2.Quote:
    """A quote; a price that is not known stays unset."""
    message = market_pb2.Quote(
        day=value.day.isoformat(),
        source=value.source,
        currency_code=value.currency,
        condition=value.condition,
    )
    for field in FIELDS:
        cents = getattr(value, field)
        if cents is not None:
            setattr(message, field, money.decimal(cents))
    return message


def card(value: Card) -> market_pb2.Card:
    """A card with its headline."""
    return market_pb2.Card(
        name=card_name(value.id),
        display_name=value.display_name,
        category=value.category,
        product_id=value.product_id,
        printing=value.printing,
        set_id=value.set_id,
        set_name=value.set_name,
        number=value.collector_number,
        rarity=value.rarity,
        sealed=value.sealed,
        image_uri=value.image_uri,
        headline=None if value.headline is None else quote(value.headline),
    )


def snapshot(value: Snapshot) -> market_pb2.Snapshot:
    """A version of a day."""
    return market_pb2.Snapshot(
        name=snapshot_name(value.source, value.day, value.version),
        day=value.day.isoformat(),
        source=value.source,
        version=value.version,
        publish_time=stamp(value.publish_time),
        quote_count=value.quote_count,
        change_count=value.change_count,
        rejected_count=value.rejected_count,
        mode=market_pb2.Mode.ValueType(value.mode),
        health=market_pb2.Health.ValueType(value.health),
        moved_share=None
        if value.usual_share is None
        else value.change_count / max(value.quote_count, 1),
        usual_share=value.usual_share,
        release_time=stamp(value.release_time),
        **{"import": resource_name("imports", PREFIX, value.import_id)},
    )


def imported(value: Import, *, duplicate: bool = False) -> imports_pb2.Import:
    """A file that was taken in."""
    made = value.version is not None
    return imports_pb2.Import(
        name=resource_name("imports", PREFIX, value.id),
        kind=_kind(value.kind),
        source=value.source,
        day=value.day.isoformat() if value.day else "",
        file_name=value.file_name,
        sha256=value.sha256,
        size=value.size,
        create_time=stamp(value.create_time),
        row_count=value.row_count,
        accepted_count=value.accepted_count,
        rejected_count=value.rejected_count,
        faults=[
            imports_pb2.RowFault(
                line=fault.line,
                field=fault.field,
                reason=fault.reason,
                description=fault.description,
            )
            for fault in value.faults
        ],
        change_count=value.change_count,
        snapshot=snapshot_name(value.source, value.day, value.version or 0) if made else "",
        mode=market_pb2.Mode.ValueType(value.mode),
        duplicate=duplicate,
    )


def _kind(value: Kind) -> imports_pb2.ImportKind.ValueType:
    return imports_pb2.ImportKind.ValueType(value)


def anomaly(one: Anomaly) -> analytics_pb2.Anomaly:
    """An anomaly on the wire."""
    return analytics_pb2.Anomaly(
        name=resource_name("anomalies", ANOMALY, one.id),
        card=card_name(one.card),
        display_name=one.display_name,
        day=one.day.isoformat(),
        source=one.source,
        snapshot=snapshot_name(one.source, one.day, one.version),
        kind=analytics_pb2.Anomaly.Kind.ValueType(one.kind),
        price_before=money.decimal(one.before),
        price=money.decimal(one.price),
        currency_code=one.currency,
        score=one.score,
        explanation=one.explanation,
        resolution=one.resolution,
        resolve_time=stamp(one.resolve_time),
    )
