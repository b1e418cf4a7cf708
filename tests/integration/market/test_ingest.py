"""Files in: once each, whole or not at all, and what they change is told."""

import asyncio
from datetime import date

import asyncpg
import pytest

from libs.api import filters
from libs.errors import AppError, Kind
from pq.market.v1 import market_pb2
from services.market.domain.imports import Kind as FileKind
from services.market.domain.imports import Mode
from services.market.handlers import events
from services.market.handlers.ingest import Limits
from services.market.store import history, listing
from tests.integration.market.world import HEADING, card, flat, prices, row, squeeze

LIVE, BACKFILL, CORRECTION = (
    market_pb2.MODE_LIVE,
    market_pb2.MODE_BACKFILL,
    market_pb2.MODE_CORRECTION,
)


async def quotes_of(world, product):
    number = await listing.number(world.db, card(product))
    found, _ = await history.page(
        world.db, number, filters.parse("", {}), None, 100, descending=False
    )
    return [(str(quote.day), quote.market) for quote in found]


async def headline(world, product):
    found = await listing.get(world.db, card(product))
    return found.headline and (str(found.headline.day), found.headline.market)


async def test_a_first_day_is_all_news_and_readable(world):
    outcome = await world.day("2025-05-01", {1: "1.5", 2: "2.00", 3: ""})
    assert (outcome.duplicate, outcome.item.accepted_count, outcome.item.change_count) == (
        False,
        3,
        2,
    )
    assert (outcome.item.mode, outcome.item.version) == (Mode.LIVE, 1)
    *changes, snapshot = await world.sent()
    assert flat(changes) == {
        card(1): (150, None, "", True, LIVE),
        card(2): (200, None, "", True, LIVE),
    }
    assert snapshot.snapshot.name == "snapshots/tcgplayer-2025-05-01-v1"
    assert (snapshot.snapshot.quote_count, snapshot.snapshot.change_count) == (3, 2)
    assert await quotes_of(world, 1) == [("2025-05-01", 150)]
    assert await headline(world, 3) == ("2025-05-01", None)


async def test_only_moves_are_told_with_the_newest_known_price_before(world):
    await world.day("2025-05-01", {1: "1.00", 2: "2.00", 3: "3.00"})
    await world.day("2025-05-02", {1: "1.00", 2: "", 3: "3.00"})
    await world.day("2025-05-03", {1: "1.00", 3: ""})
    await world.sent()
    await world.day("2025-06-04", {1: "1.10", 2: "2.50", 3: "3.00"})
    changes = await world.changes()
    # Card 1 did not move on 05-03 either: that is the day its price was last known.
    assert flat(changes) == {
        card(1): (110, 100, "2025-05-03", True, LIVE),
        card(2): (250, 200, "2025-05-01", True, LIVE),
    }
    stale = {change.card: list(change.flags) for event in changes for change in event.changes}
    assert stale == {card(1): [1], card(2): [1]}  # more than 30 days


async def test_the_same_file_again_answers_as_before_and_changes_nothing(world):
    first = await world.day("2025-05-01", {1: "1.00"})
    await world.sent()
    again = await world.day("2025-05-01", {1: "1.00"}, ingest=world.another())
    assert again.duplicate
    assert again.item == first.item
    assert await world.sent() == []


async def test_an_older_file_again_does_not_undo_its_correction(world):
    await world.day("2025-05-01", {1: "1.00"})
    await world.day("2025-05-01", {1: "2.00"})
    assert (await world.day("2025-05-01", {1: "1.00"})).duplicate
    assert await quotes_of(world, 1) == [("2025-05-01", 200)]


async def test_the_same_rows_in_other_bytes_make_no_version(world):
    data = prices("2025-05-01", {1: "1.00"})
    await world.take(data)
    await world.sent()
    outcome = await world.take(squeeze(data))
    assert (outcome.duplicate, outcome.item.version, outcome.item.change_count) == (False, None, 0)
    assert await world.sent() == []
    assert await world.rows("snapshots") == 1


