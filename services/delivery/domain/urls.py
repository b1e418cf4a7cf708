"""Which URLs can be an endpoint's.

One spelling only: what the sender's parser (WHATWG) would read in another way than this one does
is refused, so that the host that is checked is the host that is connected to.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from ipaddress import AddressValueError, IPv4Address, IPv6Address

from libs.errors import AppError, invalid
from services.delivery.domain.addresses import Address, AddressPolicy

MAX_LENGTH = 2000
FIELD = "endpoint.url"
_PORTS = {"https": 443, "http": 80}
# RFC 3986, less the fragment; what is not in here has to be percent-encoded.
_FORM = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]*)"
    r"(?P<rest>[A-Za-z0-9\-._~!$&'()*+,;=:@%/?]*)"
)
_AUTHORITY = re.compile(r"(?P<host>\[[^\]]*\]|[^:\[\]]*)(?P<colon>:(?P<port>[0-9]*))?")
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
# WHATWG reads a host as an IPv4 address when its last label looks like a number.
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


@dataclass(frozen=True, slots=True)
class UrlPolicy:
    """What an operator lets endpoints be."""

    addresses: AddressPolicy = field(default_factory=AddressPolicy)
    allow_http: bool = False


@dataclass(frozen=True, slots=True)
class WebhookUrl:
    """A URL that was checked. `address` is set where the host is an address and not a name."""

    text: str
    scheme: str
    host: str
    port: int
    address: Address | None


def parse_url(text: str, policy: UrlPolicy) -> WebhookUrl:
    """Reads and checks a URL. Raises AppError (INVALID) with a reason of its own for each fault."""
    if not text:
        raise _refused("expected a URL", "url_missing")
    if len(text) > MAX_LENGTH:
        raise _refused(f"expected at most {MAX_LENGTH} characters; got {len(text)}", "url_too_long")
    if "#" in text:
        raise _refused("expected no fragment: it is never sent", "url_fragment")
    form = _FORM.fullmatch(text)
    if form is None:
        raise _refused(
            "expected a URL of ASCII characters, others percent-encoded, such as"
            " https://example.com/hook",
            "url_malformed",
        )
    scheme = _scheme(form["scheme"].lower(), policy)
    host, port = _host_and_port(form["authority"], scheme)
    address = _address(host)
    if address is None:
        _check_name(host)
    elif (why := policy.addresses.refusal(address)) is not None:
        raise refused_address(host, why)
    rest = form["rest"] if form["rest"].startswith("/") else "/" + form["rest"]
    shown = f"[{address}]" if isinstance(address, IPv6Address) else host
    suffix = "" if port == _PORTS[scheme] else f":{port}"
    return WebhookUrl(f"{scheme}://{shown}{suffix}{rest}", scheme, host, port, address)


def refused_address(host: str, why: str) -> AppError:
    """The host is, or resolves to, an address that webhooks do not go to."""
    return _refused(f"{host[:100]} is not a public address: {why}", "address_refused")


def _scheme(scheme: str, policy: UrlPolicy) -> str:
    if scheme == "http" and not policy.allow_http:
        raise _refused("expected https: http would show the message to all between", "url_scheme")
    if scheme not in _PORTS:
        raise _refused(f"expected https; got {scheme[:20]}", "url_scheme")
    return scheme


def _host_and_port(authority: str, scheme: str) -> tuple[str, int]:
    if "@" in authority:
        raise _refused("expected no user name or password", "url_userinfo")
    match = _AUTHORITY.fullmatch(authority)
    if match is None or not match["host"]:
        raise _refused("expected a host, and a port at most", "url_host")
    if match["colon"] is None:
        return match["host"].lower(), _PORTS[scheme]
    digits = match["port"]
    port = int(digits) if 1 <= len(digits) <= 5 else 0
    # Below 1024 other protocols live, and some of them obey lines of text.
    if port not in _PORTS.values() and not 1024 <= port <= 65535:
        raise _refused("expected port 443, 80, or 1024 to 65535", "url_port")
    return match["host"].lower(), port


def _address(host: str) -> Address | None:
    try:
        if host.startswith("[") and "%" not in host:  # a zone is this machine's own business
            return IPv6Address(host[1:-1])
        if _NUMBER.fullmatch(host.rpartition(".")[2]):
            return IPv4Address(host)
    except AddressValueError:
        raise _refused(
            f"{host[:60]!r} is not an address in its usual form, such as 8.8.8.8", "url_host"
        ) from None
    return None


def _check_name(host: str) -> None:
    if not host.isascii():
        raise _refused("expected the host in its ASCII form (xn--…)", "url_host")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in host.split(".")):
        raise _refused(f"{host[:60]!r} is not a host name", "url_host")


def _refused(description: str, reason: str) -> AppError:
    return invalid(FIELD, description, reason)
