from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.api import filters
from libs.errors import AppError

COLUMNS = {
    "set_id": filters.whole("c.set_id"),
    "name": filters.text("c.name"),
    "sealed": filters.truth("c.sealed"),
    "market": filters.cents("l.market"),
    "day": filters.day("q.day"),
    "create_time": filters.moment("a.create_time"),
    "state": filters.choice("a.active", {"ACTIVE": True, "INACTIVE": False}),
}


def parse(source, first=1):
    where = filters.parse(source, COLUMNS, first=first)
    return where.sql, where.params


@pytest.mark.parametrize(
    ("source", "sql", "params"),
    [
        ("", "true", []),
        ("set_id = 604", "c.set_id = $1", [604]),
        ("set_id=604 name:x", "(c.set_id = $1 and c.name = $2)", [604, "x"]),
        ("set_id = 1 AND name = 'a'", "(c.set_id = $1 and c.name = $2)", [1, "a"]),
        (
            "set_id = 1 AND set_id = 2 OR set_id = 3",
            "(c.set_id = $1 and (c.set_id = $2 or c.set_id = $3))",
            [1, 2, 3],
        ),
        ("NOT sealed = true", "not coalesce(c.sealed = $1, false)", [True]),
        ("-sealed=true", "not coalesce(c.sealed = $1, false)", [True]),
        ("(set_id > 1 OR set_id < 0)", "((c.set_id > $1 or c.set_id < $2))", [1, 0]),
        ('name = "Pika*"', "starts_with(c.name, $1)", ["Pika"]),
        ('name != "Pika*"', "not starts_with(c.name, $1)", ["Pika"]),
        (r'name = "say \"hi\""', "c.name = $1", ['say "hi"']),
        ("name != x", "c.name is distinct from $1", ["x"]),
        ("market >= 10.5", "l.market >= $1", [1050]),
        ("market = 0.07", "l.market = $1", [7]),
        ('day < "2025-02-01"', "q.day < $1", [date(2025, 2, 1)]),
        (
            'create_time > "2025-01-31T12:00:00Z"',
            "a.create_time > $1",
            [datetime(2025, 1, 31, 12, tzinfo=UTC)],
        ),
        ("state = ACTIVE", "a.active = $1", [True]),
        ("set_id = -5", "c.set_id = $1", [-5]),
    ],
)
def test_what_a_filter_means(source, sql, params):
    assert parse(source) == (sql, params)


def test_placeholders_count_from_where_they_are_told():
    assert parse("set_id = 1 name = a", first=4) == ("(c.set_id = $4 and c.name = $5)", [1, "a"])


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("price = 1", "expected one of"),
        ("set_id", "expected an operator"),
        ("set_id =", "expected a value"),
        ("set_id = x", "a whole number"),
        ("set_id = 99999999999999999999", "a whole number"),
        ("sealed > true", "takes"),
        ("market = 1.234", "two decimals"),
        ("market = -1", "two decimals"),
        ("market = NaN", "two decimals"),
        ("day = 2025-13-01", "YYYY-MM-DD"),
        ('create_time = "2025-01-01T00:00:00"', "zone"),
        ("state = GONE", "ACTIVE, INACTIVE"),
        ("(set_id = 1", "expected ')'"),
        ("set_id = 1)", "expected the end"),
        ("set_id = 1 OR", "expected one of"),
        ('name = "unclosed', "cannot be read"),
        ("name = 'x'; drop table cards", "expected one of"),
        ('name = "\x00"', "NUL"),
        ("(" * 40 + "set_id = 1" + ")" * 40, "nested"),
        (" ".join(["set_id = 1"] * 51), "at most 50"),
        ("name = " + "x" * 2000, "at most 2000"),
    ],
)
def test_what_is_refused_and_how(source, told):
    with pytest.raises(AppError) as caught:
        parse(source)
    assert told in caught.value.message
    assert caught.value.violations[0].field == "filter"


@given(
    st.text(max_size=80)
    | st.lists(
        st.sampled_from(
            [
                "set_id",
                "name",
                "=",
                ">",
                "(",
                ")",
                "AND",
                "OR",
                "NOT",
                "-",
                '"a"',
                "'",
                "5",
                "*",
                ";",
                "--",
            ]
        )
    ).map(" ".join)
)
def test_no_text_reaches_the_sql_or_breaks_the_parser(source):
    try:
        sql, params = parse(source)
    except AppError:
        return
    words = set(sql.replace("(", " ").replace(")", " ").replace(",", " ").split())
    known = {column.sql for column in COLUMNS.values()} | {f"${n}" for n in range(1, 60)}
    known |= {"and", "or", "not", "true", "false", "coalesce", "starts_with", "is", "distinct"}
    assert words <= known | {"from"} | filters.ORDERED
    assert sql.count("$") == len(params)
