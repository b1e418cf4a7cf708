"""Where bounces are listened for, and for whom they are taken."""

from __future__ import annotations

import pytest

from libs.config import ConfigError
from services.delivery.inbound.listener import Listen, parse_listen, parse_recipients
from services.delivery.inbound.settings import InboundSettings
from services.delivery.inbound.wiring import listen_for_bounces


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


class Rt:
    """As much of a runtime as the wiring needs."""

    clock = ids = None

    def __init__(self) -> None:
        self.started: list[str] = []

    def background(self, name: str, _work: object, needs: object) -> None:
        self.started.append(name)

    def periodic(self, name: str, _seconds: float, _work: object) -> None:
        self.started.append(name)


@pytest.mark.parametrize(
    ("settings", "started"),
    [
        (InboundSettings(), []),
        (
            InboundSettings(
                bounce_listen=Listen("lmtp", "127.0.0.1", 2400),
                bounce_recipients=("bounces@our.test",),
            ),
            ["bounces"],
        ),
    ],
)
def test_nothing_listens_unless_it_is_told_to(settings: InboundSettings, started: list) -> None:
    rt = Rt()
    listen_for_bounces(rt, settings, object(), None)  # type: ignore[arg-type]
    assert rt.started == started


def test_a_listener_without_recipients_is_a_mistake() -> None:
    settings = InboundSettings(bounce_listen=Listen("lmtp", "127.0.0.1", 2400))
    with pytest.raises(ConfigError, match="PQ_DELIVERY_BOUNCE_RECIPIENTS"):
        listen_for_bounces(Rt(), settings, object(), None)  # type: ignore[arg-type]
