"""Resend's HTTP API: https://resend.com/docs/api-reference/emails/send-email."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import NetworkError, RequestError, RequestTimeoutError
from pyreqwest.response import Response

from libs.clock import Clock
from services.delivery.channels.email.mail import Answer, Mail
from services.delivery.domain.email_codes import CODES, Classified, of_provider
from services.delivery.domain.schedule import parse_retry_after

NAME = "resend"
URL = "https://api.resend.com"
USER_AGENT = "pq-email/1"
_TLS_WORDS = ("certificate", "tls", "ssl", "handshake")
# The key was used for another rendering of this very delivery: the first one went out.
_SENT_BEFORE = "email_idempotency_conflict"


class Resend:
    """Sends through Resend. Its idempotency key is the delivery's id, kept there for 24 hours.

    `root` is one more certificate to trust, in PEM; `deadline` is in seconds.
    """

    name = NAME

    def __init__(
        self, key: str, clock: Clock, *, url: str = URL, deadline: float = 15.0, root: bytes = b""
    ) -> None:
        self._clock = clock
        self._url = url.rstrip("/")
        self._deadline = timedelta(seconds=deadline)
        self._headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
        self._root = root
        self._client: Client | None = None

    async def send(self, mail: Mail) -> Answer:
        """See `Provider.send`."""
        request = (
            self._open()
            .post(f"{self._url}/emails")
            .timeout(self._deadline)
            .headers({**self._headers, "idempotency-key": mail.key})
            .body_bytes(json.dumps(payload(mail)).encode())
            .build()
        )
        try:
            response = await request.send()
            return self._read(response, bytes(await response.bytes()))
        except RequestTimeoutError as error:
            return _failed("email_provider_timeout", error, certain=False)
        except NetworkError as error:
            return _broken(error)
        except RequestError as error:
            return _failed("email_provider_unreachable", error, certain=False)

    async def close(self) -> None:
        """See `Provider.close`."""
        if self._client is not None:
            await self._client.close()

    def _open(self) -> Client:
        if self._client is None:
            builder = ClientBuilder().user_agent(USER_AGENT).follow_redirects(enable=False)
            builder = builder.referer(enable=False).min_tls_version("TLSv1.2")
            if self._root:
                builder = builder.add_root_certificate_pem(self._root)
            self._client = builder.build()
        return self._client

    def _read(self, response: Response, body: bytes) -> Answer:
        status = response.status
        if 200 <= status < 300:
            return Answer(provider_id=_id(body), reply_code=status, text="")
        said = of_provider(NAME, status, body)
        if said.code.name == _SENT_BEFORE:
            return Answer(reply_code=status, text=said.text)
        return Answer(
            refusal=said,
            # Behind a 5xx the mail may have been taken; a key makes asking again harmless.
            certain=status < 500 and said.code.name != "email_request_in_flight",
            reply_code=status,
            retry_after=parse_retry_after(response.get_header("retry-after"), self._clock.now()),
            text=said.text,
        )


def payload(mail: Mail) -> dict[str, Any]:
    """The body of the request; the same for the same mail, as the key asks for."""
    made: dict[str, Any] = {
        "from": mail.sender.header,
        "to": [mail.recipient],
        "subject": mail.subject,
        "text": mail.text,
        "html": mail.html,
        "headers": {"Message-ID": mail.message_id, **mail.headers},
        # Letters, digits, "-" and "_" alone are taken.
        "tags": [{"name": "delivery", "value": mail.reference.replace(".", "-")}],
    }
    if mail.sender.reply_to:
        made["reply_to"] = mail.sender.reply_to
    return made


def _id(body: bytes) -> str:
    try:
        found = json.loads(body)
    except ValueError:
        return ""
    id = found.get("id") if isinstance(found, dict) else None
    return id[:100] if isinstance(id, str) else ""


def _broken(error: NetworkError) -> Answer:
    """The first cause names the URL; the next says in which phase it failed."""
    told = " ".join(cause["message"] for cause in (error.details["causes"] or [])[1:]).lower()
    if "(connect)" not in told:
        return _failed("email_provider_unreachable", error, certain=False)
    tls = any(word in told for word in _TLS_WORDS)
    return _failed("email_provider_tls_failed" if tls else "email_provider_unreachable", error)


def _failed(code: str, error: Exception, *, certain: bool = True) -> Answer:
    text = type(error).__name__
    return Answer(refusal=Classified(CODES[code], 0, "", text), certain=certain, text=text)