async def test_the_same_file_at_once_is_stored_once(world):
    second = world.another()
    data = prices("2025-05-01", dict.fromkeys(range(1, 300), "1.00"))
    outcomes = await asyncio.gather(
        *(world.take(data, ingest=ingest) for ingest in (world.ingest, second) * 3)
    )
    assert sorted(outcome.duplicate for outcome in outcomes) == [False] + [True] * 5
    assert len({outcome.item.id for outcome in outcomes}) == 1
    assert await world.rows("quotes") == 299
    assert len(flat(await world.changes())) == 299


async def test_two_sources_bring_the_same_new_cards_at_once(world):
    markets = dict.fromkeys(range(1, 500), "1.00")
    other = world.another()
    await asyncio.gather(
        world.day("2025-05-01", markets),
        world.day("2025-05-01", dict(reversed(markets.items())), ingest=other, source="cardmarket"),
    )
    assert await world.rows("cards") == 499
    assert await world.rows("quotes") == 998
    assert await world.rows("card_latest where headline") == 499
    found = await listing.get(world.db, card(7))
    assert (found.headline.source, found.headline.currency) == ("tcgplayer", "USD")


async def test_the_headline_is_of_the_first_source_whoever_came_first(world):
    await world.day("2025-05-02", {1: "9.00"}, source="cardmarket")
    assert await headline(world, 1) == ("2025-05-02", 900)
    await world.day("2025-05-01", {1: "5.00"})
    assert await headline(world, 1) == ("2025-05-01", 500)


async def test_a_correction_of_the_newest_day_is_told_against_the_day_before(world):
    await world.day("2025-05-01", {1: "1.00", 2: "2.00", 4: "4.00"})
    await world.day("2025-05-02", {1: "100.00", 2: "2.00", 3: "3.00", 4: "4.50"})
    await world.sent()
    outcome = await world.day("2025-05-02", {1: "1.50", 2: "2.00", 4: "4.50", 5: "5.00"})
    assert (outcome.item.version, outcome.item.mode) == (2, Mode.CORRECTION)
    *changes, snapshot = await world.sent()
    assert flat(changes) == {
        card(1): (150, 100, "2025-05-01", True, CORRECTION),
        card(3): (None, None, "", True, CORRECTION),
        card(5): (500, None, "", True, CORRECTION),
    }
    assert snapshot.snapshot.version == 2
    assert await headline(world, 1) == ("2025-05-02", 150)
    assert await headline(world, 3) is None
    kept = await world.db.fetch(
        "select c.id, k.old, k.new, from_version, to_version from corrections k"
        " join cards c using (card) order by c.id"
    )
    nothing = [None] * 4
    assert [tuple(row) for row in kept] == [
        (card(1), [10000, *nothing], [150, *nothing], 1, 2),
        (card(3), [300, *nothing], None, 1, 2),
        (card(5), None, [500, *nothing], 1, 2),
    ]


async def test_the_day_after_a_correction_compares_with_what_is_true_now(world):
    await world.day("2025-05-01", {1: "1.00"})
    await world.day("2025-05-02", {1: "100.00"})
    await world.day("2025-05-02", {1: ""})
    await world.sent()
    await world.day("2025-05-03", {1: "1.20"})
    assert flat(await world.changes()) == {card(1): (120, 100, "2025-05-01", True, LIVE)}


async def test_an_older_day_is_history(world):
    await world.day("2025-05-01", {1: "1.00"})
    await world.day("2025-05-03", {1: "3.00"})
    await world.sent()
    outcome = await world.day("2025-05-02", {1: "2.00", 2: "7.00"})
    assert outcome.item.mode is Mode.BACKFILL
    changes = await world.changes()
    # Card 2 has no newer day, yet the day is no news: its mode says so.
    assert flat(changes) == {
        card(1): (200, 100, "2025-05-01", False, BACKFILL),
        card(2): (700, None, "", True, BACKFILL),
    }
    assert await headline(world, 1) == ("2025-05-03", 300)
    assert await quotes_of(world, 1) == [
        ("2025-05-01", 100),
        ("2025-05-02", 200),
        ("2025-05-03", 300),
    ]


