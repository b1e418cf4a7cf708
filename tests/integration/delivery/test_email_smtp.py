"""SMTP against a real server on loopback, and Resend's API against one that speaks it."""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default

import pytest
from aiosmtpd.smtp import AuthResult

from libs.testing.clock import FakeClock
from pq.delivery.v1.emails_events_pb2 import EmailProviderBreakerChanged
from services.delivery.channels.email.choose import BREAKER_OPEN, RATE_LIMITED, Choice, Route, learn
from services.delivery.channels.email.health import POLICY, Health
from services.delivery.channels.email.limits import Pace
from services.delivery.channels.email.mail import Answer, Mail, Sender
from services.delivery.channels.email.resend import Resend
from services.delivery.channels.email.sink import Sink, html_of
from services.delivery.channels.email.smtp import Relay as Target
from services.delivery.channels.email.smtp import Smtp
from services.delivery.domain.email_codes import CODES, Classified
from tests.integration.delivery.email_world import MailApi, Relay
from tests.integration.delivery.receiver import Receiver, drop, hang

NOW = datetime(2026, 11, 23, 7, 30, tzinfo=UTC)
REFERENCE = "msg_01j00000000000000000000001.eml_01j00000000000000000000002"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW)


def mail(number: int = 1) -> Mail:
    return Mail(
        reference=REFERENCE,
        key=f"dlv_{number}",
        sender=Sender("pq alerts", "alerts@pq.example.com"),
        recipient="ann+x@example.com",
        subject="Grüße",
        text="hello\n.\n",
        html="<p>hello</p>",
        message_id=f"<{number}@pq.example.com>",
        date=NOW,
    )


def smtp(relay: Relay, clock: FakeClock, **options) -> Smtp:
    target = options.pop("target", None) or Target("127.0.0.1", relay.port, "none")
    return Smtp(target, clock, bounces="bounces@pq.example.com", local_name="pq", **options)


async def test_a_mail_goes_out_once_with_its_notifications_asked_for(clock):
    async with Relay() as relay:
        sender = smtp(relay, clock)
        answer = await sender.send(mail())
        await sender.close()
    assert answer.refusal is None
    assert answer.reply_code == 250
    assert "4711" in answer.provider_id
    [envelope] = relay.envelopes
    assert envelope.mail_from == "bounces@pq.example.com"
    assert envelope.rcpt_tos == ["ann+x@example.com"]
    assert f"ENVID={REFERENCE}" in envelope.mail_options
    assert envelope.rcpt_options == ["NOTIFY=FAILURE,DELAY", "ORCPT=rfc822;ann+2Bx@example.com"]
    message = message_from_bytes(envelope.content, policy=default)
    assert message["Message-ID"] == "<1@pq.example.com>"
    assert message.get_body(("plain",)).get_content().split() == ["hello", "."]


async def test_one_connection_carries_many_mails(clock):
    async with Relay() as relay:
        sender = smtp(relay, clock)
        for number in range(5):
            assert (await sender.send(mail(number))).refusal is None
        assert len(relay.sessions) == 1
        clock.advance(60.0)  # longer than relays keep theirs
        assert (await sender.send(mail(9))).refusal is None
        assert len(relay.sessions) == 2
        await asyncio.gather(*(sender.send(mail(n)) for n in range(10, 30)))
        assert len(relay.sessions) <= 2 + 4
        await sender.close()


async def test_a_connection_that_was_closed_meanwhile_is_made_anew(clock):
    async with Relay() as first:
        sender = smtp(first, clock)
        await sender.send(mail(1))
        connection = sender._free[0][0]
        connection.transport.abort()
        assert (await sender.send(mail(2))).refusal is None
        assert len(first.envelopes) == 2
        await sender.close()


REPLIES = [
    ("rcpt", "550 5.1.1 no such user here", "email_invalid_recipient"),
    ("rcpt", "452 4.2.2 mailbox full", "email_mailbox_full"),
    ("data", "554 5.7.1 message looks like spam", "email_spam_rejected"),
    ("data", "421 4.7.0 try again later, too many connections", "email_too_many_connections"),
]


@pytest.mark.parametrize(("verb", "reply", "code"), REPLIES)
async def test_a_refusal_is_certain_and_named(clock, verb, reply, code):
    async with Relay() as relay:
        getattr(relay, verb).append(reply)
        sender = smtp(relay, clock)
        answer = await sender.send(mail())
        assert answer.refusal.code.name == code
        assert answer.certain
        assert (await sender.send(mail())).refusal is None
        await sender.close()


