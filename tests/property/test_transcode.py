"""The compiled converters against protobuf's own json_format, over every message of the contract.

The differences that are meant (docs/adr/0021): unset optional fields and messages are printed as
null; members of a oneof only when set; doubles that are not finite as null; enums are read by name
alone and numbers only as JSON numbers, 64 bits excepted.
"""

import json
import math
from urllib.parse import parse_qsl

from google.protobuf import json_format, message_factory
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.field_mask_pb2 import FieldMask
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.transcode import query, strict_json
from gateway.transcode.descriptors import (
    HTTP_BODY,
    OUTPUT_ONLY,
    behaviors,
    descriptor_of,
    in_oneof,
    is_map,
    load,
)
from gateway.transcode.read import Readers
from gateway.transcode.write import Writers
from libs.errors import AppError

F = FieldDescriptor
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
INT32, INT64 = st.integers(-(2**31), 2**31 - 1), st.integers(-(2**63), 2**63 - 1)
SCALARS = {
    F.TYPE_STRING: TEXT,
    F.TYPE_BOOL: st.booleans(),
    F.TYPE_BYTES: st.binary(max_size=20),
    F.TYPE_DOUBLE: st.floats(allow_nan=False, allow_infinity=False),
    F.TYPE_INT32: INT32,
    F.TYPE_INT64: INT64,
}
WRITERS, READERS = Writers(), Readers()


def reachable():
    found = {}

    def visit(descriptor):
        if any(f.message_type and f.message_type.full_name == HTTP_BODY for f in descriptor.fields):
            return  # travels as it is: no converter sees it
        if descriptor.full_name not in found and not descriptor.full_name.startswith("google."):
            found[descriptor.full_name] = descriptor
            for field in descriptor.fields:
                if field.message_type:
                    visit(field.message_type)

    for rpc in load().rpcs:
        visit(descriptor_of(rpc.input))
        visit(descriptor_of(rpc.output))
    return list(found.values())


TYPES = reachable()


def values(field):
    if field.enum_type is not None:
        return st.sampled_from([v.number for v in field.enum_type.values])
    if field.message_type is None:
        return SCALARS[field.type]
    if field.message_type.name == "Timestamp":
        seconds = st.integers(-62135596800, 253402300799)
        return st.builds(dict, seconds=seconds, nanos=st.integers(0, 999_999_999))
    if field.message_type.name == "Duration":
        amount = st.integers(-(10**15), 10**15)
        return amount.map(lambda n: {"seconds": int(n / 10**9), "nanos": int(math.fmod(n, 10**9))})
    if field.message_type.name == "FieldMask":
        path = st.from_regex(r"[a-z]{1,5}(_[a-z]{1,5}){0,2}", fullmatch=True)
        return st.builds(FieldMask, paths=st.lists(path, max_size=3))
    return messages(field.message_type)


@st.composite
def messages(draw, descriptor):
    made = message_factory.GetMessageClass(descriptor)()
    for field in descriptor.fields:
        if draw(st.booleans()):
            if is_map(field):
                key, value = field.message_type.fields
                drawn = draw(st.dictionaries(values(key), values(value), max_size=3))
            else:
                many = field.is_repeated
                drawn = draw(st.lists(values(field), max_size=3) if many else values(field))
            put(made, field, drawn)
    return made


def put(message, field, drawn):
    target = getattr(message, field.name)
    if is_map(field):
        for key, value in drawn.items():
            if field.message_type.fields_by_name["value"].message_type:
                target[key].CopyFrom(value)
            else:
                target[key] = value
    elif field.is_repeated:
        for entry in drawn:
            fill(target.add(), entry) if field.message_type else target.append(entry)
    elif field.message_type is None:
        setattr(message, field.name, drawn)
    else:
        target.SetInParent()
        fill(target, drawn)


def fill(target, drawn):
    if isinstance(drawn, dict):
        for name, value in drawn.items():
            setattr(target, name, value)
    else:
        target.CopyFrom(drawn)


any_message = st.sampled_from(TYPES).flatmap(messages)


def oracle(message):
    """json_format's answer, with the differences that are meant."""
    text = json_format.MessageToDict(message, always_print_fields_with_no_presence=True)
    return with_nulls(message, text)


def is_ours(field):
    """Whether there are messages of our own in it; the maps of the contracts have none."""
    kind = field.message_type
    return kind and not kind.full_name.startswith("google.") and not is_map(field)


