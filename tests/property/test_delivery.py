"""Properties of delivery's rules."""

from __future__ import annotations

from datetime import UTC, datetime

import orjson
from hypothesis import given
from hypothesis import strategies as st
from pyreqwest.http import Url
from standardwebhooks import Webhook

from libs.errors import AppError
from services.delivery.domain import signing
from services.delivery.domain.schedule import LONGEST_RETRY_AFTER, Schedule
from services.delivery.domain.urls import UrlPolicy, parse_url
from services.delivery.handlers import payload

KEYS = st.binary(min_size=32, max_size=32)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@given(KEYS)
def test_secrets_round_trip(key: bytes) -> None:
    assert signing.decode_secret(signing.encode_secret(key)) == key


@given(TEXT, KEYS, KEYS)
def test_whatever_is_signed_verifies_with_either_key(note: str, new: bytes, old: bytes) -> None:
    now = datetime.now(UTC)
    body = payload.render("alert.triggered", payload.shown(now), {"note": note})
    headers = signing.headers("msg_1", int(now.timestamp()), body, (new, old))
    for key in (new, old):
        verified = Webhook(signing.encode_secret(key)).verify(body, headers)
        assert verified["data"]["note"] == note
    assert orjson.loads(body)["data"]["note"] == note


@given(
    st.lists(st.floats(0, LONGEST_RETRY_AFTER), min_size=1, max_size=12),
    st.integers(1, 13),
    st.floats(0, 1, exclude_max=True),
    st.floats(0, 1e9),
    st.floats(0, 1e9),
)
def test_waiting_grows_with_attempts_and_with_what_is_asked(
    delays: list[float], attempt: int, chance: float, less: float, more: float
) -> None:
    schedule = Schedule(tuple(sorted(delays)))
    less, more = sorted((less, more))
    waits = [schedule.delay(attempt, chance, asked) for asked in (None, less, more)]
    if attempt > len(delays):
        assert waits == [None] * 3
        return
    plain, short, long = (wait for wait in waits if wait is not None)
    planned = schedule.delays[attempt - 1]
    assert 0.8 * planned * (1 - 1e-9) <= plain <= 1.2 * planned * (1 + 1e-9)
    assert plain <= short <= long <= max(plain, LONGEST_RETRY_AFTER)
    if attempt > 1:
        before = schedule.delay(attempt - 1, chance, less)
        assert before is not None
        assert before <= short


HOSTS = st.text("0123456789abcdefx.[]:@%\\/-_ \t\u0661\u2460\u3002", min_size=1, max_size=20)


@given(HOSTS, st.text("0123456789/?#:@.a", max_size=8))
def test_what_we_let_in_the_sender_reads_as_the_very_same_host(host: str, rest: str) -> None:
    """Two parsers that disagree are how checks are got around."""
    try:
        url = parse_url(f"https://{host}{rest}", UrlPolicy())
    except AppError:
        return
    sender = Url(url.text)
    assert sender.host_str is not None
    assert sender.host_str.strip("[]") == (str(url.address) if url.address else url.host)
    assert sender.port_or_known_default == url.port
    if url.address is None:
        assert not url.host.rpartition(".")[2].isdigit()
