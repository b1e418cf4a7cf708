"""Where bounces are listened for, and for whom they are taken."""

from __future__ import annotations

import pytest

from services.delivery.inbound.listener import Listen, parse_listen, parse_recipients


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("lmtp://127.0.0.1:2400", Listen("lmtp", "127.0.0.1", 2400)),
        ("smtp://[::1]:2525", Listen("smtp", "::1", 2525)),
        ("lmtp://:2400", Listen("lmtp", "127.0.0.1", 2400)),
    ],
)
def test_an_address_to_listen_at(text: str, expected: Listen) -> None:
    assert parse_listen(text) == expected


@pytest.mark.parametrize(
    "text", ["", "127.0.0.1:25", "http://a:1", "lmtp://a", "lmtp://a:x", "lmtp://a:70000"]
)
def test_what_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        parse_listen(text)


def test_recipients_are_addresses_and_domains() -> None:
    assert parse_recipients("Bounces@Our.test, @b.our.test") == ("bounces@our.test", "@b.our.test")
    for text in ("", " , ", "our.test", "bounces@"):
        with pytest.raises(ValueError, match="expected"):
            parse_recipients(text)
