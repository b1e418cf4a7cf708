"""Any quote says where it is from."""

from datetime import date

import pytest

from libs.errors import AppError, Kind
from services.market.handlers.provenance import Provenance
from services.market.store.raw import open_raw
from tests.integration.market.world import card, prices, squeeze

DAY = date(2025, 5, 1)


@pytest.fixture
def origin(world):
    return Provenance(world.db, open_raw(str(world.raw)), 1 << 20, 1000)


async def test_a_quote_is_found_in_the_file_of_its_own_version(world, origin):
    first = (await world.take(prices("2025-05-01", {1: "1.50", 2: "bad", 3: "3.00"}))).item
    second = (await world.take(squeeze(prices("2025-05-01", {3: "4.00", 4: "1.00"})))).item
    found = await origin(card(3), "tcgplayer", DAY, 1)
    assert (found.item.sha256, found.line, found.snapshot.version) == (first.sha256, 4, 1)
    assert [(fault.line, fault.field) for fault in found.item.faults] == [(3, "market")]
    found = await origin(card(3), "tcgplayer", DAY, 2)
    assert (found.item.sha256, found.line) == (second.sha256, 2)
    assert (await origin(card(4), "tcgplayer", DAY, 1)).line is None
    assert (await origin(card(1), "tcgplayer", DAY, 2)).line is None


async def test_every_version_of_a_day_shows_its_own_quote(world, origin):
    await world.day("2025-05-01", {1: "1.50", 2: "2.00", 3: "3.00"})
    await world.day("2025-05-01", {1: "1.75", 3: "3.00", 4: ""})
    await world.day("2025-05-01", {1: "1.75", 2: "2.25", 3: "3.50"})
    await world.day("2025-05-02", dict.fromkeys(range(1, 5), "9.00"))
    expected = {1: (150, 175, 175), 2: (200, None, 225), 3: (300, 300, 350)}
    for product, cents in expected.items():
        found = [await origin(card(product), "tcgplayer", DAY, version) for version in (1, 2, 3)]
        assert tuple(at.quote.market if at.quote else None for at in found) == cents
    # A row without a price is a quote all the same.
    found = [(await origin(card(4), "tcgplayer", DAY, version)).quote for version in (1, 2, 3)]
    assert [quote is not None for quote in found] == [False, True, False]
    assert (found[1].source, found[1].currency, found[1].market) == ("tcgplayer", "USD", None)


async def test_an_import_of_before_has_no_line(world, origin):
    await world.day("2025-05-01", {1: "1.50"})
    await world.db.execute("update imports set raw = null")
    found = await origin(card(1), "tcgplayer", DAY, 1)
    assert (found.item.accepted_count, found.line) == (1, None)


async def test_a_card_or_version_that_is_not_there_is_not_found(world, origin):
    await world.day("2025-05-02", {1: "1.50"})
    for name, version in ((card(1), 1), (card(9), 1)):
        with pytest.raises(AppError) as refused:
            await origin(name, "tcgplayer", DAY, version)
        assert refused.value.kind is Kind.NOT_FOUND
