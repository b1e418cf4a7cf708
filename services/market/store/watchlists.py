"""Watchlists; another account's do not exist."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from libs.db import Reader, Tx


@dataclass(frozen=True, slots=True)
class Item:
    """A card by its number, and a note."""

    card: int
    note: str


@dataclass(frozen=True, slots=True)
class Watchlist:
    """A watchlist as it is stored."""

    id: UUID
    display_name: str
    create_time: datetime
    update_time: datetime
    revision: int
    items: tuple[Item, ...] = ()

    @property
    def etag(self) -> str:
        """Changes with each change."""
        return f'W/"{self.revision}"'


_COLUMNS = "id, display_name, create_time, update_time, revision"


async def count(tx: Tx, account: UUID) -> int:
    """How many an account has."""
    found: int = await tx.fetchval("select count(*) from watchlists where account = $1", account)
    return found


async def insert(tx: Tx, account: UUID, made: Watchlist) -> None:
    """Stores a new one."""
    await tx.execute(
        f"insert into watchlists (account, {_COLUMNS}) values ($1, $2, $3, $4, $5, $6)",
        account,
        made.id,
        made.display_name,
        made.create_time,
        made.update_time,
        made.revision,
    )
    await _items(tx, made)


async def update(tx: Tx, made: Watchlist) -> None:
    """Stores one as it is now."""
    await tx.execute(
        "update watchlists set display_name = $2, update_time = $3, revision = $4 where id = $1",
        made.id,
        made.display_name,
        made.update_time,
        made.revision,
    )
    await tx.execute("delete from watchlist_items where watchlist = $1", made.id)
    await _items(tx, made)


async def get(reader: Reader, account: UUID, id: UUID, *, lock: bool = False) -> Watchlist | None:
    """One of an account's; with `lock` nobody else changes it until the transaction ends."""
    rows = await reader.fetch(
        f"select {_COLUMNS} from watchlists where account = $1 and id = $2"
        + (" for update" if lock else ""),
        account,
        id,
    )
    found = await _whole(reader, [Watchlist(*row) for row in rows])
    return found[0] if found else None


async def page(reader: Reader, account: UUID, before: UUID | None, limit: int) -> list[Watchlist]:
    """An account's, newest first."""
    rows = await reader.fetch(
        f"select {_COLUMNS} from watchlists where account = $1 and ($2::uuid is null or id < $2)"
        " order by id desc limit $3",
        account,
        before,
        limit,
    )
    return await _whole(reader, [Watchlist(*row) for row in rows])


async def delete(tx: Tx, id: UUID) -> None:
    """Deletes one."""
    await tx.execute("delete from watchlists where id = $1", id)


async def erase(tx: Tx, account: UUID, limit: int) -> int:
    """Deletes at most `limit` of an account's; answers how many."""
    tag = await tx.execute(
        "delete from watchlists where id in"
        " (select id from watchlists where account = $1 order by id limit $2)",
        account,
        limit,
    )
    return int(tag.rpartition(" ")[2])


async def _whole(reader: Reader, bare: Sequence[Watchlist]) -> list[Watchlist]:
    rows = await reader.fetch(
        "select watchlist, card, note from watchlist_items where watchlist = any($1::uuid[])"
        " order by watchlist, place",
        [one.id for one in bare],
    )
    items: defaultdict[UUID, list[Item]] = defaultdict(list)
    for row in rows:
        items[row["watchlist"]].append(Item(row["card"], row["note"]))
    return [
        Watchlist(
            one.id,
            one.display_name,
            one.create_time,
            one.update_time,
            one.revision,
            tuple(items[one.id]),
        )
        for one in bare
    ]


async def _items(tx: Tx, made: Watchlist) -> None:
    await tx.execute(
        "insert into watchlist_items (watchlist, place, card, note)"
        " select $1, u.place, u.card, u.note"
        " from unnest($2::int[], $3::text[]) with ordinality as u(card, note, place)",
        made.id,
        [item.card for item in made.items],
        [item.note for item in made.items],
    )
