"""E-mails between us and the providers: who was asked, and what is known of it."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from libs.db import Database, Reader
from services.delivery.domain.email_addresses import EmailState
from services.delivery.store.emails import STATE

_ACCEPTED = 1  # EmailEventKind


@dataclass(frozen=True, slots=True)
class Standing:
    """What must be known before an e-mail is sent. `state` is None where the address is gone.

    `provider` was asked before and may have taken it, if `uncertain`; `accepted` says that one did.
    """

    state: EmailState | None
    provider: str = ""
    uncertain: bool = False
    accepted: bool = False


async def standing(reader: Reader, message: UUID, address: UUID) -> Standing:
    """As of now."""
    row = await reader.fetchrow(
        f"select {STATE} as state, p.provider, p.uncertain, p.stage from email_addresses a"
        " left join email_suppressions s on s.email_key = a.email_key"
        " left join email_sends p on p.message = $1 and p.endpoint = a.id where a.id = $2",
        message,
        address,
    )
    if row is None:
        return Standing(None)
    return Standing(
        EmailState(row["state"]),
        row["provider"] or "",
        bool(row["uncertain"]),
        (row["stage"] or 0) >= _ACCEPTED,
    )


async def asking(db: Database, message: UUID, address: UUID, provider: str) -> None:
    """Notes, before it is, that a provider is asked: from now on it may have the e-mail."""
    await db.execute(
        "insert into email_sends (message, endpoint, provider, provider_id, uncertain, stage,"
        " ask_time) values ($1, $2, $3, '', true, 0, now())"
        " on conflict (message, endpoint) do update set provider = excluded.provider,"
        " uncertain = true, ask_time = excluded.ask_time",
        message,
        address,
        provider,
    )


async def refused(db: Database, message: UUID, address: UUID) -> None:
    """The provider that was asked has not taken it, for certain."""
    await db.execute(
        "update email_sends set uncertain = false where message = $1 and endpoint = $2",
        message,
        address,
    )


async def accepted(db: Database, message: UUID, address: UUID, provider_id: str) -> None:
    """The provider that was asked has taken it. What it told already stays."""
    await db.execute(
        "update email_sends set uncertain = false, provider_id = $3, accept_time = now(),"
        f" stage = greatest(stage, {_ACCEPTED}) where message = $1 and endpoint = $2",
        message,
        address,
        provider_id,
    )
