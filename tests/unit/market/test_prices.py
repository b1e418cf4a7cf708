"""Price files: every bad line, and what is said of it."""

import gc
import gzip
import zlib
from datetime import date

import pytest

from services.market.domain import cards, money, packing, prices, table
from services.market.domain.faults import FileRefusedError

HEADING = "date,category,group_id,product_id,subtype,market,low,mid,high,direct_low"
GOOD = "2025-05-01,pokemon,604,42346,Holofoil,1.50,1,2.00,99999.99,"
LATEST = date(2025, 6, 1)


def parse(*lines, heading=HEADING, end="\n", day=None):
    data = end.join([heading, *lines, ""]).encode()
    return prices.parse(data, day=day, latest=LATEST, max_rows=1000)


def test_a_good_row_is_read_exactly():
    read = parse(GOOD)
    assert read.keys == [("pokemon", 42346, "Holofoil")]
    assert read.cents.tolist() == [[150, 100, 200, 9999999, money.NONE]]
    assert (read.day, read.set_ids, read.faults) == (date(2025, 5, 1), [604], [])


BAD = [
    ("2025-05-01,pokemon,604,1,Holofoil,-0.50,,,,", "market", "negative_price"),
    ("2025-05-01,pokemon,604,1,Holofoil,NaN,,,,", "market", "not_a_price"),
    ("2025-05-01,pokemon,604,1,Holofoil,inf,,,,", "market", "not_a_price"),
    ("2025-05-01,pokemon,604,1,Holofoil,1e3,,,,", "market", "not_a_price"),
    ("2025-05-01,pokemon,604,1,Holofoil,1.505,,,,", "market", "too_many_decimals"),
    ("2025-05-01,pokemon,604,1,Holofoil,.50,,,,", "market", "not_a_price"),
    ("2025-05-01,pokemon,604,1,Holofoil,1.,,,,", "market", "not_a_price"),
    ("2025-05-01,pokemon,604,1,Holofoil, 1.00,,,,", "market", "not_a_price"),
    ("2025-05-01,pokemon,604,1,Holofoil,+1.00,,,,", "market", "not_a_price"),
    ("2025-05-01,pokemon,604,1,Holofoil,$1.00,,,,", "market", "not_a_price"),
    ("2025-05-01,pokemon,604,1,Holofoil,\u0661,,,,", "market", "not_a_price"),
    ("2025-05-01,pokemon,604,1,Holofoil,0.00,,,,", "market", "not_positive"),
    ("2025-05-01,pokemon,604,1,Holofoil,21474836.48,,,,", "market", "out_of_range"),
    ("2025-05-01,pokemon,604,1,Holofoil,1.00,,,,x", "direct_low", "not_a_price"),
    ('2025-05-01,pokemon,604,1,Holofoil,"1,000.00",,,,', "market", "not_a_price"),
    ("2025-05-02,pokemon,604,1,Holofoil,1.00,,,,", "date", "wrong_day"),
    ("2025-02-30,pokemon,604,1,Holofoil,1.00,,,,", "date", "not_a_day"),
    ("20250501,pokemon,604,1,Holofoil,1.00,,,,", "date", "not_a_day"),
    ("2025-05-1,pokemon,604,1,Holofoil,1.00,,,,", "date", "not_a_day"),
    (",pokemon,604,1,Holofoil,1.00,,,,", "date", "not_a_day"),
    ("2025-05-01,Pokémon,604,1,Holofoil,1.00,,,,", "category", "not_a_category"),
    ("2025-05-01,a/b,604,1,Holofoil,1.00,,,,", "category", "not_a_category"),
    ("2025-05-01,pokemon,six,1,Holofoil,1.00,,,,", "group_id", "not_an_id"),
    ("2025-05-01,pokemon,604,0,Holofoil,1.00,,,,", "product_id", "not_an_id"),
    ("2025-05-01,pokemon,604,042346,Holofoil,1.00,,,,", "product_id", "not_an_id"),
    ("2025-05-01,pokemon,604,9999999999999,Holofoil,1.00,,,,", "product_id", "not_an_id"),
    ("2025-05-01,pokemon,604,1,,1.00,,,,", "subtype", "not_a_printing"),
    ("2025-05-01,pokemon,604,1,ホロ,1.00,,,,", "subtype", "not_a_printing"),
    ("2025-05-01,pokemon,604,1,a\x00b,1.00,,,,", "subtype", "not_a_printing"),
    ("2025-05-01,pokemon,604,42346,Holofoil,7.00,,,,", "", "duplicate_row"),
    ("2025-05-01,pokemon,604,1,Holofoil,1.00,,,", "", "wrong_field_count"),
    ("2025-05-01,pokemon,604,1,Holofoil,1.00,,,,,", "", "wrong_field_count"),
    ('2025-05-01,pokemon,604,1,"Holofoil,1.00,,,,', "", "bad_quoting"),
    ('2025-05-01,pokemon,604,1,"Holo"foil,1.00,,,,', "", "bad_quoting"),
]


