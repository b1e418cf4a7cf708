"""Filters (AIP-160), read into SQL in which every value is a bound parameter.

The grammar is the part of AIP-160 that lists of rows need: comparisons of a named field with a
literal, joined by AND (or by nothing), OR, NOT, "-" and parentheses. As the AIP says, OR binds
closer than AND. A text may end in "*" to match a beginning. Only the fields of a list's own table
of columns can be named, and no word of the filter gets into the SQL.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

from libs.errors import AppError, invalid

MAX_LENGTH = 2000
MAX_TERMS = 50
MAX_DEPTH = 20

ORDERED = frozenset({"=", "!=", "<", "<=", ">", ">="})
EQUAL = frozenset({"=", "!="})

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    | (?P<operator><=|>=|!=|[=<>:])
    | (?P<bracket>[()])
    | (?P<minus>-(?=[A-Za-z_(]))
    | (?P<word>[^\s()"'<>=!:,]+)
    )""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Column:
    """A field that may be filtered by: the SQL it stands for, and how its literals are read.

    `read` turns the literal's text into a parameter and raises ValueError with what it expected.
    """

    sql: str
    read: Callable[[str], Any]
    operators: frozenset[str] = ORDERED
    prefix: bool = False


@dataclass(frozen=True, slots=True)
class Where:
    """A condition with its parameters; placeholders count from the `first` that was asked for."""

    sql: str
    params: list[Any]


def text(sql: str) -> Column:
    """A text; "abc*" matches a beginning."""
    return Column(sql, str, prefix=True)


def whole(sql: str) -> Column:
    """A 64-bit integer."""
    return Column(sql, _whole)


def truth(sql: str) -> Column:
    """true or false."""
    return Column(sql, _truth, EQUAL)


def day(sql: str) -> Column:
    """A date, YYYY-MM-DD."""
    return Column(sql, _day)


def moment(sql: str) -> Column:
    """A time, RFC 3339."""
    return Column(sql, _moment)


def cents(sql: str) -> Column:
    """An amount in hundredths, written as a decimal with at most two places."""
    return Column(sql, _cents)


def choice(sql: str, values: Mapping[str, Any]) -> Column:
    """One of the names in `values`."""

    def read(literal: str) -> Any:
        if literal not in values:
            raise ValueError(f"one of {', '.join(sorted(values))}")
        return values[literal]

    return Column(sql, read, EQUAL)


def parse(source: str, columns: Mapping[str, Column], *, first: int = 1) -> Where:
    """Reads a filter; an empty one is "true". Raises AppError (INVALID) that says what is wrong."""
    if not source.strip():
        return Where("true", [])
    if len(source) > MAX_LENGTH:
        raise invalid("filter", f"expected at most {MAX_LENGTH} characters; got {len(source)}")
    parser = _Parser(source, columns, first)
    return Where(parser.whole_filter(), parser.params)


@dataclass
class _Parser:
    source: str
    columns: Mapping[str, Column]
    first: int
    params: list[Any] = field(default_factory=list)
    terms: int = 0

    def __post_init__(self) -> None:
        self.tokens = self._scan()
        self.at = 0

    def _scan(self) -> list[tuple[str, str, int]]:
        tokens, position = [], 0
        end = len(self.source.rstrip())
        while position < end:
            match = _TOKEN.match(self.source, position)
            if match is None or match.lastgroup is None:
                self._fail(f"cannot be read from character {position + 1} on", position)
            tokens.append((match.lastgroup, match[match.lastgroup], match.start(match.lastgroup)))
            position = match.end()
        return [*tokens, ("end", "", end)]

    def whole_filter(self) -> str:
        sql = self._sequence(0)
        kind, value, position = self.tokens[self.at]
        if kind != "end":
            self._fail(f"expected the end, not {value!r}", position)
        return sql

    def _sequence(self, depth: int) -> str:
        if depth > MAX_DEPTH:
            self._fail(f"expected at most {MAX_DEPTH} nested parentheses", self._position())
        parts = [self._alternatives(depth)]
        while not self._peek("end") and not self._peek("bracket", ")"):
            self._take("word", "AND")
            parts.append(self._alternatives(depth))
        return _joined(" and ", parts)

    def _alternatives(self, depth: int) -> str:
        parts = [self._term(depth)]
        while self._take("word", "OR"):
            parts.append(self._term(depth))
        return _joined(" or ", parts)

    def _term(self, depth: int) -> str:
        if self._take("word", "NOT") or self._take("minus"):
            return f"not coalesce({self._simple(depth)}, false)"
        return self._simple(depth)

    def _simple(self, depth: int) -> str:
        if self._take("bracket", "("):
            sql = self._sequence(depth + 1)
            if not self._take("bracket", ")"):
                self._fail("expected ')'", self._position())
            return f"({sql})"
        return self._comparison()

    def _comparison(self) -> str:
        self.terms += 1
        if self.terms > MAX_TERMS:
            self._fail(f"expected at most {MAX_TERMS} comparisons", self._position())
        kind, name, position = self._next()
        column = self.columns.get(name) if kind == "word" else None
        if column is None:
            self._fail(f"expected one of {', '.join(sorted(self.columns))}, not {name!r}", position)
        kind, operator, position = self._next()
        if kind != "operator":
            self._fail(f"expected an operator after {name}", position)
        operator = "=" if operator == ":" else operator
        if operator not in column.operators:
            known = " ".join(sorted(column.operators))
            self._fail(f"{name} takes {known}, not {operator}", position)
        kind, literal, position = self._next()
        if kind not in ("word", "string"):
            self._fail(f"expected a value after {name} {operator}", position)
        if kind == "string":
            literal = re.sub(r"\\(.)", r"\1", literal[1:-1])
        return self._compare(name, column, operator, literal, position)

    def _compare(self, name: str, column: Column, operator: str, literal: str, at: int) -> str:
        if "\x00" in literal:
            self._fail(f"{name} cannot hold a NUL character", at)
        if column.prefix and operator in EQUAL and literal.endswith("*"):
            place = self._bind(literal[:-1])
            negation = "not " if operator == "!=" else ""
            return f"{negation}starts_with({column.sql}, {place})"
        try:
            value = column.read(literal)
        except ValueError as error:
            self._fail(f"{name}: expected {error}, not {literal[:60]!r}", at)
        sql_operator = "is distinct from" if operator == "!=" else operator
        return f"{column.sql} {sql_operator} {self._bind(value)}"

    def _bind(self, value: Any) -> str:
        self.params.append(value)
        return f"${self.first + len(self.params) - 1}"

    def _next(self) -> tuple[str, str, int]:
        token = self.tokens[self.at]
        if token[0] != "end":
            self.at += 1
        return token

    def _peek(self, kind: str, value: str | None = None) -> bool:
        token = self.tokens[self.at]
        return token[0] == kind and value in (None, token[1])

    def _take(self, kind: str, value: str | None = None) -> bool:
        found = self._peek(kind, value)
        self.at += found
        return found

    def _position(self) -> int:
        return self.tokens[self.at][2]

    def _fail(self, problem: str, position: int) -> NoReturn:
        raise _refused(f"{problem} (character {position + 1})")


def _refused(description: str) -> AppError:
    return invalid("filter", description, "invalid_filter")


def _joined(word: str, parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else "(" + word.join(parts) + ")"


def _whole(literal: str) -> int:
    if not re.fullmatch(r"-?\d{1,19}", literal) or not -(1 << 63) <= int(literal) < 1 << 63:
        raise ValueError("a whole number")
    return int(literal)


def _truth(literal: str) -> bool:
    if literal not in ("true", "false"):
        raise ValueError("true or false")
    return literal == "true"


def _day(literal: str) -> date:
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", literal):
        try:
            return date.fromisoformat(literal)
        except ValueError:
            pass
    raise ValueError("a day, YYYY-MM-DD")


def _moment(literal: str) -> datetime:
    try:
        value = datetime.fromisoformat(literal)
    except ValueError:
        value = None
    if value is None or value.tzinfo is None:
        raise ValueError("a time with its zone, such as 2025-01-31T12:00:00Z")
    return value


def _cents(literal: str) -> int:
    try:
        value = Decimal(literal).scaleb(2)
    except InvalidOperation:
        value = Decimal("NaN")
    if not re.fullmatch(r"\d{1,12}(\.\d{1,2})?", literal) or value != value.to_integral_value():
        raise ValueError("an amount with at most two decimals")
    return int(value)
