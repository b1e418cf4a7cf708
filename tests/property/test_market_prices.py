"""Money and price files hold for whatever comes: exact, never a crash, every line accounted for."""

import csv
import io
import unicodedata
from contextlib import suppress
from datetime import date
from decimal import Decimal

from hypothesis import example, given
from hypothesis import strategies as st

from services.market.domain import catalog, money, packing, prices
from services.market.domain.faults import FieldError, FileRefusedError

LATEST = date(2030, 1, 1)
TEXT = st.text(
    alphabet=st.one_of(st.sampled_from('0123456789.,-"\r\n\x00eE aéN'), st.characters()),
    max_size=12,
)


@given(st.integers(1, money.MAX_CENTS))
def test_cents_round_trip(cents):
    assert money.cents(money.decimal(cents)) == cents


@given(TEXT)
def test_what_is_taken_for_a_price_is_worth_exactly_that(text):
    try:
        cents = money.cents(text)
    except FieldError:
        return
    if text:
        assert Decimal(text) * 100 == cents
        assert 0 < cents <= money.MAX_CENTS
    else:
        assert cents == money.NONE


PRICE = st.one_of(st.just(""), st.integers(1, 10**8).map(money.decimal), TEXT)
ROW = st.tuples(
    st.sampled_from(["2025-05-01", "2025-05-02", "x"]),
    st.sampled_from(["pokemon", "pokemon-japan", "Bad"]),
    st.sampled_from(["604", "0"]),
    st.integers(0, 20).map(str),
    st.one_of(st.sampled_from(["Normal", "normal", "Holofoil"]), TEXT),
    *[PRICE] * 5,
)


def plainly(rows):
    """The rows that are good, by a plain reading of the rules: line to (card, cents)."""
    good, seen = {}, set()
    for line, (day, category, group, product, printing, *texts) in enumerate(rows, 2):
        key = (category, product, printing)
        whole = all(ok(text) for text in texts)
        named = printing.isprintable() and printing == printing.strip() and 0 < len(printing) <= 60
        folded = any(letter.isalnum() for letter in fold(printing))
        right = day == "2025-05-01" and category != "Bad" and group != "0" and product != "0"
        if right and whole and named and folded and key not in seen:
            seen.add(key)
            good[line] = key
    return good


def ok(text):
    whole, point, part = text.partition(".")
    digits = whole.isascii() and whole.isdigit() and len(whole) <= 12
    decimals = not point or (part.isascii() and part.isdigit() and len(part) <= 2)
    if text == "":
        return True
    return digits and decimals and 0 < Decimal(text) * 100 <= money.MAX_CENTS


def fold(text):
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()


@given(st.lists(ROW, min_size=1, max_size=30))
def test_every_row_is_taken_or_named_with_its_line(rows):
    rows = [row for row in rows if not any("\n" in text or "\r" in text for text in row)]
    rows.insert(0, ("2025-05-01", "pokemon", "604", "99", "Normal", *[""] * 5))
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows([prices.COLUMNS, *rows])
    read = prices.parse(
        buffer.getvalue().encode(errors="replace"), day=None, latest=LATEST, max_rows=100
    )
    expected = plainly(rows)
    assert read.lines.tolist() == list(expected)
    assert [(key[0], str(key[1]), key[2]) for key in read.keys] == list(expected.values())
    lines = sorted([*read.lines.tolist(), *(fault.line for fault in read.faults)])
    assert lines == list(range(2, len(rows) + 2))
    assert read.row_count == len(rows)


HEADINGS = st.sampled_from([",".join(prices.COLUMNS), ",".join(catalog.COLUMNS), ""])


@given(HEADINGS, st.binary(max_size=200))
@example(",".join(prices.COLUMNS), b'\n"' + b"," * 9)
@example("", b"\xff\xfe")
def test_no_bytes_crash_it(heading, tail):
    data = heading.encode() + tail
    for read in (
        lambda: prices.parse(data, day=None, latest=LATEST, max_rows=100),
        lambda: catalog.parse(data, max_rows=100),
        lambda: packing.gunzip(data, 1000),
        lambda: packing.gunzip(b"\x1f\x8b\x08\0" + data, 1000),
    ):
        with suppress(FileRefusedError):
            read()
