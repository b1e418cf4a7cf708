"""A month's quotes for a person to look at: as CSV, or as a table to query.

    python -m services.market.unpack 2026-05 [--source NAME] [--table NAME]

Closed months are kept in a form that no SQL reads. `pq market unpack` starts this.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import sys
from collections.abc import Sequence
from datetime import date

import asyncpg
import numpy as np

from libs.db import Database
from services.market.domain.money import NONE, decimal
from services.market.domain.prices import FIELDS
from services.market.store import quotes, sources, unpacked
from services.market.store.quotes import Quotes
from services.market.store.wire import day_of

_LINES = 10_000
_MONTH = re.compile(r"(?:19|20)[0-9]{2}-(?:0[1-9]|1[0-2])", re.ASCII)
_TABLE = re.compile(r"[a-z_][a-z0-9_]{0,62}", re.ASCII)


def main(argv: Sequence[str]) -> int:
    """The command; answers its exit code: 0, 1 for what went wrong, 2 for wrong arguments."""
    wanted, url = _arguments(argv), os.environ.get("PQ_DATABASE_URL")
    if url is None:
        return _failed("PQ_DATABASE_URL is not set: it says where the market's database is")
    try:
        return asyncio.run(_unpack(url, wanted))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        return _failed(f"the market's database: {error}")


async def _unpack(url: str, wanted: argparse.Namespace) -> int:
    db = await Database.connect(url, application="pq-unpack", max_size=2)
    try:
        known = await sources.read_all(db)
        if wanted.source is not None and wanted.source not in known:
            told = ", ".join(known) or "none has quoted yet"
            return _failed(f"--source: expected one of {told}; got {wanted.source[:60]!r}")
        names = known if wanted.source is None else [wanted.source]
        found = {
            known[name]: await quotes.read_month(db, known[name].number, wanted.month)
            for name in names
        }
        count = sum(len(one.cards) for one in found.values())
        if not count:
            return _failed(f"there are no quotes of {wanted.month:%Y-%m}")
        if wanted.table is None:
            ids = await unpacked.ids(db)
            print("day", "source", "card", *FIELDS, sep=",")
            for source, one in found.items():
                _write(source.name, one, ids)
        else:
            async with db.transaction() as tx:
                await unpacked.make(tx, wanted.table, found)
            print(f"{count:,} quotes of {wanted.month:%Y-%m} are in the table {wanted.table}")
    finally:
        await db.close()
    return 0


def _write(source: str, found: Quotes, ids: dict[int, str]) -> None:
    # Most prices are there many times.
    told = {price: decimal(price) for price in np.unique(found.cents).tolist()} | {NONE: ""}
    days = {day: str(day_of(day)) for day in np.unique(found.days).tolist()}
    for start in range(0, len(found.cards), _LINES):
        part = slice(start, start + _LINES)
        rows = zip(
            *(found.cards[part].tolist(), found.days[part].tolist(), found.cents[part].tolist()),
            strict=True,
        )
        sys.stdout.writelines(
            f"{days[day]},{source},{ids[card]},{','.join([told[price] for price in prices])}\n"
            for card, day, prices in rows
        )


def _arguments(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="pq market unpack", description=__doc__)
    parser.add_argument("month", type=_month)
    parser.add_argument("--source")
    parser.add_argument("--table", type=_table)
    return parser.parse_args(argv)


def _month(text: str) -> date:
    if not _MONTH.fullmatch(text):
        raise argparse.ArgumentTypeError(f"expected a month, such as 2026-05; got {text[:20]!r}")
    return date(int(text[:4]), int(text[5:]), 1)


def _table(text: str) -> str:
    if not _TABLE.fullmatch(text):
        raise argparse.ArgumentTypeError(
            f"expected a name of small letters, digits and _; got {text[:80]!r}"
        )
    return text


def _failed(told: str) -> int:
    print(f"pq market unpack: {told}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