async def test_a_correction_of_an_older_day_is_not_newest(world):
    await world.day("2025-05-01", {1: "1.00", 2: "2.00"})
    await world.day("2025-05-02", {1: "1.10", 2: ""})
    await world.sent()
    await world.day("2025-05-01", {1: "1.05", 2: "2.05"})
    assert flat(await world.changes()) == {
        card(1): (105, None, "", False, CORRECTION),
        # Quoted without a price on the day after: this is still its newest known one.
        card(2): (205, None, "", True, CORRECTION),
    }
    assert await headline(world, 2) == ("2025-05-02", None)


async def test_what_is_sent_as_history_is_never_newest(world):
    await world.day("2025-05-01", {1: "1.00"}, backfill=True)
    await world.day("2025-05-02", {1: "2.00"}, backfill=True)
    outcome = await world.day("2025-05-02", {1: "3.00"}, backfill=True)
    assert outcome.item.mode is Mode.CORRECTION
    told = [(event.newest, event.mode) for event in await world.changes()]
    assert told == [(False, BACKFILL), (False, BACKFILL), (False, CORRECTION)]


async def test_changes_travel_by_shard_a_thousand_at_a_time(world):
    await world.day("2025-05-01", dict.fromkeys(range(1, 66001), "1.00"))
    changes = await world.changes()
    assert max(len(event.changes) for event in changes) == 1000
    assert {event.shard for event in changes} == set(range(64))
    assert len(flat(changes)) == 66_000
    outbox_order = [event.shard for event in changes]
    assert outbox_order == sorted(outbox_order)


async def test_bad_rows_are_set_aside_and_the_rest_is_taken(world):
    lines = [
        HEADING,
        row("2025-05-01", 1, "1.00"),
        row("2025-05-01", 2, "-1.00"),
        row("2025-05-02", 3, "1.00"),
        row("2025-05-01", 1, "1.00"),
    ]
    outcome = await world.take("\n".join(lines).encode())
    assert (outcome.item.row_count, outcome.item.accepted_count) == (4, 1)
    assert [(fault.line, fault.field, fault.reason) for fault in outcome.item.faults] == [
        (3, "market", "negative_price"),
        (4, "date", "wrong_day"),
        (5, "", "duplicate_row"),
    ]


async def test_a_printing_with_a_taken_id_is_set_aside(world):
    await world.day("2025-05-01", {1: "1.00"})
    lines = [
        HEADING,
        row("2025-05-02", 1, "1.00", printing="HOLOFOIL"),
        row("2025-05-02", 2, "1.00", printing="Foil!"),
        row("2025-05-02", 2, "1.00", printing="Foil?"),
        row("2025-05-02", 3, "1.00"),
    ]
    outcome = await world.take("\n".join(lines).encode())
    told = [(fault.line, fault.reason) for fault in outcome.item.faults]
    assert told == [(2, "card_collision"), (4, "card_collision")]
    assert outcome.item.accepted_count == 2
    again = [*lines[:1], *(line.replace("05-02", "05-03") for line in lines[1:])]
    outcome = await world.take("\n".join(again).encode())
    assert [(fault.line, fault.reason) for fault in outcome.item.faults] == told


