"""Indices followed day by day equal those followed in one go, and show corrections."""

from datetime import date, timedelta

import numpy as np
import pytest

from libs.api.paging import PageTokens
from libs.auth import ANONYMOUS
from libs.errors import AppError, Kind
from libs.testing.rpc import serving
from pq.market.v1 import indices_pb2 as pb
from pq.market.v1 import indices_pb2_grpc
from services.market.analytics import index_catalogue
from services.market.handlers.pipeline.runner import Runner
from services.market.handlers.steps.indices import Indices, attributes_of
from services.market.servicer.indices import IndexServicer
from services.market.store import indices as store
from services.market.store.panels import Panels

FIRST = date(2025, 4, 10)
CARDS = range(1, 26)
DAYS = 50
LAST = timedelta(days=DAYS - 1)


@pytest.fixture(scope="module")
def walk():
    dice = np.random.default_rng(3)
    moves = dice.normal(0, 0.04, (len(CARDS), DAYS))
    return np.round(900 * np.exp(np.cumsum(moves, axis=1))).astype(int)


def day_of(number):
    return (FIRST + timedelta(days=number)).isoformat()


async def take(world, walk, number, **changed):
    prices = {
        n: f"{changed.get(str(n), walk[n - 1, number]) / 100:.2f}"
        for n in CARDS
        # One comes in the second month, another is away now and then.
        if not (n == 7 and number < 25) and not (n == 9 and number % 3 == 1)
    }
    await world.day(day_of(number), prices)


async def drain(world, panels):
    runner = Runner(world.db, world.clock, panels, [Indices()], timedelta(0))
    while await runner.run_once():
        pass


async def stored(world):
    rows = await world.db.fetch(
        "select distinct on (index_id, day) index_id, day, level from index_levels"
        " order by index_id, day, data_version desc"
    )
    return {(r[0], r[1]): r[2] for r in rows}


async def test_day_by_day_equals_in_one_go_and_corrections_are_followed_through(world, walk):
    panels = Panels(world.db)
    for number in range(DAYS):
        await take(world, walk, number)
        if number % 4 == 0:
            await drain(world, panels)
    await drain(world, panels)
    by_day = await stored(world)
    assert {id for id, _ in by_day} == {
        "all-equal",
        "all-price",
        "top-100",
        "all-held",
        "set-pokemon-604",
    }
    assert len(by_day) == 5 * DAYS
    await world.db.execute("delete from index_levels")
    await world.db.execute(
        "update pipeline_runs set state = 1, next_time = create_time"
        " where day = (select max(day) from pipeline_runs)"
    )
    await drain(world, panels)
    at_once = await stored(world)
    assert at_once.keys() == by_day.keys()
    for key, level in at_once.items():
        assert level == pytest.approx(by_day[key], rel=1e-9), key
    await take(world, walk, 12, **{"3": 90_000})
    await drain(world, panels)
    corrected = await stored(world)
    changed = {day for (id, day), level in corrected.items() if level != at_once[id, day]}
    assert FIRST + timedelta(days=12) in changed
    assert min(changed) == FIRST + timedelta(days=12)


async def test_an_index_says_how_it_is_made_and_lists_its_levels(world, walk):
    for number in range(8):
        await take(world, walk, number)
    await drain(world, Panels(world.db))
    tokens = PageTokens(bytes(32), world.clock)
    async with serving(
        (indices_pb2_grpc.add_IndexServiceServicer_to_server, IndexServicer(world.db, tokens))
    ) as server:
        client = indices_pb2_grpc.IndexServiceStub(server.channel(ANONYMOUS))
        listed = await client.ListIndices(pb.ListIndicesRequest(page_size=2))
        rest = await client.ListIndices(
            pb.ListIndicesRequest(page_token=listed.next_page_token, page_size=2)
        )
        names = [one.name for one in [*listed.indices, *rest.indices]]
        assert names == sorted(names)
        assert len(set(names)) == 4
        found = await client.GetIndex(pb.GetIndexRequest(name="indices/tcgplayer:all-price"))
        assert "one copy of each" in found.methodology
        assert found.day == day_of(7)
        first = walk[[n - 1 for n in CARDS if n != 7], 0]
        levels = await client.ListIndexLevels(
            pb.ListIndexLevelsRequest(parent=found.name, page_size=8)
        )
        assert [one.day for one in levels.levels] == [day_of(n) for n in range(7, -1, -1)]
        assert levels.levels[-1].level == 100
        assert levels.levels[-1].divisor == pytest.approx(first.sum() / 100)
        assert levels.levels[0].level == pytest.approx(found.level)
        for name, kind in (("indices/tcgplayer:x", Kind.NOT_FOUND), ("indices/x", Kind.INVALID)):
            with pytest.raises(AppError) as caught:
                await client.GetIndex(pb.GetIndexRequest(name=name))
            assert caught.value.kind is kind


