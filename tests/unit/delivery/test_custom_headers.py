from __future__ import annotations

import pytest

from libs.errors import AppError
from services.delivery.domain.custom_headers import check_headers, shown_headers

REFUSED = [
    "Host", "content-length", "Content-Type", "content-encoding", "Connection", "keep-alive",
    "Transfer-Encoding", "TE", "Trailer", "Upgrade", "Expect", "Proxy-Authorization",
    "proxy-connection", "Via", "Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP",
    "X-Original-URL", "X-Rewrite-URL", "X-HTTP-Method-Override", "Metadata-Flavor", "Metadata",
    "X-aws-ec2-metadata-token", "webhook-id", "Webhook-Signature", "webhook-anything",
    "traceparent", "User-Agent", "Accept-Encoding",
]  # fmt: skip


def reason(headers: dict[str, str], before: dict[str, str] | None = None) -> str:
    with pytest.raises(AppError) as caught:
        check_headers(headers, before or {}, "h")
    [violation] = caught.value.violations
    return violation.reason


@pytest.mark.parametrize("name", REFUSED)
def test_what_frames_routes_or_is_ours_is_refused(name):
    assert reason({name: "x"}) == "header_refused"


@pytest.mark.parametrize("name", ["", "a b", "a:b", "ä", "a\r\nb", "x" * 65])
def test_what_is_no_name_is_refused(name):
    assert reason({name: "x"}) == "header_name"


@pytest.mark.parametrize("value", ["", " x", "x ", "a\r\nb: c", "a\x00", "ä", "x" * 4097, "\t"])
def test_what_is_no_value_is_refused(value):
    assert reason({"x-a": value}) == "header_value"


def test_names_are_the_same_in_either_case():
    assert check_headers({"X-A": "b c\td"}, {}, "h") == {"x-a": "b c\td"}
    assert reason({"X-A": "1", "x-a": "2"}) == "header_repeated"


def test_all_of_them_must_fit():
    with pytest.raises(AppError, match="8192 characters"):
        check_headers({"x-a": "x" * 4096, "x-b": "x" * 4096}, {}, "h")
    with pytest.raises(AppError, match="at most 20 headers"):
        check_headers({f"x-{n}": "x" for n in range(21)}, {}, "h")


@pytest.mark.parametrize(
    "name",
    ["authorization", "cookie", "x-api-key", "x-auth", "my-token", "x-secret", "x-password"],
)
def test_credentials_are_hidden_and_stars_keep_them(name):
    shown = shown_headers({name: "correct-horse", "x-tenant": "42"})
    assert shown == {name: "***", "x-tenant": "42"}
    before = {name: "correct-horse"}
    assert check_headers(shown, before, "h") == {name: "correct-horse", "x-tenant": "42"}
    assert reason({name: "***"}) == "header_hidden"
