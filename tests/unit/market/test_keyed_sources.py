"""Sources that want a key: what is read of their answers, and what of another shape is told."""

import json
from datetime import date

import pytest

from services.market.sources.adapter import DriftError
from services.market.sources.justtcg import JustTcg
from services.market.sources.pricecharting import PriceCharting


def variant(price, condition="Near Mint", printing="Holofoil", **more):
    made = {"condition": condition, "printing": printing, "price": price}
    return made | {"lastUpdated": 1747785600, "language": "English"} | more


def card(id="pokemon-base-charizard", variants=None, **more):
    made = {
        "id": id,
        "name": "Charizard",
        "set_name": "Base",
        "number": "4",
        "tcgplayerId": "42382",
    }
    return made | {"variants": [variant(350.255)] if variants is None else variants} | more


def page(cards, *, more=False, **values):
    return json.dumps({"data": cards, "meta": {"hasMore": more, "total": 9}} | values).encode()


async def justtcg(pages):
    """What the adapter makes of these pages of one card each, and what it asked for."""
    asked = []

    async def get(part):
        asked.append(part)
        return pages[int(part.rpartition("=")[2])]

    adapter = JustTcg(page=1)
    return await adapter.fetch(await adapter.newest(get), get), asked


async def test_justtcg_is_read_page_by_page_in_english_alone_each_condition_by_itself():
    variants = [
        variant(1.5, printing="Normal", lastUpdated=1747699200),
        variant(1, condition="Lightly Played"),
        variant(2, language="Japanese"),
        variant(None, printing="Reverse Holofoil"),
        variant(90, condition="Sealed", printing="Normal box"),
        variant(9, condition="Signed by the artist"),
    ]
    pages = [page([card()], more=True), page([card("second", variants, tcgplayerId=None)])]
    rendered, asked = await justtcg(pages)
    assert rendered.day == date(2025, 5, 21)
    assert asked[1:] == [f"v1/cards?game=pokemon&limit=1&offset={offset}" for offset in (0, 1)]
    first, second, played, third = rendered.foreign
    assert (first.product, first.printing, first.market, first.low) == (
        "pokemon-base-charizard",
        "Holofoil",
        "350.26",
        "",
    )
    assert first.display_name == "Charizard · Base · 4"
    assert first.url == "https://www.tcgplayer.com/product/42382"
    assert (second.printing, second.market, second.url) == ("Normal", "1.50", "")
    assert (third.printing, third.market) == ("Normal box", "90.00")
    assert (played.printing, played.market) == ("Holofoil", "1.00")
    assert played.quotes == "justtcg-lightly-played"
    assert {first.quotes, second.quotes, third.quotes} == {""}


@pytest.mark.parametrize(
    ("pages", "field"),
    [
        ([b"[]"], "body"),
        ([b'{"data": []}'], "meta.hasMore"),
        ([page({})], "data"),
        ([page([card(variants=None, id=None)])], "id"),
        ([page([card() | {"variants": None}])], "variants"),
        ([page([card(variants=[variant("1")])])], "variants.price"),
        ([page([card(variants=[variant(1, printing="")])])], "printing"),
        ([page([card(variants=[variant(1, lastUpdated="now")])])], "lastUpdated"),
        ([page([])], "variants.lastUpdated"),
        ([page([card()], more=True), page([], more=True)], "data"),
        ([page([card(variants=[variant(1, condition="Signed")])])], "data"),
        ([page([card(variants=[variant(1, condition=None)])])], "condition"),
    ],
)
async def test_a_justtcg_of_another_shape_is_told(pages, field):
    with pytest.raises(DriftError) as caught:
        await justtcg(pages)
    assert caught.value.field == field


GUIDE = """id,console-name,product-name,loose-price,cib-price,graded-price,manual-only-price
630417,Pokemon Base Set,Charizard #4,$351.25,$700.00,"$2,104.00",$9999.9
630418,Pokemon Base Set,"Energy, Fire",,$1.00,,
630419,Pokemon Base Set,Booster Box,"$12,500.00",,,
"""


async def pricecharting(body):
    async def get(part):
        assert part == "price-guide/download-custom?category=pokemon-cards"
        return body

    adapter = PriceCharting(lambda: date(2025, 5, 21))
    return await adapter.fetch(await adapter.newest(get), get)


async def test_pricecharting_is_read_each_grade_by_itself():
    rendered = await pricecharting(("\ufeff" + GUIDE.replace("\n", "\r\n")).encode())
    assert rendered.day == date(2025, 5, 21)
    assert [
        (one.product, one.quotes, one.market, one.display_name) for one in rendered.foreign
    ] == [
        ("630417", "", "351.25", "Charizard #4 · Pokemon Base Set"),
        ("630417", "pricecharting-grade-9", "2104.00", "Charizard #4 · Pokemon Base Set"),
        ("630417", "pricecharting-psa-10", "9999.9", "Charizard #4 · Pokemon Base Set"),
        ("630419", "", "12500.00", "Booster Box · Pokemon Base Set"),
    ]
    assert {one.printing for one in rendered.foreign} == {"Any"}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"\xff\xfe", "body"),
        (b"", "id"),
        (GUIDE.replace("loose-price", "price").encode(), "loose-price"),
        (GUIDE.replace("manual-only-price", "psa").encode(), "manual-only-price"),
        (GUIDE.replace("$351.25", "351 EUR").encode(), "loose-price"),
        (GUIDE.replace("$9999.9", "many").encode(), "manual-only-price"),
        (GUIDE.replace("630417", "").encode(), "id"),
        (GUIDE.splitlines()[0].encode(), "loose-price"),
    ],
)
async def test_a_pricecharting_of_another_shape_is_told(body, field):
    with pytest.raises(DriftError) as caught:
        await pricecharting(body)
    assert caught.value.field == field