async def test_the_cards_of_an_index_add_up_to_its_level(world, walk):
    for number in range(DAYS):
        # One goes away for good, another for long.
        gone = {5} if number > 12 else set()
        gone |= {6} if 3 < number < 40 else set()
        prices = {n: f"{walk[n - 1, number] / 100:.2f}" for n in CARDS if n not in gone}
        await world.day(day_of(number), prices)
    await drain(world, Panels(world.db))
    tokens = PageTokens(bytes(32), world.clock)
    async with serving(
        (indices_pb2_grpc.add_IndexServiceServicer_to_server, IndexServicer(world.db, tokens))
    ) as server:
        client = indices_pb2_grpc.IndexServiceStub(server.channel(ANONYMOUS))

        async def cards_of(id, day=""):
            """All pages: the first one, and the cards of all."""
            found, token, first = [], "", None
            while first is None or token:
                page = await client.ListIndexConstituents(
                    pb.ListIndexConstituentsRequest(
                        parent=f"indices/tcgplayer:{id}", day=day, page_size=7, page_token=token
                    )
                )
                first = first or page
                found += page.constituents
                token = page.next_page_token
            return first, found

        for id in ("all-equal", "all-price", "all-held", "top-100"):
            for number in (0, 1, 12, 20, 21, 34, 35, 42, 44, 49):
                page, found = await cards_of(id, day_of(number))
                assert page.level.day == day_of(number)
                points = sum(one.points for one in found)
                assert points == pytest.approx(page.level.level, rel=1e-9), (id, number)
                held = [one for one in found if not one.left]
                assert len(held) == page.level.member_count
        page, found = await cards_of("all-held")
        assert (page.start_day, page.level.day) == (day_of(0), day_of(49))
        left = {one.card: (one.price_day, one.copies, one.points) for one in found if one.left}
        assert left == {
            "cards/pokemon-5-holofoil": (day_of(12), 0, 0),
            "cards/pokemon-6-holofoil": (day_of(49), 0, 0),
        }
        kept = next(one for one in found if one.card == "cards/pokemon-8-holofoil")
        assert kept.price == f"{walk[7, 49] / 100:.2f}"
        assert kept.start_price == f"{walk[7, 0] / 100:.2f}"
        page, _ = await cards_of("all-equal")
        assert page.start_day == "2025-05-01"
        for day in ("2025-04-09", day_of(50)):
            with pytest.raises(AppError) as caught:
                await cards_of("all-equal", day)
            assert caught.value.kind is Kind.NOT_FOUND


async def test_a_basket_that_comes_out_otherwise_is_kept_beside_the_old_one(world, walk):
    for number in range(3):
        await take(world, walk, number)
    await drain(world, Panels(world.db))
    before = await world.rows("index_baskets")
    # On the first day one costs less than belongs.
    await take(world, walk, 0, **{"3": 50})
    await drain(world, Panels(world.db))
    rows = await world.db.fetch(
        "select data_version, cardinality(cards) as cards from index_baskets"
        " where index_id = 'all-equal' order by data_version"
    )
    assert [row["cards"] for row in rows] == [24, 23]
    assert await world.rows("index_baskets") > before
    await take(world, walk, 3)
    await drain(world, Panels(world.db))
    assert len(await world.db.fetch("select from index_baskets where index_id = 'all-equal'")) == 2


YEARS = [date(2023, 3, 2) + timedelta(days=3 * number) for number in range(260)]


@pytest.fixture(scope="module")
def long_walk():
    """Cents by day and card."""
    moves = np.random.default_rng(4).normal(0, 0.03, (len(YEARS), len(CARDS)))
    cents = np.round(900 * np.exp(np.cumsum(moves, axis=0))).astype(int)
    return dict(zip(YEARS, cents, strict=True))


async def take_years(world, walk, days, **values):
    for day in days:
        prices = {n: f"{walk[day][n - 1] / 100:.2f}" for n in CARDS if n != 4 or day.year > 2023}
        await world.day(day.isoformat(), prices, **values)


async def in_one_go(world):
    """All levels, each index followed from the first day to the last over one panel."""
    day = await world.db.fetchrow("select min(day) as first, max(day) as last from snapshots")
    prices = await Panels(world.db).between(1, day["first"], day["last"])
    attributes = attributes_of(prices, await store.attributes(world.db, 1))
    return {
        (definition.id, day): level
        for definition, mask in index_catalogue.definitions(attributes)
        for levels in [index_catalogue.levels(definition, prices.market.take(np.flatnonzero(mask)))]
        for day, level in zip(levels.days, levels.levels, strict=True)
    }


async def test_years_that_come_at_once_before_or_otherwise_are_one_chain(world, long_walk):
    panels = Panels(world.db)

    async def holds():
        await drain(world, panels)
        want, got = await in_one_go(world), await stored(world)
        assert got.keys() == want.keys()
        for key, level in got.items():
            assert level == pytest.approx(want[key], rel=1e-9), key

    await take_years(world, long_walk, YEARS[90:-1])
    await holds()
    moved = await world.rows("index_levels")
    await take_years(world, long_walk, YEARS[-1:])
    await holds()
    assert await world.rows("index_levels") == moved + 5
    # A year before the first day, one day of it later still.
    missing = YEARS[40]
    await take_years(world, long_walk, [d for d in YEARS[:90] if d != missing], backfill=True)
    await holds()
    await take_years(world, long_walk, [missing], backfill=True)
    await holds()
    # An old day that is kept, and whose run comes before the newest one's, which waits.
    ends = [day for day in YEARS[:90] if (day + timedelta(days=1)).day == 1]
    long_walk[ends[1]][2] *= 3
    await take_years(world, long_walk, ends[1:2])
    late = "update pipeline_runs set next_time = next_time + $1 where day = $2"
    await world.db.execute(late, timedelta(days=1), YEARS[-1])
    await drain(world, panels)
    await world.db.execute(late, timedelta(days=-1), YEARS[-1])
    await holds()


async def test_days_without_runs_are_followed_by_the_next(world, walk):
    for number in range(5):
        await take(world, walk, number)
    await drain(world, Panels(world.db))
    before = await stored(world)
    for number in range(5, DAYS):
        await take(world, walk, number)
    await world.db.execute("update pipeline_runs set state = 2 where day < $1", FIRST + LAST)
    await drain(world, Panels(world.db))
    after = await stored(world)
    assert {key: after[key] for key in before} == before
    rows = await world.db.fetch("select count(*) from index_levels group by index_id, day")
    assert {row[0] for row in rows} == {1}
    assert len({day for _, day in after}) == DAYS
