"""The table of what must not be connected to, row by row."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address

import pytest
from pyreqwest.http import Url

from libs.errors import AppError
from services.delivery.domain.addresses import AddressPolicy
from services.delivery.domain.urls import UrlPolicy, parse_url
from tests.unit.delivery import ssrf_table as table

POLICY = AddressPolicy()
INSIDE = ["127.0.0.1", "10.0.0.1", "169.254.169.254", "192.168.1.1", "168.63.129.16"]


@pytest.mark.parametrize("text", table.edges())
def test_a_block_is_refused_from_its_first_address_to_its_last(text):
    assert POLICY.refusal(ip_address(text)) is not None


@pytest.mark.parametrize("text", table.NEIGHBOURS)
def test_what_is_beside_a_block_is_open(text):
    assert POLICY.refusal(ip_address(text)) is None


def _wrapped() -> Iterator[tuple[str, str]]:
    # What is wrapped may be public itself: nobody receives webhooks through such a wrapping.
    for inner in (*INSIDE, "8.8.8.8"):
        yield from ((way, text) for way, text in table.wrapped(inner).items())


@pytest.mark.parametrize(("way", "text"), list(_wrapped()))
def test_an_address_within_an_address_is_refused(way, text):
    assert POLICY.refusal(ip_address(text)) is not None, way


def _spelled() -> Iterator[tuple[str, str]]:
    for address in INSIDE:
        yield from ((way, text) for way, text in table.spellings(address).items())


@pytest.mark.parametrize(("way", "host"), list(_spelled()))
def test_no_spelling_gets_past(way, host):
    with pytest.raises(AppError) as caught:
        parse_url(f"https://{host}/", UrlPolicy())
    assert [violation.field for violation in caught.value.violations] == ["endpoint.url"], way


@pytest.mark.parametrize(("way", "host"), list(table.spellings("93.184.216.34").items()))
def test_the_sender_reads_what_was_let_in_as_we_do(way, host):
    """An unusual spelling of a public address is refused as well, or it is what it seems."""
    try:
        url = parse_url(f"https://{host}/", UrlPolicy())
    except AppError:
        return
    assert Url(url.text).host_str == url.host == "93.184.216.34", way