async def test_a_relay_that_is_not_there(clock):
    async with Relay() as relay:
        port = relay.port
    sender = Smtp(Target("127.0.0.1", port, "none"), clock, bounces="b@pq.example.com")
    answer = await sender.send(mail())
    assert answer.refusal.code.name == "email_provider_unreachable"
    assert answer.certain


async def test_a_relay_that_says_nothing_after_the_mail_may_have_taken_it(clock):
    class Silent(Relay):
        async def handle_DATA(self, server, session, envelope):  # noqa: N802
            self.envelopes.append(envelope)
            await asyncio.sleep(3600)

    async with Silent() as relay:
        sender = smtp(relay, clock, deadline=0.3)
        answer = await sender.send(mail())
        assert answer.refusal.code.name == "email_provider_timeout"
        assert not answer.certain
        await sender.close()


async def test_starttls_is_not_given_up(clock):
    """A relay that does not offer it gets neither password nor mail."""
    async with Relay() as relay:
        target = Target("127.0.0.1", relay.port, "starttls", "ann", "secret")
        answer = await smtp(relay, clock, target=target).send(mail())
        assert answer.refusal.code.name == "email_provider_tls_failed"
        assert answer.certain
        assert relay.envelopes == []


async def test_starttls_and_a_password(clock, certificate):
    seen = []

    def authenticate(server, session, envelope, mechanism, data):
        seen.append((data.login, data.password))
        return AuthResult(success=data.password == b"right", handled=False)

    options = {
        "tls_context": certificate.server,
        "authenticator": authenticate,
        "auth_required": True,
        "auth_exclude_mechanism": ["LOGIN"],
    }
    async with Relay(**options) as relay:
        for password, code in (("right", None), ("wrong", "email_credentials_invalid")):
            target = Target("localhost", relay.port, "starttls", "ann", password)
            sender = smtp(relay, clock, target=target, tls=certificate.client)
            answer = await sender.send(mail())
            assert (answer.refusal.code.name if answer.refusal else None) == code
            await sender.close()
        # The system's own certificates do not vouch for it.
        untrusted = smtp(relay, clock, target=Target("localhost", relay.port, "starttls"))
        assert (await untrusted.send(mail())).refusal.code.name == "email_provider_tls_failed"
    assert seen == [(b"ann", b"right"), (b"ann", b"wrong")]


@pytest.mark.parametrize(
    ("text", "host", "port", "security"),
    [
        ("smtps://u%40x@relay.example.com", "relay.example.com", 465, "tls"),
        ("smtp://relay.example.com:2525", "relay.example.com", 2525, "starttls"),
        ("smtp+plain://127.0.0.1", "127.0.0.1", 25, "none"),
    ],
)
def test_relays_are_read(text, host, port, security):
    relay = Target.parse(text)
    assert (relay.host, relay.port, relay.security) == (host, port, security)
    assert relay.user in ("", "u@x")


@pytest.mark.parametrize("text", ["", "relay", "http://relay", "smtp://", "smtp://u:p@relay"])
def test_what_is_no_relay(text):
    with pytest.raises(ValueError, match="expected"):
        Target.parse(text)


# Resend.


async def test_resends_answers(clock, receiver: Receiver):
    api = MailApi(receiver)
    provider = Resend("re_key", clock, url=receiver.url("").rstrip("/"), deadline=0.5)
    cases = [
        (lambda: api.refuses(429, "rate_limit_exceeded", retry_after="7"), "rate", True, 7.0),
        (lambda: api.refuses(401, "missing_api_key"), "configuration", True, None),
        (lambda: api.refuses(500, "internal_server_error"), "retry", False, None),
        (lambda: api.refuses(409, "concurrent_idempotent_requests"), "retry", False, None),
        (lambda: api.answers.append(drop), "retry", False, None),
        (lambda: api.answers.append(hang), "retry", False, None),
    ]
    for prepare, kind, certain, after in cases:
        prepare()
        answer = await provider.send(mail())
        assert (answer.refusal.code.kind, answer.certain, answer.retry_after) == (
            kind,
            certain,
            after,
        )
    assert (await provider.send(mail())).provider_id == "re_0"
    # Another rendering of the same delivery, by the next version of us: the first one went out.
    changed = Mail(**{f: getattr(mail(), f) for f in Mail.__slots__} | {"subject": "new"})
    assert (await provider.send(changed)).refusal is None
    assert len(api.taken) == 1
    assert api.asked[-1].headers["authorization"] == "Bearer re_key"
    await provider.close()


async def test_an_api_that_is_not_there_has_certainly_not_taken_it(clock):
    async with Receiver() as gone:
        url = gone.url("").rstrip("/")
    answer = await Resend("k", clock, url=url).send(mail())
    assert (answer.refusal.code.name, answer.certain) == ("email_provider_unreachable", True)


