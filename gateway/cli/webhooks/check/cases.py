"""What a receiver is sent, and how a right one answers: a table.

Signatures are made by the independent package standardwebhooks, as `pq listen` checks them with.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import orjson
from standardwebhooks import Webhook

# What a message of pq may be at most.
LARGEST = 256 * 1024
# Well past the five minutes that Standard Webhooks allows clocks to differ.
_LONG = timedelta(hours=1)
ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"


class Expected(StrEnum):
    """How a right receiver answers."""

    ACCEPT = "2xx"
    REJECT = "4xx"


@dataclass(frozen=True, slots=True)
class Post:
    """One request to make."""

    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Case:
    """Some requests, each to be answered as `expected`; `wrong` says what it means where one is
    not, and `advice` what to do."""

    name: str
    expected: Expected
    make: Callable[[Sender], list[Post]]
    wrong: str
    advice: str


@dataclass(frozen=True, slots=True)
class Sender:
    """Makes deliveries. `random` makes so many bytes."""

    secret: str
    event_type: str
    now: datetime
    random: Callable[[int], bytes]

    def post(
        self,
        *,
        body: bytes | None = None,
        id: str = "",
        at: datetime | None = None,
        signed_with: Sequence[str] = (),
    ) -> Post:
        """A delivery signed with the secret, or with others; a new one unless `id` says which."""
        body = self.body() if body is None else body
        id, at = id or self.id(), at or self.now
        signatures = [
            Webhook(secret).sign(id, at, body.decode()) for secret in signed_with or [self.secret]
        ]
        headers = {
            "content-type": "application/json",
            ID: id,
            TIMESTAMP: str(int(at.timestamp())),
            SIGNATURE: " ".join(signatures),
        }
        return Post(headers, body)

    def id(self) -> str:
        """One that was not there before."""
        return "msg_check" + base64.b32encode(self.random(10)).decode().lower()

    def body(self, event_type: str = "", **more: object) -> bytes:
        """A body as receivers get it."""
        moment = self.now.isoformat(timespec="seconds").replace("+00:00", "Z")
        data = {"check": True, "reason": "sent by pq webhook check", **more}
        return orjson.dumps(
            {"type": event_type or self.event_type, "timestamp": moment, "data": data}
        )

    def another_secret(self) -> str:
        """Nobody's."""
        return "whsec_" + base64.b64encode(self.random(32)).decode()


def _with(post: Post, **changed: str | None) -> Post:
    """The post with headers changed, or taken away."""
    headers = dict(post.headers)
    for name, value in changed.items():
        name = name.replace("_", "-")
        if value is None:
            del headers[name]
        else:
            headers[name] = value
    return Post(headers, post.body)


def _rotated(sender: Sender) -> list[Post]:
    other = sender.another_secret()
    return [
        sender.post(signed_with=secrets)
        for secrets in ([other, sender.secret], [sender.secret, other])
    ]


def _other_kinds(sender: Sender) -> list[Post]:
    post = sender.post()
    ed25519 = base64.b64encode(sender.random(64)).decode()
    return [_with(post, webhook_signature=f"v1a,{ed25519} v9,?? {post.headers[SIGNATURE]}")]


def _raw(sender: Sender) -> list[Post]:
    """JSON as no serialiser would write it."""
    shaped = sender.body(note="Pokémon ♀ \u2028").replace(b":", b" :  ").replace(b"}", b"\n}")
    return [sender.post(body=shaped.replace(b'" :  "', b'":\t"', 1))]


def _tampered(sender: Sender) -> list[Post]:
    post = sender.post()
    return [
        Post(post.headers, post.body.replace(b"true", b"false")),
        _with(post, webhook_id=sender.id()),
    ]


def _missing(sender: Sender) -> list[Post]:
    post = sender.post()
    return [_with(post, **{name: None}) for name in (ID, TIMESTAMP, SIGNATURE)]


def _malformed(sender: Sender) -> list[Post]:
    post = sender.post()
    return [_with(post, webhook_signature=text) for text in ("v1,", "v1", "v1,!!!", ",")] + [
        _with(post, webhook_timestamp=text) for text in ("yesterday", "1e400")
    ]