@pytest.mark.parametrize(
    ("data", "field", "reason"),
    [
        (b"", "date", "missing_column"),
        (HEADING.replace(",low", "").encode(), "low", "missing_column"),
        ((HEADING + ",foil").encode(), "foil", "unknown_column"),
        (HEADING.encode(), "file", "no_rows"),
        (squeeze(prices("2025-05-01", {1: "1.00"}))[:-9], "file", "truncated_gzip"),
        (squeeze(prices("2025-05-01", {1: "1.00"}))[:-8] + bytes(8), "file", "broken_gzip"),
        (prices("2025-05-01", {1: "1.00", 2: "2.00"})[:-6], "file", "truncated_file"),
        (HEADING.encode("utf-16"), "file", "wrong_encoding"),
        (prices("2025-07-01", {1: "1.00"}), "date", "day_out_of_range"),
        (prices("1889-01-01", {1: "1.00"}), "date", "day_out_of_range"),
        (prices("2025-05-01", {1: "free"}), "file", "no_rows"),
        (squeeze(HEADING.encode() + bytes(70_000)), "file", "too_large"),
    ],
)
async def test_a_refused_file_leaves_nothing(world, data, field, reason):
    with pytest.raises(AppError) as refused:
        await world.take(data, ingest=world.another(Limits(plain_bytes=65_536)))
    assert refused.value.kind in (Kind.INVALID, Kind.TOO_LARGE)
    found = refused.value.violations[0]
    assert (found.field, found.reason) == (field, reason)
    for table in ("imports", "snapshots", "cards", "quotes", "event_outbox"):
        assert await world.rows(table) == 0


async def test_an_unknown_source_is_refused(world):
    with pytest.raises(AppError, match=r"header\.source: expected one of tcgplayer, cardmarket"):
        await world.day("2025-05-01", {1: "1.00"}, source="nobody")


async def test_rows_must_be_of_the_day_that_the_header_names(world):
    with pytest.raises(AppError, match="none of 1 rows") as refused:
        await world.take(prices("2025-05-01", {1: "1.00"}), day=date(2025, 5, 2))
    assert [(told.field, told.reason) for told in refused.value.violations] == [
        ("file", "no_rows"),
        ("date", "wrong_day"),
    ]
    assert "line 2: " in refused.value.violations[1].description


async def test_a_failure_before_the_commit_leaves_nothing_and_can_be_repeated(world, monkeypatch):
    await world.day("2025-05-01", {1: "1.00"})
    await world.sent()

    def fail(*_args):
        raise asyncpg.DeadlockDetectedError("by the test")

    with monkeypatch.context() as patch:
        patch.setattr(events, "publish", fail)
        with pytest.raises(asyncpg.DeadlockDetectedError):
            await world.day("2025-05-02", {1: "2.00", 2: "2.00"})
    assert await world.rows("quotes") == 1
    assert await world.rows("cards") == 1
    outcome = await world.day("2025-05-02", {1: "2.00", 2: "2.00"})
    assert not outcome.duplicate
    assert len(flat(await world.changes())) == 2
    assert await quotes_of(world, 2) == [("2025-05-02", 200)]


CATALOG = "category,group_id,group_name,published,product_id,name,number,rarity,is_sealed,image_url"


async def test_a_catalogue_names_the_cards_that_are_there_and_those_to_come(world):
    await world.day("2025-05-01", {1: "1.00"})
    assert (await listing.get(world.db, card(1))).display_name == "1"
    data = (
        f"{CATALOG}\n"
        'pokemon,605,Base,1999-01-09,1,"Charizard, ""big""",4/102,Rare,0,https://img.example/1.jpg\n'
        "pokemon,605,Base,,2,Box,,,1,\n"
        "pokemon,605,Base,,3,Bad,,,maybe,\n"
    ).encode()
    outcome = await world.take(data, kind=FileKind.CATALOG)
    assert (outcome.item.accepted_count, outcome.item.version) == (2, None)
    assert [(fault.line, fault.field) for fault in outcome.item.faults] == [(4, "is_sealed")]
    await world.day("2025-05-02", {1: "1.00", 2: "2.00"})
    one, two = [await listing.get(world.db, card(product)) for product in (1, 2)]
    assert (one.display_name, one.set_id, one.sealed) == ('Charizard, "big"', 605, False)
    assert (two.display_name, two.set_name, two.sealed) == ("Box", "Base", True)
    assert (await world.take(data, kind=FileKind.CATALOG)).duplicate
