"""Any SMTP relay (RFC 5321): TLS from the start or by STARTTLS, authentication, connections kept.

SMTP knows no idempotency: a relay that took a mail and could not say so gets it again, under the
same Message-ID. Notifications of failure and delay are asked for where the relay serves them
(RFC 3461), with the delivery named in them.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

import aiosmtplib
from aiosmtplib import SMTP, SMTPException, SMTPResponseException

from libs.clock import Clock
from services.delivery.channels.email import mime
from services.delivery.channels.email.dkim import Signer
from services.delivery.channels.email.mail import Answer, Mail
from services.delivery.domain.email_codes import CODES, Classified, of_reply

NAME = "smtp"
# Seconds that a connection is kept without use: relays commonly end theirs after 60 or more.
_IDLE = 45.0
_RESEND_HOST = "smtp.resend.com"


@dataclass(frozen=True, slots=True)
class Relay:
    """Where and how to reach a relay. `security` is "tls", "starttls" or "none"."""

    host: str
    port: int
    security: str = "starttls"
    user: str = ""
    password: str = ""

    @classmethod
    def parse(cls, text: str, password: str = "") -> Relay:
        """Of smtps://user@host (TLS), smtp://user@host (STARTTLS) or smtp+plain://host (nothing).

        Raises ValueError.
        """
        url = urlsplit(text)
        known = {"smtps": ("tls", 465), "smtp": ("starttls", 587), "smtp+plain": ("none", 25)}
        if url.scheme not in known or not url.hostname or url.path.strip("/"):
            raise ValueError("expected smtps://, smtp:// or smtp+plain://, and user@host:port")
        if url.password:
            raise ValueError("expected the password in the file of its own, not in the URL")
        security, port = known[url.scheme]
        return cls(url.hostname, url.port or port, security, unquote(url.username or ""), password)


class Smtp:
    """Sends through a relay. `bounces` is the envelope's sender, where bounces go."""

    name = NAME

    def __init__(
        self,
        relay: Relay,
        clock: Clock,
        *,
        bounces: str,
        signer: Signer | None = None,
        deadline: float = 15.0,
        connections: int = 4,
        local_name: str | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._relay = relay
        self._clock = clock
        self._bounces = bounces
        self._signer = signer
        self._deadline = deadline
        self._local_name = local_name
        self._tls = tls
        self._free: deque[tuple[SMTP, float]] = deque()
        self._slots = asyncio.Semaphore(connections)

    async def send(self, mail: Mail) -> Answer:
        """See `Provider.send`."""
        data = mime.build(mail)
        if self._relay.host == _RESEND_HOST:
            data = b"Resend-Idempotency-Key: " + mail.key.encode() + b"\r\n" + data
        if self._signer is not None:
            data = self._signer.sign(data, self._clock.now())
        async with self._slots:
            return await self._on_some_connection(mail, data)

    async def close(self) -> None:
        """See `Provider.close`."""
        while self._free:
            self._free.pop()[0].close()

    async def _on_some_connection(self, mail: Mail, data: bytes) -> Answer:
        kept = self._kept()
        if kept is not None:
            answer = await self._transact(kept, mail, data)
            # A kept connection that was closed meanwhile says nothing of the relay.
            if not (answer.certain and answer.refusal and _is_broken(answer.refusal)):
                return answer
        try:
            opened = await self._open()
        except (SMTPException, OSError) as error:
            return _not_reached(error)
        return await self._transact(opened, mail, data)

    def _kept(self) -> SMTP | None:
        while self._free:
            connection, used = self._free.pop()
            if connection.is_connected and self._clock.monotonic() - used < _IDLE:
                return connection
            connection.close()
        return None

    async def _open(self) -> SMTP:
        relay = self._relay
        connection = SMTP(
            hostname=relay.host,
            port=relay.port,
            timeout=self._deadline,
            local_hostname=self._local_name,
            use_tls=relay.security == "tls",
            start_tls=relay.security == "starttls",
            username=relay.user or None,
            password=relay.password or None,
            tls_context=self._tls or ssl.create_default_context(),
        )
        try:
            await connection.connect()
            if connection.is_ehlo_or_helo_needed:
                await connection.ehlo()  # what it serves is asked for next
        except BaseException:
            connection.close()
            raise
        return connection

    async def _transact(self, connection: SMTP, mail: Mail, data: bytes) -> Answer:
        """One mail on an open connection, which is kept if it stays whole."""
        handed_over = False
        try:
            async with asyncio.timeout(self._deadline):
                dsn = connection.supports_extension("dsn")
                options = [f"SIZE={len(data)}"] if connection.supports_extension("size") else []
                if dsn:
                    options += ["RET=HDRS", f"ENVID={mail.reference}"]
                wanted = ["NOTIFY=FAILURE,DELAY", f"ORCPT=rfc822;{_xtext(mail.recipient)}"]
                await connection.mail(self._bounces, options=options)
                await connection.rcpt(mail.recipient, options=wanted if dsn else [])
                handed_over = True
                response = await connection.data(data)
        except SMTPResponseException as error:
            await self._keep_after_refusal(connection)
            return _refused(of_reply(error.code, None, error.message))
        except (SMTPException, OSError) as error:  # a timeout is an OSError
            connection.close()
            return _broken(error, certain=not handed_over)
        except BaseException:
            connection.close()
            raise
        self._free.append((connection, self._clock.monotonic()))
        return Answer(
            provider_id=response.message[:200],
            reply_code=response.code,
            remote_address=_address(connection),
            text=response.message[:500],
        )

    async def _keep_after_refusal(self, connection: SMTP) -> None:
        try:
            await connection.rset(timeout=2.0)
        except (SMTPException, OSError):
            connection.close()
        else:
            self._free.append((connection, self._clock.monotonic()))


def _address(connection: SMTP) -> str:
    peer = connection.get_transport_info("peername")
    return str(peer[0]) if peer else ""


def _xtext(text: str) -> str:
    """RFC 3461 §4: printable ASCII, "+" and "=" and what is no letter as "+" and two hex digits."""
    return "".join(c if "!" <= c <= "~" and c not in "+=" else f"+{ord(c):02X}" for c in text)


def _refused(said: Classified) -> Answer:
    return Answer(refusal=said, reply_code=said.reply_code, text=said.text)


def _is_broken(said: Classified) -> bool:
    return said.reply_code == 0


def _broken(error: Exception, *, certain: bool) -> Answer:
    code = "email_provider_timeout" if isinstance(error, TimeoutError) else _UNREACHABLE
    text = type(error).__name__
    return Answer(refusal=Classified(CODES[code], 0, "", text), certain=certain, text=text)


def _not_reached(error: Exception) -> Answer:
    if isinstance(error, SMTPResponseException):
        return _refused(of_reply(error.code, None, error.message))
    # A relay that offers no STARTTLS is told of by the bare class.
    code = "email_provider_tls_failed" if type(error) is SMTPException else _UNREACHABLE
    for kind, name in _KINDS:
        if isinstance(error, kind) or isinstance(error.__cause__, kind):
            code = name
            break
    text = f"{type(error).__name__}: {error}"[:500]
    return Answer(refusal=Classified(CODES[code], 0, "", text), text=text)


_UNREACHABLE = "email_provider_unreachable"
_KINDS: tuple[tuple[type[BaseException], str], ...] = (
    (ssl.SSLError, "email_provider_tls_failed"),
    (TimeoutError, "email_provider_timeout"),
    (aiosmtplib.SMTPNotSupported, "email_provider_tls_failed"),
)