def _replayed(sender: Sender) -> list[Post]:
    """Recorded an hour ago, sent again with the time of now."""
    old = sender.post(at=sender.now - _LONG)
    return [_with(old, webhook_timestamp=str(int(sender.now.timestamp())))]


def _twice(sender: Sender) -> list[Post]:
    id, body = sender.id(), sender.body()
    later = sender.now + timedelta(seconds=1)
    return [sender.post(id=id, body=body), sender.post(id=id, body=body, at=later)]


_VERIFY = "verify with a library of standardwebhooks.com, and answer 400 or 401 where it raises"
CASES = (
    Case(
        "good_signature",
        Expected.ACCEPT,
        lambda sender: [sender.post()],
        "it refuses what is signed with its secret",
        "check that it has this endpoint's secret, and that it signs the raw body",
    ),
    Case(
        "bad_signature",
        Expected.REJECT,
        lambda sender: [sender.post(signed_with=[sender.another_secret()])],
        "it takes what is signed with another secret: anybody can send it events",
        _VERIFY,
    ),
    Case(
        "tampered",
        Expected.REJECT,
        _tampered,
        "it takes a body, or an id, that was changed after it was signed",
        "sign id.timestamp.body, all three as they came",
    ),
    Case(
        "old_timestamp",
        Expected.REJECT,
        lambda sender: [sender.post(at=sender.now - _LONG)],
        "it takes what was signed an hour ago: who recorded a delivery can send it again",
        "refuse timestamps that differ from its clock by more than five minutes",
    ),
    Case(
        "future_timestamp",
        Expected.REJECT,
        lambda sender: [sender.post(at=sender.now + _LONG)],
        "it takes what was signed for an hour from now",
        "refuse timestamps that differ from its clock by more than five minutes",
    ),
    Case(
        "replay",
        Expected.REJECT,
        _replayed,
        "it takes an old delivery under a new timestamp: the timestamp is not in what it signs",
        "sign id.timestamp.body, all three as they came",
    ),
    Case(
        "rotated_secret",
        Expected.ACCEPT,
        _rotated,
        "it refuses a delivery with two signatures, as each is while a secret is rotated",
        "split the header at spaces, and take any signature that is right",
    ),
    Case(
        "other_signature_kinds",
        Expected.ACCEPT,
        _other_kinds,
        "it stumbles over kinds of signature that it does not know, such as v1a",
        "skip those that do not begin with v1,",
    ),
    Case(
        "missing_headers",
        Expected.REJECT,
        _missing,
        "it does not refuse a delivery without all three webhook- headers with 4xx",
        "a delivery without webhook-id, webhook-timestamp or webhook-signature is none of ours",
    ),
    Case(
        "malformed_headers",
        Expected.REJECT,
        _malformed,
        "headers that make no sense are not refused with 4xx",
        "a stranger's rubbish is no fault of the server: answer 400, not 500",
    ),
    Case(
        "raw_body",
        Expected.ACCEPT,
        _raw,
        "it refuses a body that is spaced unusually: it signs what its JSON parser makes of it",
        "verify the bytes as they came, before they are parsed",
    ),
    Case(
        "unknown_event",
        Expected.ACCEPT,
        lambda sender: [sender.post(body=sender.body("check.unknown"))],
        "it fails at a type of event that it does not know: each will be sent again for days",
        "answer 2xx to what it has no use for",
    ),
    Case(
        "unknown_field",
        Expected.ACCEPT,
        lambda sender: [sender.post(body=sender.body(fieldOfTomorrow={"a": [None]}))],
        "it fails at a field that it does not know: fields are added without notice",
        "ignore fields it has no use for",
    ),
    Case(
        "large_body",
        Expected.ACCEPT,
        lambda sender: [sender.post(body=sender.body(note="x" * (LARGEST - 200)))],
        "it refuses a body of 256 KiB, the largest that there is",
        "raise the limit of its server, or of what stands before it",
    ),
    Case(
        "duplicate_id",
        Expected.ACCEPT,
        _twice,
        "it does not answer 2xx to a delivery that it had before: it will come again and again",
        "remember ids it has handled, do nothing for one it knows, and answer 2xx",
    ),
)
