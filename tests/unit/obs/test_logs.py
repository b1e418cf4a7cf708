"""Log records in the fields of the OpenTelemetry data model."""

import io
import json
import logging
import uuid
from contextvars import copy_context
from datetime import datetime, timedelta

import pytest

from libs.obs import logs, tracing
from libs.obs.requests import set_request_id


@pytest.fixture
def stream():
    root = logging.getLogger()
    kept = root.handlers[:], root.level, logging.logThreads, logging.logProcesses
    quiet = {name: logging.getLogger(name).level for name in logs._QUIET}
    yield io.StringIO()
    root.handlers[:], root.level = kept[0], kept[1]
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = True
    logging.captureWarnings(False)
    for name, level in quiet.items():
        logging.getLogger(name).setLevel(level)


def one(stream):
    (line,) = stream.getvalue().splitlines()
    return json.loads(line)


def test_a_record_has_the_models_fields(stream):
    logs.configure("alerts", "1.2", stream=stream, form="json")
    logging.getLogger("services.alerts").warning("rule %s", 7, extra={"card": "c-1", "n": 3})
    record = one(stream)
    when = datetime.fromisoformat(record.pop("Timestamp"))
    assert when.utcoffset() == timedelta(0)
    assert record == {
        "SeverityText": "WARN",
        "SeverityNumber": 13,
        "Body": "rule 7",
        "Attributes": {"card": "c-1", "n": 3},
        "Resource": {"service.name": "alerts", "service.version": "1.2"},
        "InstrumentationScope": {"Name": "services.alerts"},
    }


def test_it_says_which_request_and_trace(stream):
    logs.configure("alerts", "1", stream=stream, form="json")

    def work():
        set_request_id("req-1")
        with tracing.span("x") as span:
            logging.getLogger("x").info("hello")
            return span.context

    context = copy_context().run(work)
    record = one(stream)
    assert (record["TraceId"], record["SpanId"]) == (context.trace_id, context.span_id)
    assert record["Attributes"] == {"request_id": "req-1"}


def test_an_exception_is_attributes_and_the_record_stays_one_line(stream):
    logs.configure("alerts", "1", stream=stream, form="json")
    try:
        int("bad\nluck")
    except ValueError:
        logging.getLogger("x").exception("failed")
    attributes = one(stream)["Attributes"]
    assert attributes["exception.type"] == "ValueError"
    assert attributes["exception.message"].startswith("invalid literal")
    assert "test_logs.py" in attributes["exception.stacktrace"]


@pytest.mark.parametrize(
    "value", [uuid.UUID(int=1), {1, 2}, b"x", object(), {1: "a"}, 2**70, "\ud800"]
)
def test_no_attribute_can_break_a_record(stream, value):
    logs.configure("alerts", "1", stream=stream, form="json")
    logging.getLogger("x").info("kept", extra={"value": value})
    assert one(stream)["Body"] == "kept"


def test_levels_below_the_configured_one_and_chatter_are_left_out(stream):
    logs.configure("alerts", "1", stream=stream, form="json", level="info")
    logging.getLogger("x").debug("no")
    logging.getLogger("aiokafka.consumer").info("no")
    logging.getLogger("py.warnings").warning("old")
    assert one(stream)["Body"] == "old"


def test_a_terminal_gets_a_line_for_eyes(stream):
    stream.isatty = lambda: True
    logs.configure("alerts", "1", stream=stream)
    logging.getLogger("x").info("hello", extra={"card": "c-1"})
    assert stream.getvalue().endswith("INFO  x: hello card=c-1\n")


def test_a_library_that_repeats_itself_is_heard_once_in_a_while():
    seldom = logs.Seldom("noisy", 30.0)

    def said(name, line, at):
        record = logging.LogRecord(name, logging.ERROR, "x.py", line, "again", None, None)
        record.created = at
        return seldom.filter(record)

    assert [said("noisy.client", 1, at) for at in (0, 1, 29, 30, 31)] == [
        *(True, False, False),
        *(True, False),
    ]
    assert said("noisy.client", 2, 1)
    assert all(said("ours", 1, at) for at in (0, 1))
