"""Closed months: whatever is asked is answered as if they were rows, and closing loses nothing."""

import asyncio
import random
import sys
from contextlib import asynccontextmanager
from datetime import date, timedelta

import asyncpg
import numpy as np
import pytest

from libs.api import filters
from libs.testing.postgres import fresh_database
from services.market.domain.changes import NO_DAY
from services.market.handlers.closing import Closing, Rule
from services.market.store import history, quotes, tiles, versions_at
from services.market.store.panels import Panels
from tests.integration.market.world import HEADING, flat, open_world

FIRST, LAST = date(2025, 1, 20), date(2025, 5, 31)
PRODUCTS = 40  # more than a tile's
RULE = Rule(open_months=1, quiet=timedelta(seconds=60))


def closing(world, rule=RULE):
    return Closing(world.db, world.clock, rule)


async def close_all(world):
    """Closes every month that is due, and answers them."""
    world.clock.advance(120)
    months = []
    while (month := await closing(world)()) is not None:
        months.append(month)
    return months


@asynccontextmanager
async def worlds(postgres, clock, ids, folder):
    """Two markets that are told the same."""
    async with fresh_database(postgres) as first, fresh_database(postgres) as second:
        made = [
            await open_world(dsn, clock, ids, folder / str(place))
            for place, dsn in enumerate((first, second))
        ]
        try:
            yield made
        finally:
            for one in made:
                await one.db.close()


def file_of(dice, day):
    """A day of some products, each of its five prices there or not."""
    lines = [HEADING]
    for product in dice.sample(range(PRODUCTS), dice.randint(1, PRODUCTS)):
        prices = [f"{dice.randint(1, 3)}.00" if dice.random() < 0.7 else "" for _ in range(5)]
        lines.append(f"{day},pokemon,604,{product},Holofoil,{','.join(prices)}")
    return "\n".join(lines).encode()


async def everything(world):
    """What readers are told, whole."""
    db, told = world.db, {}
    for row in await db.fetch("select card, id from cards"):
        for where in ('source = "tcgplayer"', "day >= 2025-02-27 day < 2025-04-02", ""):
            parsed = filters.parse(where, history.FILTERS, first=3)
            for descending in (True, False):
                told[row["id"], where, descending] = await paged(
                    db, row["card"], parsed, descending
                )
        for version in (1, 2):
            for day in (date(2025, 2, 10), date(2025, 5, 10)):
                told[row["id"], version, day] = await versions_at.quote(
                    db, row["card"], "tcgplayer", day, version
                )
    names = {row["card"]: row["id"] for row in await db.fetch("select card, id from cards")}
    numbers = np.array(list(names), np.int32)
    for source in (1, 2):
        day = FIRST
        while day <= LAST:
            cards, cents = await quotes.read_day(db, source, day)
            rows = zip(cards.tolist(), cents.tolist(), strict=True)
            told[source, day] = {names[card]: row for card, row in rows}
            known = await quotes.known_before(db, source, day, numbers)
            rows = zip(numbers.tolist(), known.days.tolist(), known.cents.tolist(), strict=True)
            told[source, day, "known"] = {names[card]: row for card, *row in rows}
            day += timedelta(days=1)
        found = await quotes.of_cards(db, source, list(names), date(2025, 2, 5), date(2025, 5, 5))
        told[source, "cards"] = sorted(
            (names[card], day, cents)
            for card, day, cents in zip(
                found.cards.tolist(), found.days.tolist(), found.cents.tolist(), strict=True
            )
        )
        panel = await Panels(db).upto(source, date(2025, 5, 20), days=100)
        for kind in (panel.market, panel.low):
            rows = zip(panel.cards.tolist(), kind.cents.tolist(), strict=True)
            told[source, "panel", kind is panel.low] = {names[card]: row for card, row in rows}
    told["latest"] = await db.fetch(
        "select id, source, headline, l.day, market, low, mid, high, direct_low, known_day, known"
        " from card_latest l join cards using (card) order by id, source"
    )
    told["corrections"] = await db.fetch(
        "select id, day, source, from_version, to_version, old, new"
        " from corrections join cards using (card) order by id, day, source, to_version"
    )
    return told


