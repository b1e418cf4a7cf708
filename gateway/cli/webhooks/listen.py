"""`pq listen`: prints each delivery until Ctrl-C."""

from __future__ import annotations

import asyncio
import sys
from datetime import datetime
from typing import Any

import orjson

from gateway.cli.exits import CliError, Exit
from gateway.cli.output import Output
from gateway.cli.webhooks.behaviour import DROP, Behaviour
from gateway.cli.webhooks.receiver import Delivery, Receiver
from gateway.cli.webhooks.verify import Verifier

_GREEN, _RED, _YELLOW, _DIM = "32", "31", "33", "2"


class Printer:
    """Prints deliveries, and counts them.

    Plain writes and not rich: at thousands a second the printing must not be what is measured.
    """

    def __init__(self, output: Output, *, signed: bool, bodies: bool) -> None:
        self._output = output
        self._signed = signed
        self._bodies = bodies
        self._colour = sys.stdout.isatty()
        self.total = self.repeats = self.unverified = 0

    def show(self, delivery: Delivery) -> None:
        """Prints one."""
        self.total += 1
        self.repeats += delivery.seen > 1
        self.unverified += self._signed and not delivery.verified
        if self._output.json:
            self._output.line(document(delivery, signed=self._signed))
            return
        sys.stdout.write(self._line(delivery))
        sys.stdout.flush()

    def summary(self) -> str:
        """What came in all."""
        told = f"{self.total:,} deliveries, {self.repeats:,} of them repeats"
        return told + (f", {self.unverified:,} not verified" if self._signed else "")

    def _line(self, delivery: Delivery) -> str:
        clock = delivery.time.astimezone().strftime("%H:%M:%S.%f")[:-3]
        if not self._signed:
            verdict = self._paint("not checked", _DIM)
        elif delivery.verified:
            verdict = self._paint("verified", _GREEN)
        else:
            verdict = self._paint(f"NOT VERIFIED: {delivery.fault}", _RED)
        answered = "dropped" if delivery.status == DROP else str(delivery.status)
        words = [
            self._paint(clock, _DIM),
            delivery.id or "(no webhook-id)",
            delivery.type or "(no type)",
            verdict,
            "→ " + (answered if delivery.status == 204 else self._paint(answered, _YELLOW)),
        ]
        if delivery.seen > 1:
            words.append(self._paint(f"repeat {delivery.seen - 1}", _YELLOW))
        body = f"\n    {delivery.body.decode('utf-8', 'replace')}" if self._bodies else ""
        return "  ".join(words) + body + "\n"

    def _paint(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._colour else text


def document(delivery: Delivery, *, signed: bool) -> dict[str, Any]:
    """A delivery as a line of --json."""
    try:
        body = orjson.loads(delivery.body)
    except orjson.JSONDecodeError:
        body = delivery.body.decode("utf-8", "replace")
    found: dict[str, Any] = {
        "time": _stamp(delivery.time),
        "path": delivery.path,
        "id": delivery.id,
        "type": delivery.type,
        "verified": delivery.verified if signed else None,
        "seen": delivery.seen,
        "answered": delivery.status or None,
        "body": body,
    }
    if signed and delivery.fault:
        found["fault"] = delivery.fault
    return found


def _stamp(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


async def listen(
    output: Output,
    *,
    host: str,
    port: int,
    secrets: list[str],
    behaviour: Behaviour,
    bodies: bool,
) -> Exit:
    """Listens until cancelled. Raises CliError where the port or a secret cannot be."""
    try:
        verifier = Verifier(secrets)
    except ValueError as error:
        raise CliError(Exit.USAGE, "bad_secret", str(error)) from None
    printer = Printer(output, signed=bool(secrets), bodies=bodies)
    receiver = Receiver(printer.show, verifier=verifier, behaviour=behaviour, host=host, port=port)
    try:
        await receiver.__aenter__()
    except OSError as error:
        raise CliError(
            Exit.FAILED,
            "port_in_use",
            f"cannot listen on {host}:{port}: {error.strerror or error}",
            "choose another with --port; 0 takes a free one",
        ) from None
    try:
        output.line({"listening": receiver.url})
        output.note(f"listening on {receiver.url}: {behaviour}; Ctrl-C ends it")
        if not secrets:
            output.note("signatures are not checked: give the endpoint's with --secret whsec_…")
        await asyncio.Event().wait()
    finally:
        await receiver.__aexit__(None, None, None)
        output.note(printer.summary())
    return Exit.OK
