"""Single values: what JSON says, what protobuf holds, and the refusal in between.

The mapping is that of proto3 JSON, read strictly; docs/adr/0021 lists where it differs.
"""

from __future__ import annotations

import base64
import binascii
import calendar
import math
import re
import struct
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

Read = Callable[[Any], Any]


class Refused(Exception):  # noqa: N818 # a verdict on a value
    """A value that does not fit: what was expected, and a stable word."""

    def __init__(self, expected: str, reason: str = "wrong_type") -> None:
        super().__init__(expected)
        self.expected = expected
        self.reason = reason


_KINDS = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}


def kind_of(value: Any) -> str:
    """What JSON calls the value, for messages."""
    return _KINDS.get(type(value), "a number")


def wrong(expected: str, value: Any) -> Refused:
    """The value is of another type."""
    return Refused(f"expected {expected}, got {kind_of(value)}")


def read_string(value: Any) -> str:
    """Text that can be stored everywhere: no lone surrogate, no U+0000 (PostgreSQL has none)."""
    if type(value) is not str:
        raise wrong("a string", value)
    if "\0" in value:
        raise Refused("must not hold the character U+0000", "bad_character")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise Refused(
                "must be valid Unicode, without lone surrogates", "bad_character"
            ) from None
    return value


def read_bool(value: Any) -> bool:
    """true or false."""
    if type(value) is not bool:
        raise wrong("true or false", value)
    return value


def read_bytes(value: Any) -> bytes:
    """Base64, standard or URL-safe, with or without padding (RFC 4648 §4, §5)."""
    if type(value) is not str:
        raise wrong("base64 text", value)
    text = value.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise Refused("expected base64", "bad_format") from None


def read_double(value: Any) -> float:
    """A finite number."""
    if type(value) is int:
        try:
            value = float(value)
        except OverflowError:
            raise Refused("is out of range", "out_of_range") from None
    if type(value) is not float:
        raise wrong("a number", value)
    if not math.isfinite(value):
        raise Refused("must be a finite number", "out_of_range")
    return value


def read_float(value: Any) -> float:
    """A finite number that single precision can hold."""
    number = read_double(value)
    try:
        struct.pack("<f", number)
    except OverflowError:
        raise Refused("is out of range", "out_of_range") from None
    return number


def integer(low: int, high: int, *, text: bool) -> Read:
    """Reads whole numbers in [low, high]; 5.0 is one (JSON knows no difference). With `text` also
    decimal strings: 64 bits do not fit the numbers of JavaScript."""

    def read(value: Any) -> int:
        written = text and type(value) is str and _INTEGER.fullmatch(value)
        if written or (type(value) is float and value.is_integer()):
            value = int(value)
        if type(value) is not int:
            if type(value) is float:
                raise Refused("expected a whole number, got a fraction")
            raise wrong("a whole number as a string" if text else "a whole number", value)
        if not low <= value <= high:
            raise Refused(f"must be from {low} to {high}", "out_of_range")
        return value

    return read


_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,19})")


def enum(descriptor: EnumDescriptor) -> Read:
    """Reads the names of an enum's values."""
    numbers = {value.name: value.number for value in descriptor.values}
    told = "expected one of " + ", ".join(numbers)

    def read(value: Any) -> int:
        if type(value) is not str:
            raise Refused(f"{told}; got {kind_of(value)}")
        try:
            return numbers[value]
        except KeyError:
            raise Refused(told, "unknown_value") from None

    return read


_RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:Z|([+-])(\d\d):(\d\d))",
    re.ASCII,
)
_TIME = 'expected a time as in RFC 3339, such as "2026-01-31T12:00:00Z"'
_YEAR_1, _YEAR_9999 = -62135596800, 253402300799


def read_timestamp(value: Any) -> Timestamp:
    """RFC 3339 with capital T and Z, and at most nine decimals."""
    if type(value) is not str:
        raise wrong("a time as text (RFC 3339)", value)
    match = _RFC3339.fullmatch(value)
    if match is None:
        raise Refused(_TIME, "bad_format")
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    fraction, sign, off_hours, off_minutes = match.groups()[6:]
    try:
        moment = datetime(year, month, day, hour, minute, second)  # noqa: DTZ001 # offset follows
    except ValueError as error:
        raise Refused(f"{_TIME}; {error}", "bad_format") from None
    seconds = calendar.timegm(moment.timetuple())
    if sign:
        if int(off_hours) > 23 or int(off_minutes) > 59:
            raise Refused(_TIME, "bad_format")
        shift = int(off_hours) * 3600 + int(off_minutes) * 60
        seconds += -shift if sign == "+" else shift
    if not _YEAR_1 <= seconds <= _YEAR_9999:
        raise Refused("must lie in the years 0001 to 9999", "out_of_range")
    return Timestamp(seconds=seconds, nanos=int((fraction or "0").ljust(9, "0")))