async def changes(world):
    """The events of prices, in order; ids and moments are each market's own."""
    return [(event.day, event.version, flat([event])) for event in await world.changes()]


async def paged(db, card, where, descending):
    """A history in small pages."""
    found, after = [], None
    while True:
        page, after = await history.page(db, card, where, after, 7, descending=descending)
        found += page
        if after is None:
            return found


@pytest.mark.parametrize("seed", [1, 2])
async def test_whatever_is_asked_is_answered_as_if_no_month_were_closed(
    postgres, clock, ids, tmp_path, seed
):
    dice = random.Random(seed)
    days = [FIRST + timedelta(days=number) for number in range((LAST - FIRST).days + 1)]
    coming = [day for day in days if dice.random() < 0.7]
    async with worlds(postgres, clock, ids, tmp_path) as (closed, plain):
        months = []
        for number, day in enumerate(coming):
            # The day, and now and then one that is late, or is there and gets another version.
            late = [dice.choice(days[: days.index(day) + 1])] if dice.random() < 0.4 else []
            for one in (day, *late):
                data, source = file_of(dice, one), dice.choice(["tcgplayer", "cardmarket"])
                for world in (closed, plain):
                    await world.take(data, source=source)
            if number % 10 == 9:
                months += await close_all(closed)
        months += await close_all(closed)
        assert months == [date(2025, month, 1) for month in (1, 2, 3, 4)]
        assert await tiles.rows_from(closed.db) == date(2025, 5, 1)
        told, expected = await everything(closed), await everything(plain)
        for what, answer in expected.items():
            assert told[what] == answer, what
        assert any(answer for what, answer in expected.items() if what[-1] == "known")
        # Events too: which prices changed, and what they were before.
        assert await changes(closed) == await changes(plain)


async def test_only_months_before_the_open_ones_are_closed_and_not_while_files_come(world):
    for day in ("2025-02-28", "2025-03-31", "2025-04-01"):
        await world.day(day, {1: "1.00"})
    two = closing(world, Rule(open_months=2, quiet=timedelta(seconds=60)))
    assert await two() is None  # a file came just now
    world.clock.advance(61)
    assert await two() == date(2025, 2, 1)
    assert await two() is None
    # A late day goes where its month is; for a month before that there are tiles at once.
    await world.day("2025-02-27", {1: "2.00"})
    await world.day("2024-12-31", {1: "3.00"})
    assert await world.rows("quotes") == 2
    assert await quotes.oldest_partition(world.db) == date(2025, 3, 1)
    found = await quotes.of_cards(world.db, 1, [1], date(2024, 1, 1), date(2025, 12, 31))
    assert found.market.tolist() == [300, 200, 100, 100, 100]


async def test_a_month_that_gets_a_version_meanwhile_waits(world, monkeypatch):
    await world.day("2025-03-31", {1: "1.00"})
    await world.day("2025-05-01", {1: "1.00"})
    world.clock.advance(61)
    pack = Closing._pack

    async def packs(self, *args):
        packed = await pack(self, *args)
        await world.day("2025-03-31", {1: "9.00"})
        return packed

    monkeypatch.setattr(Closing, "_pack", packs)
    assert await closing(world)() is None
    monkeypatch.undo()
    assert await world.rows("quote_tiles") == 0
    assert await close_all(world) == [date(2025, 3, 1)]
    _, cents = await quotes.read_day(world.db, 1, date(2025, 3, 31))
    assert cents[:, 0].tolist() == [900]


async def test_it_waits_for_nobody_who_reads_the_month_for_long(world):
    await world.day("2025-03-31", {1: "1.00"})
    await world.day("2025-05-01", {1: "1.00"})
    world.clock.advance(61)
    async with world.db.transaction() as reader:
        assert await reader.fetchval("select count(*) from quotes") == 2
        assert await closing(world)() is None
    assert await tiles.rows_from(world.db) == date(1, 1, 1)
    assert await close_all(world) == [date(2025, 3, 1)]