def with_nulls(message, shown):
    for field in message.DESCRIPTOR.fields:
        name = field.json_name
        if field.has_presence and not in_oneof(field) and not message.HasField(field.name):
            shown[name] = None
        elif is_ours(field):
            if field.is_repeated:
                for entry, inner in zip(getattr(message, field.name), shown[name], strict=True):
                    with_nulls(entry, inner)
            elif message.HasField(field.name):
                with_nulls(getattr(message, field.name), shown[name])
    return shown


@settings(max_examples=400, deadline=None)
@given(any_message)
def test_what_is_written_is_what_json_format_writes(message):
    written = json.loads(WRITERS.encoder(type(message))(message.SerializeToString()))
    assert written == oracle(message)


def without_output_only(message):
    for field in message.DESCRIPTOR.fields:
        if OUTPUT_ONLY in behaviors(field):
            message.ClearField(field.name)
        elif is_ours(field):
            children = getattr(message, field.name) if field.is_repeated else ()
            for child in children:
                without_output_only(child)
            if not field.is_repeated and message.HasField(field.name):
                without_output_only(getattr(message, field.name))
    return message


@settings(max_examples=400, deadline=None)
@given(any_message, st.booleans())
def test_what_json_format_writes_is_read_as_it_was(message, proto_names):
    text = json_format.MessageToJson(message, preserving_proto_field_name=proto_names)
    read, faults = type(message)(), []
    READERS.read(read, strict_json.parse(text.encode()), "", faults)
    assert not faults
    assert read == without_output_only(message)


@settings(max_examples=400, deadline=None)
@given(any_message)
def test_what_is_written_is_read_as_it_was(message):
    written = WRITERS.encoder(type(message))(message.SerializeToString())
    read, faults = type(message)(), []
    READERS.read(read, strict_json.parse(written), "", faults)
    assert not faults
    assert read == without_output_only(message)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=10,
)


@st.composite
def almost(draw, descriptor):
    """Objects with real field names and any values."""
    names = [f.json_name for f in descriptor.fields]
    if not names:
        return draw(JSON)
    return draw(st.dictionaries(st.sampled_from(names), JSON, max_size=4))


@settings(max_examples=500, deadline=None)
@given(st.sampled_from(TYPES).flatmap(lambda d: st.tuples(st.just(d), almost(d) | JSON)))
def test_any_json_is_read_or_refused_by_name_and_nothing_else(drawn):
    """What is read without a fault, json_format reads to the same message."""
    descriptor, data = drawn
    made, faults = message_factory.GetMessageClass(descriptor)(), []
    READERS.read(made, data, "", faults)
    READERS.missing(message_factory.GetMessageClass(descriptor)(), "", [])
    if faults:
        assert all(v.field and v.description and v.reason for v in faults)
        return
    other = json_format.ParseDict(given_fields(descriptor, data), type(made)())
    assert made == other


def given_fields(descriptor, data):
    """The same without what is OUTPUT_ONLY, which is passed over unread."""
    kept = {}
    for name, value in data.items():
        field = next(f for f in descriptor.fields if name in (f.name, f.json_name))
        if OUTPUT_ONLY not in behaviors(field):
            inner = None if is_map(field) else field.message_type
            if inner and isinstance(value, dict):
                value = given_fields(inner, value)
            elif inner and isinstance(value, list):
                value = [given_fields(inner, entry) for entry in value]
            kept[name] = value
    return kept


def refusal(run):
    try:
        run()
    except AppError as error:
        return error
    return None


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_json_or_refused(data):
    told = refusal(lambda: strict_json.parse(data))
    assert told is None or told.violations


@settings(max_examples=300, deadline=None)
@given(JSON)
def test_any_json_is_parsed_as_json_does(data):
    assert strict_json.parse(json.dumps(data).encode()) == data


@settings(max_examples=500, deadline=None)
@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=60))
def test_any_query_is_read_or_refused(text):
    told = refusal(lambda: query.parse(text))
    if told is not None:
        assert told.violations
        return
    pairs = query.parse(text)
    expected = parse_qsl(text, keep_blank_values=True, encoding="utf-8", errors="strict")
    assert [p for p in pairs if p != ("", "")] == [p for p in expected if p != ("", "")]
