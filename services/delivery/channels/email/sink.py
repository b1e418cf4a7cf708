"""The development sink: e-mail becomes a file to look at, and goes nowhere else."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from email.utils import parsedate_to_datetime
from pathlib import Path

from services.delivery.channels.email import mime
from services.delivery.channels.email.mail import Answer, Mail, read_reference

NAME = "sink"
_SUFFIX = ".eml"


@dataclass(frozen=True, slots=True)
class Caught:
    """A message in the sink; `id` is its file's name without the ending."""

    id: str
    recipient: str
    subject: str
    create_time: datetime


class Sink:
    """Writes an .eml file an e-mail; the same e-mail again writes the same file."""

    name = NAME

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def send(self, mail: Mail) -> Answer:
        """See `Provider.send`."""
        await asyncio.to_thread(self._write, mail)
        return Answer(provider_id=mail.reference)

    async def close(self) -> None:
        """See `Provider.close`."""

    def page(self, before: str, limit: int) -> list[Caught]:
        """At most `limit` messages, newest first, those older than the id `before`."""
        names = (path.stem for path in self._folder.glob(f"*{_SUFFIX}"))
        ids = sorted((name for name in names if not before or name < before), reverse=True)
        return [_caught(id, self._path(id).read_bytes()) for id in ids[:limit]]

    def read(self, id: str) -> bytes | None:
        """A message as it would have gone out; None where there is none."""
        path = self._path(id)
        # The id is somebody's text: it names a file in this folder or none.
        if read_reference(id) is None or path.parent != self._folder or not path.is_file():
            return None
        return path.read_bytes()

    def _path(self, id: str) -> Path:
        return self._folder / f"{id}{_SUFFIX}"

    def _write(self, mail: Mail) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._path(mail.reference)
        aside = path.with_suffix(".new")
        aside.write_bytes(mime.build(mail))
        aside.replace(path)


def html_of(data: bytes) -> str:
    """The HTML part of a message; "" where it has none."""
    part = _parse(data).get_body(preferencelist=("html",))
    return str(part.get_content()) if part is not None else ""


def _parse(data: bytes) -> EmailMessage:
    return message_from_bytes(data, policy=default)


def _caught(id: str, data: bytes) -> Caught:
    message = _parse(data)
    date = message["Date"]
    made = parsedate_to_datetime(str(date)) if date else datetime(1970, 1, 1, tzinfo=UTC)
    return Caught(id, str(message["To"]), str(message["Subject"]), made)
