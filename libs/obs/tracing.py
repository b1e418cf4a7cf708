"""W3C trace context, carried on always; spans exported where OTLP is configured.

The OpenTelemetry SDK costs tens of megabytes, so it is loaded when OTEL_EXPORTER_OTLP_ENDPOINT is
set and not otherwise. Without it a span is two random ids and a context variable.
https://www.w3.org/TR/trace-context/
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar, Token
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

TRACEPARENT = "traceparent"
TRACESTATE = "tracestate"
_FORM = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_SAMPLED = 1
# Of the system: a child process must not repeat its parent's ids.
_random = random.SystemRandom()

AttributeValue = str | int | float | bool


class SpanKind(Enum):
    """What a span is to the one on the other side."""

    INTERNAL = "INTERNAL"
    SERVER = "SERVER"
    CLIENT = "CLIENT"
    PRODUCER = "PRODUCER"
    CONSUMER = "CONSUMER"


@dataclass(frozen=True, slots=True)
class TraceContext:
    """Where in which trace we are; ids in lower-case hex."""

    trace_id: str
    span_id: str
    sampled: bool = True
    state: str = ""

    @property
    def traceparent(self) -> str:
        """The header's value."""
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.sampled else '00'}"


class Span(Protocol):
    """A span that is being recorded."""

    context: TraceContext

    def set(self, name: str, value: AttributeValue) -> None:
        """Sets an attribute."""
        ...

    def fail(self, error_type: str) -> None:
        """Marks the span as failed; `error_type` is low in cardinality."""
        ...


class Exporter(Protocol):
    """What records spans."""

    def start(
        self,
        name: str,
        kind: SpanKind,
        parent: TraceContext | None,
        attributes: Mapping[str, AttributeValue],
    ) -> AbstractContextManager[Span]:
        """Records a span while the block runs."""
        ...

    def shutdown(self) -> None:
        """Sends what is left."""
        ...


class _Quiet:
    """A span that nobody records."""

    __slots__ = ("context",)

    def __init__(self, context: TraceContext) -> None:
        self.context = context

    def set(self, name: str, value: AttributeValue) -> None:
        """Nothing to set it on."""

    def fail(self, error_type: str) -> None:
        """Nothing to mark."""


_current: ContextVar[TraceContext | None] = ContextVar("trace", default=None)
_exporters: list[Exporter] = []


def current() -> TraceContext | None:
    """Where we are; None outside of any trace."""
    return _current.get()


def set_context(context: TraceContext | None) -> Token[TraceContext | None]:
    """Enters a trace for the rest of this task."""
    return _current.set(context)


def parse(traceparent: str | None, tracestate: str | None = None) -> TraceContext | None:
    """The context of a header; None for one that is malformed, as the standard asks."""
    match = _FORM.fullmatch(traceparent or "")
    if match is None or match[1] == "ff" or (match[1] == "00" and match[5]):
        return None
    if not int(match[2], 16) or not int(match[3], 16):
        return None
    state = tracestate if tracestate and len(tracestate) <= 512 else ""
    return TraceContext(match[2], match[3], bool(int(match[4], 16) & _SAMPLED), state)


def child(parent: TraceContext | None) -> TraceContext:
    """A new span's context under `parent`, or at the root of a new trace."""
    if parent is None:
        bits = _random.getrandbits(192)
        return TraceContext(f"{bits >> 64 or 1:032x}", f"{bits & (1 << 64) - 1 or 1:016x}")
    span_id = f"{_random.getrandbits(64) or 1:016x}"
    return TraceContext(parent.trace_id, span_id, parent.sampled, parent.state)


def headers() -> dict[str, str]:
    """What to send along: `traceparent`, and `tracestate` where there is one."""
    context = _current.get()
    return headers_of(context) if context is not None else {}


def headers_of(context: TraceContext) -> dict[str, str]:
    """What to send along with something that happens in `context`."""
    sent = {TRACEPARENT: context.traceparent}
    if context.state:
        sent[TRACESTATE] = context.state
    return sent


@contextmanager
def span(
    name: str,
    kind: SpanKind = SpanKind.INTERNAL,
    attributes: Mapping[str, AttributeValue] | None = None,
    *,
    parent: TraceContext | None = None,
) -> Iterator[Span]:
    """Runs a block as a span under `parent`, or under where we are."""
    above = parent if parent is not None else _current.get()
    if not _exporters:
        made = _Quiet(child(above))
        token = _current.set(made.context)
        try:
            yield made
        finally:
            _current.reset(token)
        return
    with _exporters[0].start(name, kind, above, attributes or {}) as recorded:
        token = _current.set(recorded.context)
        try:
            yield recorded
        except BaseException as error:
            recorded.fail(type(error).__name__)
            raise
        finally:
            _current.reset(token)


def is_recording() -> bool:
    """Whether spans go anywhere."""
    return bool(_exporters)


def configure(service: str, version: str, environ: Mapping[str, str]) -> None:
    """Starts exporting where the standard OTEL_EXPORTER_OTLP_* variables ask for it."""
    endpoint = environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") or environ.get(
        "OTEL_EXPORTER_OTLP_ENDPOINT"
    )
    if endpoint and environ.get("OTEL_SDK_DISABLED", "").lower() != "true":
        from libs.obs.otlp import OtlpExporter

        install(OtlpExporter(service, version))


def install(exporter: Exporter) -> None:
    """Records spans with `exporter` from now on."""
    _exporters[:] = [exporter]


def shutdown() -> None:
    """Sends what is left, and stops recording."""
    while _exporters:
        _exporters.pop().shutdown()