@pytest.mark.parametrize(("line", "field", "reason"), BAD)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_bad_line_costs_one_row_and_is_named(line, field, reason, end):
    after = GOOD.replace("42346", "7")
    read = parse(GOOD, "", line, after, end=end)
    assert [(fault.line, fault.field, fault.reason) for fault in read.faults] == [
        (4, field, reason)
    ]
    assert [key[1] for key in read.keys] == [42346, 7]
    assert (read.row_count, read.lines.tolist()) == (3, [2, 5])


def test_bytes_that_are_no_utf8_cost_their_row():
    line = GOOD.replace("Holofoil", "Hol\xf3").encode("latin-1")
    data = b"\n".join([HEADING.encode(), line, GOOD.encode(), b""])
    read = prices.parse(data, day=None, latest=LATEST, max_rows=10)
    assert [(fault.line, fault.reason) for fault in read.faults] == [(2, "wrong_encoding")]
    assert len(read) == 1


def test_the_first_fault_of_a_row_is_told_once():
    read = parse(GOOD, "2025-05-02,A,x,0,,-1,-1,,,")
    assert [(fault.line, fault.field) for fault in read.faults] == [(3, "date")]


def test_columns_may_come_in_any_order_and_after_a_mark():
    names = HEADING.split(",")
    line = GOOD.split(",")
    read = parse(",".join(reversed(line)), heading="\ufeff" + ",".join(reversed(names)))
    assert read.keys == parse(GOOD).keys
    assert read.cents.tolist() == parse(GOOD).cents.tolist()


@pytest.mark.parametrize(
    ("heading", "field", "reason"),
    [
        (HEADING.replace("market,", ""), "market", "missing_column"),
        (HEADING.replace("market", "Market"), "market", "missing_column"),
        (HEADING + ",foil", "foil", "unknown_column"),
        (HEADING + ",low", "low", "duplicate_column"),
        ('"' + HEADING, "file", "bad_quoting"),
    ],
)
def test_a_wrong_heading_refuses_the_file_and_names_the_column(heading, field, reason):
    with pytest.raises(FileRefusedError) as refused:
        parse(GOOD, heading=heading)
    assert (refused.value.field, refused.value.reason) == (field, reason)


def test_a_file_of_bad_rows_alone_says_why():
    with pytest.raises(FileRefusedError) as refused:
        parse(GOOD.replace("1.50", "-1"), GOOD.replace("2025-05-01", "2025-05-02"))
    assert refused.value.reason == "no_rows"
    assert [(fault.line, fault.field) for fault in refused.value.faults] == [
        (2, "market"),
        (3, "date"),
    ]


def test_too_many_rows_are_refused():
    with pytest.raises(FileRefusedError, match="at most 1 rows"):
        data = f"{HEADING}\n{GOOD}\n{GOOD}\n{GOOD}".encode()
        prices.parse(data, day=None, latest=LATEST, max_rows=1)


@pytest.mark.parametrize("cut", [1, 10, 30])
def test_a_file_cut_within_its_last_row_is_refused(cut):
    data = "\n".join([HEADING, GOOD, GOOD.replace("42346", "7")]).encode()
    with pytest.raises(FileRefusedError, match="line 3: the file ends within a row"):
        prices.parse(data[:-cut], day=None, latest=LATEST, max_rows=10)


def test_a_bomb_is_refused_before_it_is_unpacked():
    packer = zlib.compressobj(wbits=31)
    bomb = b"".join(packer.compress(bytes(1 << 20)) for _ in range(64)) + packer.flush()
    with pytest.raises(FileRefusedError, match="more than 1000 bytes"):
        packing.gunzip(bomb, 1000)


def test_members_follow_one_another_and_padding_is_no_fault():
    data = gzip.compress(b"ab") + gzip.compress(b"cd") + bytes(512)
    assert packing.gunzip(data, 4) == b"abcd"
    with pytest.raises(FileRefusedError):
        packing.gunzip(data, 3)
    with pytest.raises(FileRefusedError):
        packing.gunzip(data + b"garbage", 100)


@pytest.mark.parametrize("cut", range(0, 30, 3))
def test_gzip_cut_anywhere_is_refused(cut):
    with pytest.raises(FileRefusedError):
        packing.gunzip(gzip.compress(b"some prices")[:cut], 100)


def test_ids_are_stable():
    # Written down here: ids are in people's bookmarks, and shards in the events' order.
    assert cards.card_id(("pokemon", 42346, "Reverse Holofoil")) == "pokemon-42346-reverse-holofoil"
    assert cards.card_id(("mtg", 1, "1st Edition – Éclat!")) == "mtg-1-1st-edition-eclat"
    assert cards.shard("pokemon-42346-reverse-holofoil") == 43
    assert cards.ID.fullmatch("pokemon-42346-reverse-holofoil")


def test_a_file_with_a_fault_is_let_go_of_at_once():
    # Not by the collector: its turn may come after many large files.
    gc.collect()
    gc.disable()
    try:
        parsed = parse(GOOD, GOOD.replace("42346", "0"))
        assert len(parsed.faults) == 1
        del parsed
        assert not [one for one in gc.get_objects() if isinstance(one, table.Reader)]
    finally:
        gc.enable()
