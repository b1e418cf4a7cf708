"""`pq market unpack`: a month for whoever wants to look, closed or not."""

import asyncio
import os
import sys
from datetime import timedelta

import pytest

from services.market.handlers.closing import Closing, Rule
from tests.integration.market.world import HEADING, row


async def run(dsn, *wanted):
    """Its exit code, its lines, and its complaint."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "services.market.unpack", *wanted),
        env={**os.environ, "PQ_DATABASE_URL": dsn},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    told, complaint = await process.communicate()
    return process.returncode, told.decode().splitlines(), complaint.decode()


@pytest.fixture
async def month(world):
    lines = [HEADING, row("2025-03-31", 1, "1.50", low="1.05"), row("2025-03-31", 2, "")]
    await world.take("\n".join(lines).encode())
    await world.day("2025-03-30", {1: "7.00"}, source="cardmarket")
    await world.day("2025-05-01", {1: "2.00"})
    return world


async def test_it_is_the_same_before_and_after_it_is_closed(month, empty_database):
    expected = [
        "day,source,card,market,low,mid,high,direct_low",
        "2025-03-31,tcgplayer,pokemon-1-holofoil,1.50,1.05,,,",
        "2025-03-31,tcgplayer,pokemon-2-holofoil,,,,,",
        "2025-03-30,cardmarket,pokemon-1-holofoil,7.00,,,,",
    ]
    assert await run(empty_database, "2025-03") == (0, expected, "")
    closing = Closing(month.db, month.clock, Rule(open_months=1, quiet=timedelta(0)))
    assert await closing() is not None
    assert await run(empty_database, "2025-03") == (0, expected, "")
    only = (0, [expected[0], expected[3]], "")
    assert await run(empty_database, "2025-03", "--source", "cardmarket") == only


async def test_it_makes_a_table_for_psql(month, empty_database):
    code, told, _ = await run(empty_database, "2025-03", "--table", "march")
    assert (code, told) == (0, ["3 quotes of 2025-03 are in the table march"])
    found = await month.db.fetch("select * from march order by day, source, card")
    assert [[str(value) for value in one.values()][:5] for one in found] == [
        ["2025-03-30", "cardmarket", "pokemon-1-holofoil", "7.00", "None"],
        ["2025-03-31", "tcgplayer", "pokemon-1-holofoil", "1.50", "1.05"],
        ["2025-03-31", "tcgplayer", "pokemon-2-holofoil", "None", "None"],
    ]
    code, _, complaint = await run(empty_database, "2025-03", "--table", "march")
    assert (code, "already exists" in complaint) == (1, True)


@pytest.mark.parametrize(
    ("wanted", "code", "told"),
    [
        (["2025-3"], 2, "expected a month, such as 2026-05; got '2025-3'"),
        (["2025-03", "--table", "a; drop table cards"], 2, "expected a name of small letters"),
        (["2025-03", "--source", "nobody"], 1, "expected one of tcgplayer, cardmarket"),
        (["2024-03"], 1, "there are no quotes of 2024-03"),
    ],
)
async def test_what_cannot_be_is_told(month, empty_database, wanted, code, told):
    found = await run(empty_database, *wanted)
    assert found[:2] == (code, [])
    assert told in found[2]
