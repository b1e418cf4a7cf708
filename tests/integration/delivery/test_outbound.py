"""Where we connect to, and to whom we talk there."""

from __future__ import annotations

import datetime as dt
import ssl
import threading
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from libs.errors import AppError
from services.delivery.channels import resolver as resolving
from services.delivery.channels.resolver import AddressRefusedError, NameUnknownError, Resolver
from services.delivery.domain.addresses import AddressPolicy
from services.delivery.domain.settings import Settings
from services.delivery.domain.urls import UrlPolicy
from tests.integration.delivery import receiver as behave
from tests.integration.delivery.receiver import Receiver
from tests.integration.delivery.world import POLICY, until


def certificate(name: str, folder: Path) -> tuple[ssl.SSLContext, bytes]:
    """A self-signed certificate for `name`: a server's context, and the root to trust, in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM)
    file = folder / f"{name}.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + pem
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context, pem


async def code_of_first_attempt(world) -> str:
    async def recorded() -> bool:
        return bool(await world.attempts())

    await until(recorded)
    return (await world.attempts())[0]["code"]


async def test_a_name_is_pinned_and_its_certificate_verified(world, account, tmp_path):
    context, root = certificate("hooks.test", tmp_path)
    async with Receiver(tls=context) as receiver:
        await world.endpoint(account, f"https://hooks.test:{receiver.port}/")
        sender = await world.sender(lookup=lambda _host, _port: ["127.0.0.1"], root=root)
        await world.tell(sender, world.fired(account))
        await world.settled()
        [arrival] = receiver.arrivals
        assert arrival.headers["host"] == f"hooks.test:{receiver.port}"
        assert (await world.attempts())[0]["remote_address"] == "127.0.0.1"


@pytest.mark.parametrize("trusted", [False, True], ids=["unknown-root", "wrong-name"])
async def test_a_certificate_that_does_not_hold_is_refused(world, account, tmp_path, trusted):
    context, root = certificate("other.test" if trusted else "hooks.test", tmp_path)
    async with Receiver(tls=context) as receiver:
        await world.endpoint(account, f"https://hooks.test:{receiver.port}/")
        sender = await world.sender(
            lookup=lambda _host, _port: ["127.0.0.1"], root=root if trusted else None
        )
        await world.tell(sender, world.fired(account))
        assert await code_of_first_attempt(world) == "tls"
        assert receiver.arrivals == []


async def test_an_endpoint_made_under_a_looser_policy_is_checked_at_each_attempt(
    world, receiver, account
):
    await world.endpoint(account, receiver.url())
    sender = await world.sender(policy=UrlPolicy(allow_http=True))
    await world.tell(sender, world.fired(account))
    assert await code_of_first_attempt(world) == "address_refused"
    assert receiver.arrivals == []


async def test_a_name_that_moves_inside_is_refused_at_the_next_attempt(world, receiver, account):
    """DNS rebinding: public when it was created, private when it is sent to."""
    await world.endpoint(account, f"http://rebinds.test:{receiver.port}/")
    sender = await world.sender(lookup=lambda _host, _port: ["93.184.216.34", "10.0.0.1"])
    await world.tell(sender, world.fired(account))
    assert await code_of_first_attempt(world) == "address_refused"


async def test_an_unknown_name_is_tried_again(world, account):
    await world.endpoint(account, "https://nowhere.test/")

    def unknown(_host, _port):
        raise OSError("no such name")

    sender = await world.sender(lookup=unknown)
    await world.tell(sender, world.fired(account))
    assert await code_of_first_attempt(world) == "dns"


async def test_proxies_of_the_environment_are_not_asked(world, receiver, account, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    await world.endpoint(account, receiver.url())
    sender = await world.sender()
    await world.tell(sender, world.fired(account))
    await world.settled()
    assert len(receiver.arrivals) == 1


async def test_the_operators_proxy_is_asked_and_sees_names(world, receiver, account):
    """It takes the requests in its form (RFC 9112 §3.2.2), whether we can resolve a name or not."""
    urls = ["http://known.test:8080/a?b=c", "http://unknown.test:8080/d"]
    for url in urls:
        await world.endpoint(account, url)

    def lookup(host, _port):
        if host == "unknown.test":
            raise OSError("no such name")
        return ["127.0.0.1"]

    sender = await world.sender(lookup=lookup, proxy=receiver.url().rstrip("/"))
    await world.tell(sender, world.fired(account))
    await world.settled(2)
    assert sorted(arrival.path for arrival in receiver.arrivals) == urls
    assert {row["remote_address"] for row in await world.attempts()} == {""}


async def test_the_proxy_is_not_asked_for_what_is_refused(world, receiver, account):
    await world.endpoint(account, "http://inside.test/")
    sender = await world.sender(
        lookup=lambda _host, _port: ["10.0.0.1"], proxy=receiver.url().rstrip("/")
    )
    await world.tell(sender, world.fired(account))
    assert await code_of_first_attempt(world) == "address_refused"
    assert receiver.arrivals == []


async def test_connections_are_used_again(world, receiver, account):
    receiver.paths["/"] = behave.answer(200, b"thanks")
    await world.endpoint(account, receiver.url())
    sender = await world.sender()
    for at in range(5):
        await world.tell(sender, world.fired(account))
        await receiver.wait_for(at + 1)
        await until(lambda: not sender.dispatcher.in_flight)
    await world.settled(5)
    assert receiver.connections < 5


async def test_resolving_has_a_deadline_of_its_own(clock, monkeypatch):
    monkeypatch.setattr(resolving, "DEADLINE", 0.05)
    release = threading.Event()

    def stuck(_host, _port):
        release.wait(10)
        return ["8.8.8.8"]

    resolver = Resolver(AddressPolicy(), clock, stuck)
    with pytest.raises(NameUnknownError):
        await resolver.resolve("slow.test", 443)
    release.set()
    resolver.close()


async def test_an_answer_is_believed_for_a_while_and_then_asked_for_again(clock):
    answers = [["8.8.8.8", "1.1.1.1"], ["9.9.9.9"], ["10.0.0.1"]]
    resolver = Resolver(AddressPolicy(), clock, lambda _host, _port: answers.pop(0))
    assert await resolver.resolve("a.test", 443) == ip_address("8.8.8.8")
    resolver.failed("a.test", 443)
    assert await resolver.resolve("a.test", 443) == ip_address("1.1.1.1")
    clock.advance(31)
    assert await resolver.resolve("a.test", 443) == ip_address("9.9.9.9")
    clock.advance(31)
    with pytest.raises(AddressRefusedError):
        await resolver.resolve("a.test", 443)
    resolver.close()


async def test_creating_looks_where_the_name_points_to(world, account):
    world.endpoints._resolver = Resolver(
        POLICY.addresses, world.clock, lambda _host, _port: ["192.168.0.7"]
    )
    with pytest.raises(AppError) as caught:
        await world.endpoints.check(Settings("https://inside.test/"))
    assert caught.value.reason == "address_refused"
    assert caught.value.violations[0].field == "endpoint.url"
