"""Trace context: carried on always, exported where asked for."""

import asyncio
import subprocess
import sys

import pytest

from libs.obs import tracing
from libs.obs.tracing import SpanKind, TraceContext, parse, span

PARENT = TraceContext("ab" * 16, "cd" * 8)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("00-" + "ab" * 16 + "-" + "cd" * 8 + "-01", PARENT),
        ("00-" + "ab" * 16 + "-" + "cd" * 8 + "-00", TraceContext("ab" * 16, "cd" * 8, False)),
        ("cc-" + "ab" * 16 + "-" + "cd" * 8 + "-01-what-comes", PARENT),
        ("00-" + "ab" * 16 + "-" + "cd" * 8 + "-01-more", None),
        ("ff-" + "ab" * 16 + "-" + "cd" * 8 + "-01", None),
        ("00-" + "00" * 16 + "-" + "cd" * 8 + "-01", None),
        ("00-" + "ab" * 16 + "-" + "00" * 8 + "-01", None),
        ("00-" + "AB" * 16 + "-" + "cd" * 8 + "-01", None),
        ("", None),
        (None, None),
    ],
)
def test_the_header_is_read_as_the_standard_says(header, expected):
    assert parse(header) == expected


def test_a_span_is_a_child_and_ends_where_it_ends():
    assert tracing.current() is None
    with span("outer", parent=PARENT) as outer:
        assert outer.context.trace_id == PARENT.trace_id
        assert outer.context.span_id != PARENT.span_id
        with span("inner") as inner:
            assert inner.context.trace_id == PARENT.trace_id
            assert tracing.headers() == {"traceparent": inner.context.traceparent}
        assert tracing.current() == outer.context
    assert tracing.current() is None
    assert tracing.headers() == {}


def test_what_the_parent_decided_goes_on():
    parent = parse("00-" + "ab" * 16 + "-" + "cd" * 8 + "-00", "vendor=1")
    with span("x", parent=parent):
        sent = tracing.headers()
    assert sent["traceparent"].endswith("-00")
    assert sent["tracestate"] == "vendor=1"


async def test_tasks_do_not_see_each_others_spans():
    async def work(parent):
        with span("x", parent=parent):
            await asyncio.sleep(0)
            return tracing.current().trace_id

    other = TraceContext("ef" * 16, "cd" * 8)
    assert await asyncio.gather(work(PARENT), work(other)) == [PARENT.trace_id, other.trace_id]


@pytest.fixture
def exported():
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from libs.obs.otlp import OtlpExporter

    memory = InMemorySpanExporter()
    tracing.install(OtlpExporter("alerts", "1", memory))
    yield lambda: (tracing.shutdown(), memory.get_finished_spans())[1]
    tracing.shutdown()


def test_spans_are_exported_with_their_parents(exported):
    with (
        span("call", SpanKind.SERVER, {"rpc.method": "x"}, parent=PARENT),
        pytest.raises(KeyError),
        span("db"),
    ):
        raise KeyError("secret")
    db, call = exported()
    assert call.name == "call"
    assert f"{call.parent.span_id:016x}" == PARENT.span_id
    assert call.parent.is_remote
    assert call.kind.name == "SERVER"
    assert call.attributes == {"rpc.method": "x"}
    assert db.parent.span_id == call.context.span_id
    assert db.attributes == {"error.type": "KeyError"}
    assert "secret" not in db.to_json()
    assert call.resource.attributes["service.name"] == "alerts"


def test_without_an_endpoint_the_sdk_is_never_loaded():
    code = (
        "import sys; from libs.obs import tracing; tracing.configure('x', '1', {});"
        "import libs.runtime; assert not [m for m in sys.modules if m.startswith('opentelemetry')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