async def test_readers_find_all_quotes_while_months_are_closed(world):
    days = [date(2025, 1, 1) + timedelta(days=3 * number) for number in range(45)]
    for number, day in enumerate(days):
        await world.day(day.isoformat(), {1: f"{number + 1}.00"})
    expected = [100 * (number + 1) for number in range(len(days))]
    everywhere, done = filters.parse("", {}), asyncio.Event()

    async def read():
        count = 0
        while not done.is_set():
            page, _ = await history.page(world.db, 1, everywhere, None, 1000, descending=False)
            assert [quote.market for quote in page] == expected
            found = await quotes.of_cards(world.db, 1, [1], days[0], days[-1])
            assert found.market.tolist() == expected
            panel = await Panels(world.db).upto(1, days[-1])
            assert panel.market.cents[0, ::3].tolist() == expected
            count += 1
        return count

    reading = asyncio.create_task(read())
    world.clock.advance(61)
    months = []
    while len(months) < 4:
        if (month := await closing(world)()) is not None:
            months.append(month)
        await asyncio.sleep(0)
        assert not reading.done(), await reading
    done.set()
    assert await reading > 0


async def test_what_was_read_in_the_wrong_place_is_read_again(world, monkeypatch):
    for day in ("2025-03-30", "2025-03-31", "2025-05-01"):
        await world.day(day, {1: "1.00"})
    read_rows, closed = quotes.read_rows, []

    async def late(*args):
        # It was looked up where the rows are, and then they are there no more.
        monkeypatch.undo()
        closed.extend(await close_all(world))
        return await read_rows(*args)

    monkeypatch.setattr(quotes, "read_rows", late)
    panel = await Panels(world.db).upto(1, date(2025, 5, 1))
    assert closed == [date(2025, 3, 1)]
    assert (panel.market.cents >= 0).sum() == 3


async def test_a_kill_in_the_midst_leaves_the_month_as_it_was(world, empty_database, monkeypatch):
    monkeypatch.setenv("PQ_DATABASE_URL", empty_database)
    monkeypatch.setenv("PQ_MARKET_OPEN_MONTHS", "1")
    for day in ("2025-03-30", "2025-03-31", "2025-05-01"):
        await world.day(day, {product: f"{product + 1}.00" for product in range(PRODUCTS)})
    before = await world.db.fetch("select * from quotes order by card, day")
    # The move ends by waiting for this reader; there it is killed.
    reader = await asyncpg.connect(empty_database)
    async with reader.transaction():
        await reader.fetchval("select count(*) from quotes")
        for _ in range(3):
            child = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "services.market.pipeline"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
            )
            await until_it_waits(world)
            child.kill()
            await child.wait()
    await reader.close()
    assert await world.db.fetch("select * from quotes order by card, day") == before
    assert await world.rows("quote_tiles") == 0
    assert await close_all(world) == [date(2025, 3, 1)]
    for row in before:
        cards, cents = await quotes.read_day(world.db, row["source"], row["day"])
        assert cents[cards == row["card"], 0].tolist() == [row["market"]]


async def until_it_waits(world):
    """Until somebody who closes a month waits to drop its rows."""
    ends = asyncio.get_running_loop().time() + 30
    while not await world.db.fetchval(
        "select count(*) from pg_locks where mode = 'AccessExclusiveLock' and not granted"
        " and database = (select oid from pg_database where datname = current_database())"
    ):
        assert asyncio.get_running_loop().time() < ends, "nobody waits"


async def test_of_many_cards_the_newest_is_found_however_long_ago(world):
    # One card is quoted now and then, one once, one never with a market price.
    await world.day("2025-01-05", {1: "1.00", 2: "2.00", 3: ""})
    await world.day("2025-02-05", {1: "", 3: ""})
    await world.day("2025-05-01", {1: "5.00"})
    assert len(await close_all(world)) == 2
    found = await tiles.newest(world.db, 1, date(2025, 4, 1), np.array([1, 2, 3, 99], np.int32))
    days = [quotes.wire.day_number(date(2025, month, 5)) for month in (1, 2)]
    assert found.days.tolist() == [days[1], days[0], days[1], NO_DAY]
    assert found.known.days.tolist() == [days[0], days[0], NO_DAY, NO_DAY]
    assert found.known.cents.tolist() == [100, 200, -1, -1]
