"""What is told of a price, against an oracle that keeps whole days and looks back through them."""

import random
from datetime import date, timedelta

from pq.market.v1 import market_pb2
from tests.integration.market.world import card, flat

START = date(2025, 3, 20)  # two months: partitions take part


class Oracle:
    """Days as they stand: plain dictionaries, searched from the newest."""

    def __init__(self):
        self.days = {}

    def before(self, day, name):
        for other in sorted((other for other in self.days if other < day), reverse=True):
            if self.days[other].get(name) is not None:
                return self.days[other][name], str(other)
        return None, ""

    def newest(self, day, name):
        return not any(
            other > day and prices.get(name) is not None for other, prices in self.days.items()
        )

    def take(self, day, prices, backfill):
        """The changes that must be told, as `flat` shows them."""
        old = self.days.get(day)
        last = max(self.days, default=None)
        told = {}
        for name in {*prices, *(old or {})}:
            price, previous = prices.get(name), self.before(day, name)
            if old is not None:
                mode, changed = market_pb2.MODE_CORRECTION, price != old.get(name)
            else:
                late = last is not None and day < last
                mode = market_pb2.MODE_BACKFILL if backfill or late else market_pb2.MODE_LIVE
                changed = price is not None and price != previous[0]
            if changed:
                newest = self.newest(day, name) and not backfill
                told[card(name)] = (price, *previous, newest, mode)
        self.days[day] = prices
        return told

    def headline(self, name):
        quoted = [day for day, prices in self.days.items() if name in prices]
        return (max(quoted), self.days[max(quoted)][name]) if quoted else None

    def known(self, name):
        price, day = self.before(date.max, name)
        return (date.fromisoformat(day), price) if day else (None, None)


def text(cents):
    return "" if cents is None else f"{cents // 100}.{cents % 100:02d}"


async def test_any_order_of_days_and_corrections_tells_what_the_oracle_tells(world):
    seed = random.randrange(2**32)
    rng, oracle = random.Random(seed), Oracle()
    for step in range(60):
        day = START + timedelta(days=rng.choice([step // 3, rng.randrange(25)]))
        names = rng.sample(range(1, 13), rng.randint(1, 12))
        prices = {name: rng.choice([None, 100, 100, 200, 300]) for name in names}
        backfill = rng.random() < 0.15
        # A price that no other step has makes the bytes, and so the file, another one.
        prices[99] = 1000 + step
        expected = oracle.take(day, prices, backfill)
        ingest = world.another() if rng.random() < 0.2 else None
        await world.day(
            str(day),
            {name: text(cents) for name, cents in prices.items()},
            backfill=backfill,
            ingest=ingest,
        )
        assert flat(await world.changes()) == expected, f"seed {seed}, step {step}"
    await agrees(world, oracle, seed)


async def agrees(world, oracle, seed):
    rows = await world.db.fetch(
        "select c.id, l.day, l.market, l.known_day, l.known from card_latest l"
        " join cards c using (card)"
    )
    assert len(rows) == 13
    names = {card(name): name for name in [*range(1, 13), 99]}
    for row in rows:
        name = names[row["id"]]
        assert (row["day"], row["market"]) == (oracle.headline(name) or (None, None)), seed
        assert (row["known_day"], row["known"]) == oracle.known(name), seed
    stored = await world.db.fetch("select day, id, market from quotes join cards using (card)")
    assert {(row["day"], row["id"]): row["market"] for row in stored} == {
        (day, card(name)): cents
        for day, prices in oracle.days.items()
        for name, cents in prices.items()
    }, seed
    versions = await world.db.fetch("select day, max(version), count(*) from snapshots group by 1")
    assert all(row[1] == row[2] for row in versions)
