"""The demonstration itself: prepare, send one price, follow it, clean up."""

from __future__ import annotations

import asyncio
import random
import secrets
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from gateway.cli.client import ProblemError, Rest
from gateway.cli.demo.card import SOURCE, Plan, plan
from gateway.cli.demo.hops import ACCEPTED, FIRED, LOOK_AT, RECEIVED, SENT, Journey
from gateway.cli.exits import CliError, Exit
from gateway.cli.ingest.files import FileKind, SourceFile
from gateway.cli.ingest.upload import RefusedFileError
from gateway.cli.output import Output
from gateway.cli.webhooks.receiver import Delivery, Receiver
from gateway.cli.webhooks.verify import Verifier
from libs.clock import Clock

EVENT_TYPE = "alert.triggered"
POLL = 0.02
Send = Callable[[SourceFile], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Stage:
    """What is there before the price is sent."""

    rest: Rest
    plan: Plan
    alert: str
    endpoint: str


class Demo:
    """One run. `send` sends a file as `pq ingest` does.

    `operator` signs up in the gateway's eyes: anybody may, but an operator's sign-ups are not few.
    """

    def __init__(
        self, operator: Rest, send: Send, output: Output, clock: Clock, timeout: float
    ) -> None:
        self._operator = operator
        self._send = send
        self._output = output
        self._clock = clock
        self._timeout = timeout
        self._arrived: asyncio.Queue[Delivery] = asyncio.Queue()

    async def run(self) -> Exit:
        """All of it. Raises CliError where it cannot be prepared, or a hop is not seen in time."""
        receiver = Receiver(self._arrived.put_nowait, clock=self._clock)
        async with receiver, self._stage(receiver) as stage:
            journey = Journey(self._clock.now())
            journey.prepared = {
                "card": stage.plan.card["name"],
                "alert": stage.alert,
                "endpoint": stage.endpoint,
                "receiver": receiver.url,
            }
            began, fault = self._clock.monotonic(), ""
            try:
                async with asyncio.timeout(self._timeout):
                    with self._waiting("the price on its way"):
                        fault = await self._follow(stage, journey, began)
            except TimeoutError:
                raise await self._late(stage, journey) from None
            return self._tell(journey, fault)

    @asynccontextmanager
    async def _stage(self, receiver: Receiver) -> AsyncIterator[Stage]:
        """Signs up, and makes an endpoint and an alert; takes both away again."""
        made = await self._operator.post("/v1/accounts", {"displayName": "pq demo"})
        async with Rest(self._operator.base_url, made["token"]) as rest:
            self._said("account", made["account"]["name"])
            chosen = await plan(rest, today=self._clock.now().date(), choose=random.choice)
            url = f"{receiver.url}{secrets.token_hex(4)}"
            endpoint = await self._endpoint(rest, url)
            receiver.verifier = Verifier([endpoint["secret"]])
            names = [endpoint["name"]]
            try:
                alert = await rest.post("/v1/alerts", _alert(chosen))
                names.append(alert["name"])
                headline = chosen.card["headline"]
                title = f"{chosen.card['displayName']}, {chosen.card['printing']}"
                self._said("card", f"{title}: {headline['market']} on {headline['day']}")
                self._said("alert", f"{alert['name']}: at or over {chosen.threshold}")
                yield Stage(rest, chosen, alert["name"], endpoint["name"])
            finally:
                await self._clean_up(rest, names)

    async def _endpoint(self, rest: Rest, url: str) -> dict[str, Any]:
        asked = {"url": url, "description": "pq demo", "eventTypes": [EVENT_TYPE]}
        try:
            endpoint: dict[str, Any] = await rest.post("/v1/endpoints", asked)
        except ProblemError as problem:
            if any(v.reason in ("address_refused", "url_scheme") for v in problem.violations):
                problem.hint = (
                    "this product does not send to loopback; one started by `pq up` does"
                    " (PQ_DELIVERY_ALLOW_NETWORKS, PQ_DELIVERY_ALLOW_HTTP)"
                )
            raise
        self._said("webhook", f"{endpoint['name']} → {url}")
        return endpoint

    async def _follow(self, stage: Stage, journey: Journey, began: float) -> str:
        """Sends the price and waits for each hop; answers why the webhook is not genuine, if so."""
        journey.began = self._clock.now()
        taken = await self._send_price(stage.plan)
        what = f"{stage.plan.price} {stage.plan.currency} for {stage.plan.day}, {taken.name}"
        journey.add(
            ACCEPTED, taken.create_time.ToDatetime(self._clock.now().tzinfo), what, taken.name
        )
        delivery = await self._arrived.get()
        journey.total = delivery.monotonic - began
        verdict = "NOT VERIFIED: " + delivery.fault if delivery.fault else "signature verified"
        journey.add(RECEIVED, delivery.time, f"{delivery.id}, {verdict}", f"messages/{delivery.id}")
        firing = await self._until(stage.rest, f"/v1/{stage.alert}/firings", "firings")
        journey.add(FIRED, _moment(firing["fireTime"]), firing["reason"], firing["name"])
        attempts = f"/v1/messages/{delivery.id}/attempts"
        attempt = await self._until(stage.rest, attempts, "attempts")
        code = f"{attempt['code']}, HTTP {attempt.get('httpStatus')}"
        journey.add(SENT, _moment(attempt["startTime"]), code, attempt["name"])
        return delivery.fault

    async def _send_price(self, chosen: Plan) -> Any:
        with tempfile.TemporaryDirectory(prefix="pq-demo-") as folder:
            path = Path(folder) / f"{chosen.day}.csv"
            data = chosen.file()
            path.write_bytes(data)
            day = chosen.day.isoformat()
            try:
                return await self._send(SourceFile(path, FileKind.PRICES, len(data), day, day))
            except RefusedFileError as refused:
                raise CliError(
                    Exit.FAILED,
                    refused.error.reason,
                    f"the price was not accepted: {refused.error.message}",
                    LOOK_AT[ACCEPTED],
                ) from None

    async def _until(self, rest: Rest, path: str, field: str) -> dict[str, Any]:
        while True:
            items = (await rest.get(path))[field]
            if items:
                first: dict[str, Any] = items[0]
                return first
            await asyncio.sleep(POLL)

    async def _late(self, stage: Stage, journey: Journey) -> CliError:
        """Time ran out: says which hop did not come, and what is known about it."""
        try:
            async with asyncio.timeout(5):
                known = await _whereabouts(stage, journey)
        except (CliError, TimeoutError) as error:
            known = f"; asking for more failed: {error}"
        missing = journey.missing()
        self._output.document(journey.document(verified=False))
        self._output.say(journey.table())
        return CliError(
            Exit.FAILED,
            "hop_missing",
            f"{missing[0]}: did not come within {self._timeout:g} s{known}",
            LOOK_AT[missing[0]],
        )

    async def _clean_up(self, rest: Rest, names: list[str]) -> None:
        """Takes away what was made, after Ctrl-C, too; a second one leaves at once."""
        for name in names:
            try:
                if name.startswith("alerts/"):
                    await rest.post(f"/v1/{name}:deactivate", {})
                else:
                    await rest.call("DELETE", f"/v1/{name}")
            except CliError as error:
                self._output.note(f"{name} was left behind: {error.message}")

    def _tell(self, journey: Journey, fault: str) -> Exit:
        self._output.document(journey.document(verified=not fault))
        self._output.say()
        self._output.say(journey.table())
        if fault:
            raise CliError(
                Exit.FAILED, "not_verified", f"the webhook came, but is not genuine: {fault}"
            )
        total = (journey.total or 0.0) * 1e3
        self._output.say(f"\n[bold green]{total:,.0f} ms[/] from price to verified webhook")
        return Exit.OK

    def _said(self, what: str, detail: str) -> None:
        from rich.text import Text

        self._output.say(Text.assemble((f"{what:<8} ", "dim"), detail))

    def _waiting(self, what: str) -> AbstractContextManager[Any]:
        quiet = self._output.json or not self._output.err.is_terminal
        return nullcontext() if quiet else self._output.err.status(what)


def _alert(chosen: Plan) -> dict[str, Any]:
    level = {"currencyCode": chosen.currency, "amount": str(chosen.threshold)}
    note = f"pq demo: the next price of {SOURCE}"
    return {"card": chosen.card["name"], "condition": {"priceAbove": level}, "note": note}


async def _whereabouts(stage: Stage, journey: Journey) -> str:
    """What the product knows of the hops that were not seen, added to the journey where it can."""
    seen = {hop.name for hop in journey.hops}
    if ACCEPTED in seen and FIRED not in seen:
        firings = (await stage.rest.get(f"/v1/{stage.alert}/firings"))["firings"]
        for firing in firings[:1]:
            journey.add(FIRED, _moment(firing["fireTime"]), firing["reason"], firing["name"])
    for message in (await stage.rest.get("/v1/messages", {"pageSize": "1"}))["messages"]:
        attempts = (await stage.rest.get(f"/v1/{message['name']}/attempts"))["attempts"]
        for attempt in attempts[:1]:
            code = str(attempt["code"])
            if SENT not in seen:
                journey.add(SENT, _moment(attempt["startTime"]), code, attempt["name"])
            return f"; delivery tried {len(attempts)} times: {code}"
        return f"; delivery has {message['name']} and did not try it yet"
    return ""


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