_DURATION = re.compile(r"(-?)(\d{1,13})(?:\.(\d{1,9}))?s", re.ASCII)
_LONGEST = 315_576_000_000  # seconds: ten thousand years, as duration.proto says


def read_duration(value: Any) -> Duration:
    """Seconds with an "s": "3.5s"."""
    if type(value) is not str:
        raise wrong('a duration as text, such as "3.5s"', value)
    match = _DURATION.fullmatch(value)
    if match is None:
        raise Refused('expected a duration in seconds, such as "3.5s"', "bad_format")
    sign = -1 if match[1] else 1
    seconds, nanos = int(match[2]), int((match[3] or "0").ljust(9, "0"))
    if seconds > _LONGEST or (seconds == _LONGEST and nanos):
        raise Refused(f"must be at most {_LONGEST}s long", "out_of_range")
    return Duration(seconds=sign * seconds, nanos=sign * nanos)


def write_timestamp(value: Timestamp) -> str:
    """RFC 3339 in UTC with 0, 3, 6 or 9 decimals."""
    seconds = value.seconds
    if not _YEAR_1 <= seconds <= _YEAR_9999:
        raise ValueError("a Timestamp outside the years 0001 to 9999")
    t = time.gmtime(seconds)
    whole = "%04d-%02d-%02dT%02d:%02d:%02d" % t[:6]  # noqa: UP031 # twice as fast as an f-string
    nanos = value.nanos
    return f"{whole}{_decimals(nanos)}Z" if nanos else whole + "Z"


def write_duration(value: Duration) -> str:
    """Seconds with 0, 3, 6 or 9 decimals and an "s"."""
    seconds, nanos = value.seconds, value.nanos
    sign = "-" if seconds < 0 or nanos < 0 else ""
    return f"{sign}{abs(seconds)}{_decimals(abs(nanos)) if nanos else ''}s"


def write_bytes(value: bytes) -> str:
    """Standard base64 with padding."""
    return base64.b64encode(value).decode()


def write_float(value: float) -> float:
    """The shortest number that single precision reads back as `value`."""
    for digits in (6, 7, 8, 9):
        short = float(f"{value:.{digits}g}")
        if not math.isfinite(value) or struct.pack("<f", short) == struct.pack("<f", value):
            return short
    return value


def _decimals(nanos: int) -> str:
    digits = f"{nanos:09d}"
    if digits.endswith("000000"):
        return "." + digits[:3]
    return "." + (digits[:6] if digits.endswith("000") else digits)


_F = FieldDescriptor
_INT32 = integer(-(2**31), 2**31 - 1, text=False)
_UINT32 = integer(0, 2**32 - 1, text=False)
_INT64 = integer(-(2**63), 2**63 - 1, text=True)
_UINT64 = integer(0, 2**64 - 1, text=True)
READERS: dict[int, Read] = {
    _F.TYPE_STRING: read_string,
    _F.TYPE_BOOL: read_bool,
    _F.TYPE_BYTES: read_bytes,
    _F.TYPE_DOUBLE: read_double,
    _F.TYPE_FLOAT: read_float,
    _F.TYPE_INT32: _INT32,
    _F.TYPE_SINT32: _INT32,
    _F.TYPE_SFIXED32: _INT32,
    _F.TYPE_UINT32: _UINT32,
    _F.TYPE_FIXED32: _UINT32,
    _F.TYPE_INT64: _INT64,
    _F.TYPE_SINT64: _INT64,
    _F.TYPE_SFIXED64: _INT64,
    _F.TYPE_UINT64: _UINT64,
    _F.TYPE_FIXED64: _UINT64,
}
WIDE = frozenset({_F.TYPE_INT64, _F.TYPE_SINT64, _F.TYPE_SFIXED64, _F.TYPE_UINT64, _F.TYPE_FIXED64})
INTEGERS = frozenset(
    kind for kind, read in READERS.items() if read in {_INT32, _UINT32} or kind in WIDE
)


def reader(descriptor: FieldDescriptor) -> Read:
    """What reads one value of a scalar or enum field."""
    if descriptor.enum_type is not None:
        return enum(descriptor.enum_type)
    return READERS[descriptor.type]
