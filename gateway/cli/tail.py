"""`pq tail`: events of the log as they come, read as a broadcast: nobody's position moves."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from gateway.cli.exits import CliError, Exit
from gateway.cli.output import Output
from libs.events.catalog import DLQ, Catalog
from libs.events.engines import open_log
from libs.events.log import Log, LogUnavailableError, OutOfRangeError, Reader
from libs.events.record import Partition, Stored

if TYPE_CHECKING:
    from google.protobuf.message import Message

POLL_SECONDS = 1.0
RETRY_SECONDS = 1.0


def choose_topics(catalog: Catalog, words: Sequence[str]) -> list[str]:
    """The topics that `words` name, in full or in part; all but the dead letters' without words.

    Dead letter topics are found by a word with "dlq" in it. Raises CliError for a word that names
    none.
    """
    if not words:
        return sorted(topic for topic in catalog.topics if not topic.endswith(DLQ))
    chosen: set[str] = set()
    for word in words:
        dead = "dlq" in word
        found = {t for t in catalog.topics if word in t and (dead or not t.endswith(DLQ))}
        if not found:
            known = ", ".join(t for t in sorted(catalog.topics) if not t.endswith(DLQ))
            raise CliError(Exit.USAGE, "no_such_topic", f"no topic has {word!r} in it", known)
        chosen |= {word} if word in found else found
    return sorted(chosen)


class Decoder:
    """Events as JSON documents, by the contracts."""

    def __init__(self, catalog: Catalog) -> None:
        self._messages: dict[str, type[Message]] = {s.type: s.message for s in catalog.specs}

    def document(self, stored: Stored) -> dict[str, Any]:
        """An event with what the log knows of it; bytes in base64 where the type is unknown."""
        record = stored.record
        document: dict[str, Any] = {
            "topic": record.topic,
            "partition": record.partition,
            "offset": stored.offset,
            "key": record.key,
            "id": str(record.id),
            "type": record.type,
            "time": record.time.isoformat().replace("+00:00", "Z"),
            "source": record.source,
            "headers": dict(record.headers),
        }
        return document | self._payload(record.type, record.payload)

    def _payload(self, type: str, payload: bytes) -> dict[str, Any]:
        from google.protobuf.json_format import MessageToDict
        from google.protobuf.message import DecodeError

        message = self._messages.get(type)
        if message is not None:
            try:
                parsed = message.FromString(payload)
                # As the gateway prints it: 0 and "" are values, only what has presence is left out.
                return {"data": MessageToDict(parsed, always_print_fields_with_no_presence=True)}
            except DecodeError:
                pass
        return {"data_base64": base64.b64encode(payload).decode()}


class Tail:
    """Reads topics to whoever looks on. `limit` events at most; without `follow` up to the end."""

    def __init__(
        self, output: Output, log: Log, *, key: str | None, limit: int | None, follow: bool
    ) -> None:
        self._output = output
        self._log = log
        self._decoder = Decoder(log.catalog)
        self._key = key
        self._left = limit
        self._follow = follow

    async def run(self, topics: Sequence[str], *, from_beginning: bool) -> Exit:
        """Until the limit, the end, or for ever. Raises CliError where the log is not there."""
        try:
            reader = await self._log.read(topics)
            ranges = await self._log.ranges(topics)
        except LogUnavailableError as error:
            raise _away(error) from None
        ends = {partition: found.end for partition, found in ranges.items()}
        starts = {p: found.begin for p, found in ranges.items()} if from_beginning else dict(ends)
        for partition, offset in starts.items():
            reader.seek(partition, offset)
        try:
            await self._read(reader, starts, ends)
        finally:
            await reader.close()
        return Exit.OK

    async def _read(
        self, reader: Reader, at: dict[Partition, int], ends: dict[Partition, int]
    ) -> None:
        while self._left != 0 and (self._follow or any(at[p] < ends[p] for p in at)):
            try:
                found = await reader.poll(POLL_SECONDS)
            except LogUnavailableError as error:
                self._output.note(f"the log is away, waiting for it: {error}")
                await asyncio.sleep(RETRY_SECONDS)
                continue
            except OutOfRangeError as error:
                begin = (await self._log.ranges([error.partition.topic]))[error.partition].begin
                self._output.note(f"{error}; going on from {begin}")
                reader.seek(error.partition, begin)
                at[error.partition] = begin
                continue
            at |= {partition: fetched.next for partition, fetched in found.items()}
            self._show(stored for fetched in found.values() for stored in fetched.records)

    def _show(self, events: Iterable[Stored]) -> None:
        for stored in sorted(events, key=lambda s: (s.record.time, s.offset)):
            if self._left == 0:
                return
            if self._key is not None and stored.record.key != self._key:
                continue
            document = self._decoder.document(stored)
            self._output.line(document)
            if not self._output.json:
                self._output.say(_text(document, self._output.out.width))
            if self._left is not None:
                self._left -= 1


def _text(document: dict[str, Any], width: int) -> Any:
    import orjson
    from rich.text import Text

    place = f"{document['topic']}/{document['partition']}@{document['offset']}"
    head = f"{document['time'][11:23]}  {place}  "
    body = document.get("data_base64") or orjson.dumps(_brief(document["data"])).decode()
    kind = document["type"].rpartition(".")[2]
    line = Text.assemble((head, "dim"), (kind, "bold"), f"  {document['key']}  ", body)
    line.truncate(width, overflow="ellipsis")
    return line


def _brief(value: Any) -> Any:
    """The value with long lists cut to their first item; --json has them whole."""
    if isinstance(value, dict):
        return {name: _brief(item) for name, item in value.items()}
    if isinstance(value, list) and len(value) > 2:
        return [_brief(value[0]), f"… and {len(value) - 1:,} more"]
    return [_brief(item) for item in value] if isinstance(value, list) else value


async def tail(
    output: Output,
    url: str,
    words: Sequence[str],
    *,
    from_beginning: bool,
    key: str | None,
    limit: int | None,
    follow: bool,
) -> Exit:
    """Opens the log at `url` and reads it out."""
    catalog = Catalog.load()
    topics = choose_topics(catalog, words)
    try:
        log = open_log(url, catalog=catalog)
    except ValueError as error:
        raise CliError(Exit.USAGE, "bad_log", f"PQ_EVENT_LOG: {error}") from None
    try:
        if not output.json:
            output.note(f"reading {', '.join(topics)}" + ("; Ctrl-C ends it" if follow else ""))
        reader = Tail(output, log, key=key, limit=limit, follow=follow)
        return await reader.run(topics, from_beginning=from_beginning)
    finally:
        await log.close()


def _away(error: Exception) -> CliError:
    return CliError(
        Exit.UNREACHABLE,
        "log_unreachable",
        f"the event log cannot be reached: {error}",
        "`pq doctor` says what is up",
    )
