"""Structured logs: a JSON object a line, in the fields of the OpenTelemetry log data model.

https://opentelemetry.io/docs/specs/otel/logs/data-model/ — the standard library's logging is
underneath, so that every library's records come out alike. On a terminal a plain line is written.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TextIO

import orjson

from libs.obs import tracing
from libs.obs.requests import request_id

# The data model's SeverityNumber of each level.
_SEVERITY = {
    logging.DEBUG: ("DEBUG", 5),
    logging.INFO: ("INFO", 9),
    logging.WARNING: ("WARN", 13),
    logging.ERROR: ("ERROR", 17),
    logging.CRITICAL: ("FATAL", 21),
}
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
# These say at INFO what nobody asked for.
_QUIET = ("asyncio", "aiokafka", "grpc", "grpc._cython.cygrpc", "opentelemetry")


# These say the same thing many times a second while a broker is away.
_REPEATING = "aiokafka"
_REPEAT_SECONDS = 30.0


class Seldom(logging.Filter):
    """Lets each statement of a library that repeats itself through once in a while."""

    def __init__(self, name: str, seconds: float) -> None:
        super().__init__(name)
        self._seconds = seconds
        self._said: dict[tuple[str, int], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to let it through; records of others always are."""
        if not super().filter(record):
            return True
        place = (record.pathname, record.lineno)
        if record.created < self._said.get(place, float("-inf")) + self._seconds:
            return False
        self._said[place] = record.created
        return True


class JsonFormatter(logging.Formatter):
    """One line of JSON a record."""

    def __init__(self, resource: Mapping[str, str]) -> None:
        super().__init__()
        self._resource = dict(resource)

    def format(self, record: logging.LogRecord) -> str:
        """The record as the data model has it."""
        text, number = _severity(record.levelno)
        line: dict[str, Any] = {
            "Timestamp": _time(record).isoformat(timespec="microseconds"),
            "SeverityText": text,
            "SeverityNumber": number,
            "Body": record.getMessage(),
            "Resource": self._resource,
            "InstrumentationScope": {"Name": record.name},
        }
        context = tracing.current()
        if context is not None:
            line["TraceId"], line["SpanId"] = context.trace_id, context.span_id
        attributes = _attributes(record)
        if record.exc_info and record.exc_info[0] is not None:
            attributes["exception.type"] = record.exc_info[0].__qualname__
            attributes["exception.message"] = str(record.exc_info[1])
            attributes["exception.stacktrace"] = self.formatException(record.exc_info)
        if attributes:
            line["Attributes"] = attributes
        try:
            return orjson.dumps(line, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
        except TypeError:
            # Half a surrogate, or more than 64 bits: rare, and no reason to lose a record.
            return json.dumps(line, default=str, skipkeys=True)


class PlainFormatter(logging.Formatter):
    """A line for eyes: time, level, logger, message, attributes."""

    def format(self, record: logging.LogRecord) -> str:
        """The record in one line, and its traceback below."""
        text, _ = _severity(record.levelno)
        told = "".join(f" {name}={value}" for name, value in _attributes(record).items())
        when = _time(record).astimezone().strftime("%H:%M:%S.%f")[:-3]
        line = f"{when} {text:<5} {record.name}: {record.getMessage()}{told}"
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


def configure(
    service: str,
    version: str,
    *,
    level: str = "INFO",
    form: str = "auto",
    stream: TextIO = sys.stderr,
) -> None:
    """Sends all records of this process to `stream`.

    `form` is "json", "plain", or "auto": plain on a terminal.
    """
    plain = form == "plain" or (form == "auto" and stream.isatty())
    resource = {"service.name": service, "service.version": version}
    handler = logging.StreamHandler(stream)
    handler.setFormatter(PlainFormatter() if plain else JsonFormatter(resource))
    handler.addFilter(Seldom(_REPEATING, _REPEAT_SECONDS))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(True)
    # Nothing here is read, and each costs every record.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))


def _time(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC)


def _severity(level: int) -> tuple[str, int]:
    known = _SEVERITY.get(level)
    return known or (logging.getLevelName(level), min(24, max(1, level // 10 * 4 + 1)))


def _attributes(record: logging.LogRecord) -> dict[str, Any]:
    found = {name: value for name, value in vars(record).items() if name not in _OWN}
    request = request_id()
    if request:
        found.setdefault("request_id", request)
    return found
