"""Files on their way to a market, over real gRPC."""

import json
import os
from contextlib import asynccontextmanager

import pytest

from gateway.cli.exits import CliError, Exit
from gateway.cli.ingest.command import Bar, ingest, send_all
from gateway.cli.ingest.files import collect, inspect
from gateway.cli.ingest.upload import CHUNK, RefusedFileError, Terms, Uploader
from gateway.cli.output import Output
from gateway.cli.product import Product, ServiceAddress
from libs.errors import AppError, Kind, Violation
from libs.rpc.client import plain_channel
from libs.testing.clock import FakeClock
from pq.market.v1 import imports_pb2 as pb
from pq.market.v1 import market_pb2
from tests.integration.cli.canned import Canned
from tests.integration.cli.market import FakeMarket, serving

HEADING = "date,category,group_id,product_id,subtype,market,low,mid,high,direct_low\n"


class Tokens:
    """Access tokens without a gateway."""

    def __init__(self):
        self.made = 1

    async def get(self):
        return f"jwt-{self.made}"

    def forget(self):
        self.made += 1


def taken(file, _nth=1):
    day = file.header.day
    return pb.Import(
        name="imports/imp_1",
        day=day,
        row_count=3,
        accepted_count=2,
        rejected_count=1,
        change_count=2,
        snapshot=f"snapshots/demo-{day}-v1",
        mode=market_pb2.MODE_LIVE,
        faults=[pb.RowFault(line=3, field="market", reason="not_a_price", description="no")],
    )


def away_until(nth, error=None):
    """A market that fails until its nth call."""
    error = error or AppError(Kind.UNAVAILABLE, "unavailable", "starting")

    def decide(file, number):
        if number < nth:
            raise error
        return taken(file)

    return decide


@asynccontextmanager
async def uploading(market, *, terms=None, **more):
    clock, slept = FakeClock(), []

    async def sleep(seconds):
        slept.append(seconds)
        clock.advance(seconds)

    async with serving(market), plain_channel(market.target) as channel:
        tokens = Tokens()
        terms = terms or Terms("demo")
        yield Uploader(channel, tokens, terms, clock, sleep=sleep, **more), tokens, slept


def day_file(folder, day, rows=1):
    path = folder / f"{day}.csv"
    path.write_text(HEADING + f"{day},pokemon,1,2,Normal,1.00,,,,\n" * rows)
    return path


async def test_a_file_goes_in_pieces_with_its_digest_last(tmp_path):
    path = tmp_path / "2026-01-02.csv"
    path.write_bytes(HEADING.encode() + os.urandom(CHUNK * 2))
    market, moved = FakeMarket(taken), []
    terms = Terms("demo", backfill=True)
    async with uploading(market, terms=terms, on_bytes=moved.append) as (uploader, _, _):
        answer = await uploader.send(inspect(path))
    (file,) = market.taken
    assert (file.data, file.chunks, file.intact) == (path.read_bytes(), 3, True)
    assert file.header == pb.ImportHeader(
        kind=pb.IMPORT_KIND_PRICES,
        source="demo",
        day="2026-01-02",
        file_name="2026-01-02.csv",
        backfill=True,
    )
    assert file.authorization == "Bearer jwt-1"
    assert answer.accepted_count == 2
    assert sum(moved) == path.stat().st_size


async def test_a_market_that_is_away_is_waited_for_and_gets_the_whole_file_again(tmp_path):
    market, moved, waits = FakeMarket(away_until(4)), [], []
    more = {"on_bytes": moved.append, "on_wait": waits.append}
    async with uploading(market, **more) as (uploader, _, slept):
        await uploader.send(inspect(day_file(tmp_path, "2026-01-02")))
    assert [file.intact for file in market.taken] == [True] * 4
    assert slept == [0.2, 0.4, 0.8]
    assert waits == ["starting"] * 3
    assert sum(moved) == len(market.taken[0].data)


