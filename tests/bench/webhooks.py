"""Webhooks: the share of forbidden addresses that is refused, and what signing costs."""

from __future__ import annotations

import time
from collections.abc import Callable
from ipaddress import ip_address
from uuid import UUID

from libs.errors import AppError
from services.delivery.domain import signing
from services.delivery.domain.addresses import AddressPolicy
from services.delivery.domain.urls import UrlPolicy, parse_url
from services.delivery.store.vault import PRIVATE_KEY, Vault
from tests.bench import Row
from tests.unit.delivery import ssrf_table as table

INSIDE = ("127.0.0.1", "10.0.0.1", "169.254.169.254", "192.168.1.1", "168.63.129.16")
SIGNED = 5_000
BODY = b"x" * 460


def refused_share() -> tuple[float, int]:
    """How many percent of the table's rows are refused, and how many rows there are."""
    policy = AddressPolicy()
    addresses = [*table.edges()]
    for inner in (*INSIDE, "8.8.8.8"):
        addresses += table.wrapped(inner).values()
    hosts = [host for inside in INSIDE for host in table.spellings(inside).values()]
    refused = sum(policy.refusal(ip_address(text)) is not None for text in addresses)
    refused += sum(_is_refused(host) for host in hosts)
    rows = len(addresses) + len(hosts)
    return 100 * refused / rows, rows


def _is_refused(host: str) -> bool:
    try:
        parse_url(f"https://{host}/", UrlPolicy())
    except AppError:
        return True
    return False


def cost(sign: Callable[[], object], scale: int) -> float:
    """CPU µs a call."""
    begun = time.process_time()
    for _ in range(SIGNED * scale):
        sign()
    return (time.process_time() - begun) / (SIGNED * scale) * 1e6


async def run(scale: int) -> list[Row]:
    """The table whole, and signatures by kind."""
    share, rows = refused_share()
    vault, endpoint = Vault({"k": bytes(32)}, "k"), UUID(int=1)
    signer = vault.signer(endpoint, "k", vault.seal(endpoint, bytes(32), PRIVATE_KEY))
    keys, note = [bytes(32)], f"{len(BODY)} bytes, with the headers"
    plain = cost(lambda: signing.headers("msg_1", 1, BODY, keys), scale)
    both = cost(lambda: signing.headers("msg_1", 1, BODY, keys, [signer]), scale)
    return [
        Row("webhooks.ssrf.refused", scale, share, "%", 100, note=f"{rows} rows"),
        Row("webhooks.sign.v1", scale, plain, "µs CPU", note=note),
        Row("webhooks.sign.v1+v1a", scale, both, "µs CPU", note=note),
    ]
