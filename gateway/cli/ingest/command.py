"""`pq ingest`: files in order, one after the other, with a bar for people."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Protocol

from gateway.cli.access import AccessTokens
from gateway.cli.client import Rest
from gateway.cli.exits import Exit
from gateway.cli.ingest import report
from gateway.cli.ingest.files import SourceFile, repeated_days
from gateway.cli.ingest.upload import RefusedFileError, Terms, Uploader
from gateway.cli.output import Output
from gateway.cli.product import Product
from libs.clock import SystemClock
from libs.rpc.client import plain_channel

if TYPE_CHECKING:
    from rich.progress import Progress

    from pq.market.v1 import imports_pb2 as pb


class Sender(Protocol):
    """What sends a file; see `upload.Uploader`."""

    async def send(self, file: SourceFile) -> pb.Import:
        """Raises RefusedFileError."""
        ...


class Bar:
    """How far the sending is, on stderr: bytes of all files, rows a second so far."""

    def __init__(self, output: Output, files: Sequence[SourceFile]) -> None:
        from rich import progress as rich

        shared = sys.stdout.isatty()
        self.live = output.err.is_terminal and not (output.json and shared)
        output.through_stderr = self.live and shared
        self.progress: Progress = rich.Progress(
            rich.TextColumn("{task.description}"),
            rich.BarColumn(),
            rich.TextColumn("{task.fields[place]}"),
            rich.TextColumn("{task.fields[rate]}"),
            rich.TimeRemainingColumn(),
            console=output.err,
            redirect_stdout=False,
            transient=True,
            disable=not self.live,
        )
        self._files = len(files)
        total = sum(file.size for file in files)
        self._task = self.progress.add_task("", total=total, place="", rate="")

    def start(self, file: SourceFile, number: int) -> None:
        """File `number`, counted from 1, is on its way."""
        place = f"{number}/{self._files} files"
        self.progress.update(self._task, description=file.path.name, place=place)

    def advance(self, count: int) -> None:
        """So many bytes left us; a negative number takes them back."""
        self.progress.advance(self._task, count)

    def wait(self, why: str) -> None:
        """The market does not take the file just now."""
        self.progress.update(self._task, rate=f"waiting: {why[:60]}")

    def done(self, tally: report.Tally) -> None:
        """A file is through."""
        self.progress.update(self._task, rate=f"{tally.rate:,.0f} rows/s")


async def ingest(
    output: Output,
    product: Product,
    files: Sequence[SourceFile],
    terms: Terms,
    *,
    strict: bool = False,
    keep_going: bool = False,
) -> Exit:
    """Sends files to the product's market, in the order given."""
    clock, bar = SystemClock(), Bar(output, files)
    async with (
        Rest(product.gateway, product.token()) as rest,
        plain_channel(product.target("market")) as channel,
    ):
        access = AccessTokens(rest, clock)
        uploader = Uploader(channel, access, terms, clock, on_bytes=bar.advance, on_wait=bar.wait)
        tally = await send_all(files, uploader, output, bar, keep_going=keep_going)
    return tally.exit(strict=strict)


async def send_all(
    files: Sequence[SourceFile], sender: Sender, output: Output, bar: Bar, *, keep_going: bool
) -> report.Tally:
    """Sends the files in order. A refused one ends it, unless `keep_going`."""
    for day in repeated_days(files):
        output.note(f"{day}: more than one file; each after the first corrects the one before")
    tally = report.Tally()
    began = time.monotonic()
    with bar.progress if bar.live else nullcontext():
        for number, file in enumerate(files, start=1):
            bar.start(file, number)
            taken = await _send_one(file, sender, output, tally)
            tally.seconds = time.monotonic() - began
            bar.done(tally)
            if not taken and not keep_going:
                tally.not_sent = len(files) - number
                break
    output.through_stderr = False
    _close(output, tally)
    return tally


async def _send_one(file: SourceFile, sender: Sender, output: Output, tally: report.Tally) -> bool:
    began = time.monotonic()
    try:
        answer = await sender.send(file)
    except RefusedFileError as refused:
        tally.refused.append(file.path)
        output.line(report.refused_document(file, refused.error))
        output.say(report.refused_text(file, refused.error))
        return False
    tally.add(answer)
    output.line(report.taken_document(file, answer, time.monotonic() - began))
    output.say(report.taken_text(file, answer))
    return True


def _close(output: Output, tally: report.Tally) -> None:
    output.line(tally.document())
    output.say(tally.text())
    if tally.not_sent:
        output.note(
            "stopped at the refused file, for what comes after a newer day is history and fires no"
            " alert: mend it and run the same command again, or give --keep-going"
        )
