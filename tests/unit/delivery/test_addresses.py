"""Which addresses and URLs webhooks may go to."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from pyreqwest.http import Url

from libs.errors import AppError
from services.delivery.domain.addresses import AddressPolicy, parse_networks
from services.delivery.domain.urls import UrlPolicy, parse_url

STRICT = AddressPolicy()


def _words(text: str) -> list[str]:
    return text.split()


REFUSED = _words("""
0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.127.255.254 127.0.0.1 127.255.255.255
169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.1 192.0.0.170 192.0.2.1 192.31.196.1 192.52.193.1
192.88.99.1 192.168.1.1 192.175.48.1 198.18.0.1 198.19.255.255 198.51.100.7 203.0.113.9 224.0.0.1
239.255.255.255 240.0.0.1 255.255.255.255
:: ::1 ::7f00:1 ::ffff:127.0.0.1 ::ffff:8.8.8.8 64:ff9b::7f00:1 64:ff9b::808:808 64:ff9b:1::1 100::1
100:0:0:1::1 2001::1 2001:0:4136:e378:8000:63bf:3fff:fdd2 2001:2::1 2001:10::1 2001:20::1
2001:db8::1 2002:7f00:1::1 2002:808:808::1 2620:4f:8000::1 3fff::1 5f00::1 4000::1 fc00::1
fd12:3456:789a::1 fe80::1 fe80::1%eth0 fec0::1 ff02::1
""")
OPEN = _words("""
1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.1
169.253.255.255 172.15.255.255 172.32.0.0 192.0.1.1 192.167.255.255 198.17.255.255 198.20.0.0
223.255.255.255 2001:200::1 2606:4700:4700::1111 2a00:1450:4001:81b::200e 2003::1 3ffe::1
""")


@pytest.mark.parametrize("text", REFUSED)
def test_refused(text: str) -> None:
    assert STRICT.refusal(ip_address(text)) is not None


@pytest.mark.parametrize("text", OPEN)
def test_open(text: str) -> None:
    assert STRICT.refusal(ip_address(text)) is None


def test_the_table_refuses_whatever_python_calls_private() -> None:
    """A second opinion, on 20,000 addresses spread over the whole of both spaces."""
    for step in range(10_000):
        v4 = ip_address(step * 429_497)
        v6 = ip_address((step * 34_028_236_692_093_846_346_337_460_743_176_821) % (1 << 128))
        for address in (v4, v6):
            if not address.is_global:
                assert STRICT.refusal(address), address


def test_an_operator_opens_networks() -> None:
    policy = AddressPolicy(parse_networks(["127.0.0.0/8", "::1/128"]))
    assert policy.refusal(ip_address("127.0.0.1")) is None
    assert policy.refusal(ip_address("::1")) is None
    assert policy.refusal(ip_address("::ffff:127.0.0.1")) is not None
    assert policy.refusal(ip_address("10.0.0.1")) == "private"


BAD_URLS = {
    "": "url_missing",
    "https://example.com/" + "a" * 2000: "url_too_long",
    "example.com/hook": "url_malformed",
    "//example.com/hook": "url_malformed",
    "https:/example.com": "url_malformed",
    "https:\\\\example.com": "url_malformed",
    "https://example.com/a b": "url_malformed",
    "https://example.com/\n": "url_malformed",
    "https://example.com/é": "url_malformed",
    " https://example.com/": "url_malformed",
    "https://example.com/#top": "url_fragment",
    "http://example.com/": "url_scheme",
    "ftp://example.com/": "url_scheme",
    "file:///etc/passwd": "url_scheme",
    "https://user@example.com/": "url_userinfo",
    "https://user:pw@example.com/": "url_userinfo",
    "https://example.com@127.0.0.1/": "url_userinfo",
    "https:///hook": "url_host",
    "https://:443/": "url_host",
    "https://exa mple.com/": "url_host",
    "https://exa%6dple.com/": "url_host",
    "https://bücher.example/": "url_host",
    "https://①②⑦.0.0.1/": "url_host",
    "https://example.com./": "url_host",
    "https://a..b.example/": "url_host",
    "https://-a.example/": "url_host",
    "https://a\t.example/": "url_host",
    "https://[::1/": "url_host",
    "https://[fe80::1%25eth0]/": "url_host",
    "https://[1.2.3.4]/": "url_host",
    "https://example.com\\@127.0.0.1/": "url_userinfo",
    "https://127.0.0.1\\.example.com/": "url_host",
    "https://example.com:/": "url_port",
    "https://example.com:0/": "url_port",
    "https://example.com:22/": "url_port",
    "https://example.com:65536/": "url_port",
    "https://example.com:+443/": "url_host",
    "https://127.1/": "url_host",
    "https://127.0.1/": "url_host",
    "https://2130706433/": "url_host",
    "https://0x7f000001/": "url_host",
    "https://0x7f.0.0.1/": "url_host",
    "https://0177.0.0.1/": "url_host",
    "https://127.0.0.0x1/": "url_host",
    "https://127.0.0.1./": "url_host",
    "https://1.2.3.4.5/": "url_host",
    "https://example.0x/": "url_host",
    "https://127.0.0.1/": "address_refused",
    "https://169.254.169.254/latest/meta-data/": "address_refused",
    "https://[::1]/": "address_refused",
    "https://[::ffff:7f00:1]/": "address_refused",
    "https://[::ffff:127.0.0.1]/": "address_refused",
    "https://[64:ff9b::7f00:1]/": "address_refused",
}


@pytest.mark.parametrize("text", BAD_URLS)
def test_a_bad_url_is_refused_by_name(text: str) -> None:
    with pytest.raises(AppError) as caught:
        parse_url(text, UrlPolicy())
    assert caught.value.reason == BAD_URLS[text]
    assert [v.field for v in caught.value.violations] == ["endpoint.url"]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("https://example.com", "https://example.com/"),
        ("HTTPS://Example.COM:443/Hook?a=b%20c", "https://example.com/Hook?a=b%20c"),
        ("https://hooks.example.com:8443/a/b", "https://hooks.example.com:8443/a/b"),
        ("https://xn--bcher-kva.example/?x", "https://xn--bcher-kva.example/?x"),
        ("https://8.8.8.8/hook", "https://8.8.8.8/hook"),
        ("https://[2606:4700:4700:0::1111]:8443/", "https://[2606:4700:4700::1111]:8443/"),
        ("https://_dmarc.example.com/", "https://_dmarc.example.com/"),
    ],
)
def test_a_good_url_is_kept_in_one_form_that_the_sender_reads_alike(text: str, kept: str) -> None:
    url = parse_url(text, UrlPolicy())
    assert url.text == kept
    sender = Url(url.text)
    assert (sender.scheme, sender.port_or_known_default) == (url.scheme, url.port)
    assert sender.host_str == (f"[{url.address}]" if url.host.startswith("[") else url.host)


def test_development_opens_http_and_loopback() -> None:
    policy = UrlPolicy(AddressPolicy(parse_networks(["127.0.0.0/8"])), allow_http=True)
    assert parse_url("http://127.0.0.1:9000/hook", policy).port == 9000
    assert parse_url("http://localhost:9000/hook", policy).address is None
