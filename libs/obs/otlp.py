"""Spans to an OpenTelemetry collector. Loaded only where one is configured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace.span import TraceState

from libs.obs.tracing import AttributeValue, Span, SpanKind, TraceContext


class OtlpExporter:
    """Batches spans and sends them in a thread of its own.

    Endpoint, headers, sampler and limits come from the standard OTEL_* variables, which the SDK
    reads itself.
    """

    def __init__(self, service: str, version: str, exporter: SpanExporter | None = None) -> None:
        resource = Resource.create({"service.name": service, "service.version": version})
        self._provider = TracerProvider(resource=resource)
        self._provider.add_span_processor(BatchSpanProcessor(exporter or OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("pq", version)

    @contextmanager
    def start(
        self,
        name: str,
        kind: SpanKind,
        parent: TraceContext | None,
        attributes: Mapping[str, AttributeValue],
    ) -> Iterator[Span]:
        """See `Exporter.start`."""
        context = trace.set_span_in_context(_remote(parent)) if parent is not None else None
        recorded = self._tracer.start_span(
            name, context, kind=trace.SpanKind[kind.value], attributes=dict(attributes)
        )
        try:
            yield _Recorded(recorded)
        finally:
            recorded.end()

    def shutdown(self) -> None:
        """See `Exporter.shutdown`."""
        self._provider.shutdown()


class _Recorded:
    def __init__(self, recorded: trace.Span) -> None:
        self._span = recorded
        found = recorded.get_span_context()
        self.context = TraceContext(
            f"{found.trace_id:032x}",
            f"{found.span_id:016x}",
            found.trace_flags.sampled,
            found.trace_state.to_header(),
        )

    def set(self, name: str, value: AttributeValue) -> None:
        """Sets an attribute."""
        self._span.set_attribute(name, value)

    def fail(self, error_type: str) -> None:
        """Marks the span as failed. Only the type: messages may hold what is nobody's business."""
        self._span.set_attribute("error.type", error_type)
        self._span.set_status(trace.StatusCode.ERROR)


def _remote(parent: TraceContext) -> trace.Span:
    return trace.NonRecordingSpan(
        trace.SpanContext(
            int(parent.trace_id, 16),
            int(parent.span_id, 16),
            is_remote=True,
            trace_flags=trace.TraceFlags(int(parent.sampled)),
            trace_state=TraceState.from_header([parent.state] if parent.state else []),
        )
    )