async def test_patience_ends(tmp_path):
    market = FakeMarket(away_until(1000))
    async with uploading(market, terms=Terms("demo", patience=5)) as (uploader, _, slept):
        with pytest.raises(CliError, match="did not take the file in 5 s: starting") as caught:
            await uploader.send(inspect(day_file(tmp_path, "2026-01-02")))
    assert caught.value.exit is Exit.UNREACHABLE
    assert 3 <= sum(slept) <= 5


async def test_the_market_says_when_to_come_back(tmp_path):
    busy = AppError(Kind.RATE_LIMITED, "busy", "later", retry_after=3.0)
    async with uploading(FakeMarket(away_until(2, busy))) as (uploader, _, slept):
        await uploader.send(inspect(day_file(tmp_path, "2026-01-02")))
    assert slept == [3.0]


async def test_a_token_that_has_ended_is_exchanged_once(tmp_path):
    ended = AppError(Kind.UNAUTHENTICATED, "token_expired", "ended")
    file = inspect(day_file(tmp_path, "2026-01-02"))
    market = FakeMarket(away_until(2, ended))
    async with uploading(market) as (uploader, _, slept):
        await uploader.send(file)
    assert [taken.authorization for taken in market.taken] == ["Bearer jwt-1", "Bearer jwt-2"]
    assert slept == []
    async with uploading(FakeMarket(away_until(1000, ended))) as (uploader, tokens, _):
        with pytest.raises(CliError, match="does not let us in") as caught:
            await uploader.send(file)
    assert (caught.value.exit, tokens.made) == (Exit.REFUSED, 2)


async def test_a_refused_file_keeps_what_the_market_said(tmp_path):
    violations = [Violation("market", "is missing", "missing_column")]
    error = AppError(Kind.INVALID, "missing_column", "no market", violations=violations)
    async with uploading(FakeMarket(away_until(1000, error))) as (uploader, _, _):
        with pytest.raises(RefusedFileError) as caught:
            await uploader.send(inspect(day_file(tmp_path, "2026-01-02")))
    assert caught.value.error.violations == tuple(violations)


@pytest.mark.parametrize(("keep_going", "sent", "left"), [(False, 2, 1), (True, 3, 0)])
async def test_a_refused_file_ends_it_unless_told_to_go_on(
    tmp_path, capsys, keep_going, sent, left
):
    def decide(file, _nth):
        if file.header.day == "2026-01-02":
            raise AppError(Kind.INVALID, "broken_gzip", "broken")
        return taken(file)

    for day in ("2026-01-01", "2026-01-02", "2026-01-03"):
        day_file(tmp_path, day)
    files, output = collect([tmp_path]), Output(json=True)
    market = FakeMarket(decide)
    async with uploading(market) as (uploader, _, _):
        bar = Bar(output, files)
        tally = await send_all(files, uploader, output, bar, keep_going=keep_going)
    assert (len(market.taken), tally.not_sent) == (sent, left)
    assert tally.exit(strict=False) is Exit.REJECTED
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines[0]["faults"][0]["line"] == 3
    assert lines[1]["error"]["reason"] == "broken_gzip"
    assert lines[-1]["summary"]["refused"] == 1


async def test_with_a_gateway_the_whole_command_runs(tmp_path, capsys):
    stamp = {"accessToken": "jwt", "expireTime": "2999-01-01T00:00:00Z"}
    market = FakeMarket(taken)
    exchange = {"POST /v1/tokens:exchange": lambda _: (200, stamp)}
    async with Canned(exchange) as gateway, serving(market):
        product = Product(
            home=tmp_path,
            gateway=gateway.url,
            services={"market": ServiceAddress(market.target)},
            given_token="op",
        )
        files = collect([day_file(tmp_path, "2026-01-02")])
        code = await ingest(Output(), product, files, Terms("demo"), strict=True)
    assert code is Exit.REJECTED
    told = capsys.readouterr()
    assert "2026-01-02 v1  2 accepted, 1 set aside, 2 changes" in told.out
    assert "line 3, market: no (not_a_price)" in told.out
    assert market.taken[0].authorization == "Bearer jwt"
