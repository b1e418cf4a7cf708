"""Resend's HTTP API: https://resend.com/docs/api-reference/emails/send-email."""

from __future__ import annotations

import json
from dataclasses import replace
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
        answer, body = await self._post("/emails", mail.key, json.dumps(payload(mail)).encode())
        return replace(answer, provider_id=_id(_document(body))) if body else answer

    async def send_batch(self, key: str, body: bytes) -> tuple[Answer, list[str]]:
        """Hands a list of `payload` over, at most 100; all are taken or none. Answers their ids."""
        answer, said = await self._post("/emails/batch", key, body)
        entries = _document(said).get("data")
        return answer, [_id(entry) for entry in entries] if isinstance(entries, list) else []

    async def _post(self, path: str, key: str, body: bytes) -> tuple[Answer, bytes]:
        """The answer, and the body of one that took it."""
        request = (
            self._open()
            .post(f"{self._url}{path}")
            .timeout(self._deadline)
            .headers({**self._headers, "idempotency-key": key})
            .body_bytes(body)
            .build()
        )
        try:
            response = await request.send()
            said = bytes(await response.bytes())
        except RequestTimeoutError as error:
            return _failed("email_provider_timeout", error, certain=False), b""
        except NetworkError as error:
            return _broken(error), b""
        except RequestError as error:
            return _failed("email_provider_unreachable", error, certain=False), b""
        answer = self._read(response, said)
        return answer, said if answer.refusal is None else b""

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
            return Answer(reply_code=status)
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


def _document(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _id(entry: object) -> str:
    id = entry.get("id") if isinstance(entry, dict) else None
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
