"""Search that forgives typing, and counting what there is to narrow by."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.market.domain.browse import Labels, Selection, Shelf
from services.market.domain.search import Postings, normalise

NAMES = [
    "Charizard Base Set 004/102",
    "Charizard Base Set 2 004/130",
    "Dark Charizard Team Rocket 004/082",
    "Pikachu Jungle 060/064",
    "Fossil Booster Box [1st Edition] Fossil",
    "Farfetch'd Base Set 027/102",
    "Flabébé XY 083/146",
    "リザードン 拡張パック 006",
    "ピカチュウ 第1弾 025",
]
POSTINGS = Postings.of(NAMES)


def best(query):
    scores = POSTINGS.scores(query)
    return NAMES[int(np.argmax(scores))] if scores.any() else None


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("charizard", NAMES[0]),
        ("charzard base set", NAMES[0]),
        ("charizard 4/130", NAMES[1]),
        ("dark chrizard", NAMES[2]),
        ("pikchu", NAMES[3]),
        ("1st ediion", NAMES[4]),
        ("farfetchd", NAMES[5]),
        ("FLABEBE", NAMES[6]),
        ("リザードン", NAMES[7]),
        ("りざーどん", NAMES[7]),
        ("ﾋﾟｶﾁｭｳ", NAMES[8]),
        ("ピカチュ", NAMES[8]),
        ("xyzzy", None),
        ("", None),
    ],
)
def test_what_was_meant_is_found(query, found):
    assert best(query) == found


@given(st.text(max_size=60))
def test_whatever_is_typed_gets_scores_from_0_to_1(query):
    scores = POSTINGS.scores(query)
    assert scores.shape == (len(NAMES),)
    assert ((scores >= 0) & (scores <= 1)).all()
    assert normalise(normalise(query)) == normalise(query)


@given(st.sampled_from(NAMES))
def test_a_text_finds_itself_first(name):
    assert best(name) == name


def shelf(rows):
    """(set, rarity, price) of each card."""
    sets, rarities, prices = zip(*rows, strict=True)
    labels = {"set_id": Labels.of(sets), "rarity": Labels.of(rarities)}
    numbers = np.arange(10, 10 + len(rows), dtype=np.int32)
    return Shelf(numbers, labels, Postings.of([""] * len(rows)), np.array(prices, np.int32))


ROWS = st.lists(
    st.tuples(
        st.sampled_from("AB"), st.sampled_from(["Rare", "Common", ""]), st.integers(-1, 200_000)
    ).map(lambda row: (row[0], row[1], row[2] or 1)),
    min_size=1,
    max_size=30,
)
WANTED = st.builds(
    Selection,
    st.just(""),
    st.dictionaries(
        st.sampled_from(["set_id", "rarity"]),
        st.frozensets(st.sampled_from(["A", "B", "Rare", "Common", "none"]), min_size=1),
    ),
    st.none() | st.integers(0, 200_000),
    st.none() | st.integers(0, 200_000),
)


def holds(row, wanted, *, but=""):
    values = {"set_id": row[0], "rarity": row[1]}
    if any(values[k] not in v for k, v in wanted.labels.items() if k != but):
        return False
    if but == "price":
        return True
    if wanted.least is not None and row[2] < wanted.least:
        return False
    return wanted.most is None or -1 < row[2] <= wanted.most


@given(ROWS, WANTED)
def test_choices_ranks_and_counts_are_those_of_a_plain_loop(rows, wanted):
    kept = shelf(rows)
    chosen = kept.choose(wanted, None)
    assert chosen.tolist() == [holds(row, wanted) for row in rows]
    ranked = kept.rank(chosen, None)
    plain = [at for at, row in enumerate(rows) if holds(row, wanted)]
    assert ranked.tolist() == sorted(plain, key=lambda at: (-rows[at][2], at))
    facets = kept.facets(wanted, None, 100)
    for place, name in enumerate(("set_id", "rarity")):
        counted = {}
        for row in rows:
            if holds(row, wanted, but=name):
                counted[row[place]] = counted.get(row[place], 0) + 1
        assert {one.value: one.count for one in facets[name]} == counted
    priced = [row for row in rows if holds(row, wanted, but="price") and row[2] > -1]
    assert sum(one.count for one in facets["price"]) == len(priced)
