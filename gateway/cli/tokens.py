"""`pq token`: tokens over REST."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from gateway.cli.client import Rest
from gateway.cli.exits import CliError, Exit
from gateway.cli.output import Output

if TYPE_CHECKING:
    from rich.table import Table

ROLES = ("viewer", "operator", "admin", "ingest")
_SPAN = re.compile(r"(\d+)\s*(s|m|h|d|w|y)")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800, "y": 31_536_000}


async def create(
    output: Output,
    rest: Rest,
    *,
    name: str,
    role: str | None,
    read_only: bool,
    expires: str | None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Exit:
    """Mints a token and shows its secret, this once."""
    token: dict[str, Any] = {"displayName": name, "readOnly": read_only}
    if role is not None:
        token["role"] = f"ROLE_{role.upper()}"
    if expires is not None:
        token["expireTime"] = _stamp(read_end(expires, now()))
    return _show_secret(output, await rest.post("/v1/tokens", token))


async def list_tokens(output: Output, rest: Rest) -> Exit:
    """All tokens of the caller, newest first."""
    found = [token async for token in rest.pages("/v1/tokens", "tokens")]
    output.document({"tokens": found})
    if found:
        output.say(_table(found))
    elif not output.json:
        output.note("no tokens")
    return Exit.OK


async def revoke(output: Output, rest: Rest, name: str) -> Exit:
    """Ends a token."""
    token = await rest.post(f"/v1/{full_name(name)}:revoke", {})
    output.document(token)
    output.say(f"{token['name']} is revoked; access tokens made from it end within 5 minutes")
    return Exit.OK


async def rotate(output: Output, rest: Rest, name: str, overlap: str | None) -> Exit:
    """Mints a token's successor and shows its secret, this once."""
    body = {} if overlap is None else {"overlap": f"{int(read_span(overlap).total_seconds())}s"}
    return _show_secret(output, await rest.post(f"/v1/{full_name(name)}:rotate", body))


async def exchange(output: Output, rest: Rest) -> Exit:
    """Prints an access token for the gRPC services, bare, so that $(…) can take it."""
    answer = await rest.post("/v1/tokens:exchange", {})
    output.document(answer)
    if not output.json:
        print(answer["accessToken"])
        output.note(f'ends {answer["expireTime"]}; send it as "authorization: Bearer …"')
    return Exit.OK


def full_name(name: str) -> str:
    """ "tok_…" or "tokens/tok_…" as "tokens/tok_…". Raises CliError for what cannot be a name."""
    id = name.removeprefix("tokens/")
    if not re.fullmatch(r"[A-Za-z0-9_-]+", id):
        raise CliError(
            Exit.USAGE,
            "bad_name",
            f"{name!r} is not a token's name, such as tok_…",
            "`pq token list` shows them",
        )
    return f"tokens/{id}"


def read_span(text: str) -> timedelta:
    """Reads "90d", "12h" and the like. Raises CliError."""
    match = _SPAN.fullmatch(text.strip())
    if match is None:
        raise CliError(
            Exit.USAGE, "bad_duration", f"{text!r} is not a duration, such as 90d or 12h"
        )
    return timedelta(seconds=int(match[1]) * _UNITS[match[2]])


def read_end(text: str, now: datetime) -> datetime:
    """Reads a duration from now, a day, or a moment with its offset. Raises CliError."""
    if _SPAN.fullmatch(text.strip()):
        return now + read_span(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise CliError(
            Exit.USAGE,
            "bad_expiry",
            f"{text!r} is neither a duration, such as 90d, nor a moment, such as 2027-01-31",
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _show_secret(output: Output, answer: dict[str, Any]) -> Exit:
    output.document(answer)
    if not output.json:
        # The secret alone on stdout: `export PQ_TOKEN=$(pq token create …)`.
        print(answer["secret"])
        output.note(f"{answer['token']['name']}: keep the secret, it is not shown again")
    return Exit.OK


def _table(tokens: list[dict[str, Any]]) -> Table:
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("NAME", "FOR", "MAY", "STARTS WITH", "LAST USED", "ENDS"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "NAME")
    for token in tokens:
        may = token["role"].removeprefix("ROLE_").lower().replace("unspecified", "account")
        may += ", reading" if token.get("readOnly") else ""
        ended = token.get("revokeTime")
        ends = f"revoked {ended}" if ended else token.get("expireTime") or "never"
        table.add_row(
            token["name"].removeprefix("tokens/"),
            token["displayName"],
            may,
            token["hint"],
            token.get("lastUseTime") or "never",
            ends,
            style="dim" if ended else "",
        )
    return table


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
