import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.errors import AppError
from libs.ids import Ids, decode, derive, encode


def test_ids_of_one_process_rise_even_within_a_millisecond(clock):
    ids = Ids(clock)
    made = [ids.uuid() for _ in range(10_000)]  # more than the 4,096 that one millisecond counts
    assert made == sorted(made)
    assert len(set(made)) == len(made)
    assert {value.version for value in made} == {7}
    assert {value.variant for value in made} == {uuid.RFC_4122}


def test_a_clock_that_goes_back_does_not_take_the_ids_along(clock):
    ids = Ids(clock)
    first = ids.uuid()
    clock.advance(-3600)
    assert ids.uuid() > first


def test_an_id_begins_with_its_time(clock):
    value = Ids(clock).uuid()
    assert value.int >> 80 == int(clock.now().timestamp() * 1000)


@given(st.uuids(), st.text(), st.text())
def test_derived_ids_follow_from_parent_and_names(parent, one, two):
    assert derive(parent, one, two) == derive(parent, one, two)
    assert derive(parent, one, two).int >> 80 == parent.int >> 80
    assert derive(parent, one, two) != derive(parent, one + two)
    assert derive(parent, one).version == 8


@given(st.uuids())
def test_the_public_form_goes_there_and_back(value):
    text = encode("alr", value)
    assert decode("alr", text) == value
    assert len(text) == 30


@given(st.tuples(st.uuids(), st.uuids()))
def test_the_public_form_sorts_as_the_ids_do(pair):
    one, two = pair
    assert (one < two) == (encode("x", one) < encode("x", two))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "wrong_id_kind"),
        ("msg_00000000000000000000000000", "wrong_id_kind"),
        ("alr_", "malformed_id"),
        ("alr_0000000000000000000000000u", "malformed_id"),
        ("alr_zzzzzzzzzzzzzzzzzzzzzzzzzz", "malformed_id"),
        ("alr_000000000000000000000000000", "malformed_id"),
        ("alr_0000000000000000000000000A", "malformed_id"),
    ],
)
def test_what_is_no_id_is_refused_with_the_field(text, reason):
    with pytest.raises(AppError) as caught:
        decode("alr", text, field="parent")
    assert caught.value.reason == reason
    assert caught.value.violations[0].field == "parent"