# The sink.


async def test_the_sink_keeps_what_would_have_gone_out(tmp_path):
    sink = Sink(tmp_path / "mail")
    assert sink.page("", 10) == []
    for _ in range(2):
        assert (await sink.send(mail())).refusal is None
    [caught] = sink.page("", 10)
    assert (caught.id, caught.recipient, caught.subject, caught.create_time) == (
        REFERENCE,
        "ann+x@example.com",
        "Grüße",
        NOW,
    )
    assert html_of(sink.read(REFERENCE)).strip() == "<p>hello</p>"
    assert sink.page(REFERENCE, 10) == []
    (tmp_path / "secret.eml").write_text("x")
    for other in ("", "../secret", f"../mail/{REFERENCE}", f"{REFERENCE}/x", "\x00"):
        assert sink.read(other) is None


# Which provider is asked.


class _Named:
    def __init__(self, name: str) -> None:
        self.name = name


def refusal(code: str) -> Answer:
    return Answer(refusal=Classified(CODES[code], 0, "", ""))


def health(world, clock, name="p"):
    return Health(name, world.db, clock)


def route_of(breaker, clock, rate=1000.0, name="p"):
    return Route(_Named(name), Pace(rate, clock), breaker)


async def next_route(*routes):
    return await Choice(routes).next_route()


async def test_a_provider_that_fails_is_left_alone_longer_each_time(world, clock):
    route = route_of(health(world, clock), clock)
    for _ in range(POLICY.minimum):
        assert await next_route(route) is route
        await learn(route, refusal("email_provider_unavailable"))
    choice = Choice([route])
    assert await choice.next_route() is None
    assert (choice.blocked.reason, choice.blocked.seconds) == (BREAKER_OPEN, POLICY.first)
    clock.advance(POLICY.first)
    assert await next_route(route) is route
    assert await next_route(route) is None  # one probe at a time
    await learn(route, refusal("email_provider_timeout"))
    assert await route.breaker.wait() == pytest.approx(2 * POLICY.first)
    clock.advance(2 * POLICY.first)
    assert await next_route(route) is route
    await learn(route, Answer())
    assert await route.breaker.wait() == 0.0
    told = await world.events(EmailProviderBreakerChanged)
    assert [(one.provider, one.transition, one.open_count) for one in told] == [
        ("p", "open", 1),
        ("p", "reopen", 2),
        ("p", "close", 2),
    ]


async def test_processes_share_a_providers_breaker_and_it_outlives_them(world, clock):
    first, second = (route_of(health(world, clock), clock) for _ in range(2))
    assert await next_route(second) is second
    for _ in range(POLICY.minimum):
        await learn(first, refusal("email_provider_unavailable"))
    clock.advance(1.5)
    assert await next_route(second) is None
    restarted = route_of(health(world, clock), clock)
    assert await next_route(restarted) is None
    clock.advance(POLICY.first)
    probes = await asyncio.gather(*(next_route(r) for r in (first, second, restarted)))
    assert len([probe for probe in probes if probe is not None]) == 1
    clock.advance(31)  # whoever probed died
    assert await next_route(restarted) is restarted


async def test_what_is_wrong_with_a_recipient_opens_no_breaker(world, clock):
    route = route_of(health(world, clock), clock)
    for _ in range(3 * POLICY.minimum):
        await learn(route, refusal("email_invalid_recipient"))
    assert await next_route(route) is route
    assert not await world.db.fetchval("select count(*) from provider_breakers")


async def test_the_second_choice_is_taken_when_the_first_is_used_up(world, clock):
    first, second = (
        route_of(health(world, clock, name), clock, rate, name)
        for name, rate in (("first", 2.0), ("second", 1.0))
    )
    order = [await next_route(first, second) for _ in range(4)]
    assert order == [first, first, second, None]
    choice = Choice([first, second])
    assert await choice.next_route() is None
    assert choice.blocked.reason == RATE_LIMITED
    waits = [first.pace.take() for _ in range(3)]
    assert waits == sorted(waits)
    assert len(set(waits)) == 3
    clock.advance(0.5)
    assert await next_route(first, second) is first


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    from dataclasses import make_dataclass
    from datetime import timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, SHA256())
    )
    folder = tmp_path_factory.mktemp("tls")
    pem = made.public_bytes(Encoding.PEM)
    (folder / "chain.pem").write_bytes(
        pem + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "chain.pem")
    client = ssl.create_default_context(cadata=pem.decode())
    return make_dataclass("Certificate", ["server", "client"])(server, client)
