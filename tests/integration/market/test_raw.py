"""Every file that was taken in can be read again, as it came."""

import asyncio
import os
from hashlib import sha256
from pathlib import Path

import pytest

from libs.errors import AppError
from services.market.store import imports
from services.market.store.raw import ObjectStore, RawFiles, open_raw
from tests.integration.market.world import prices, squeeze

PLAIN = prices("2025-05-01", {1: "1.50", 2: "20.00"})


@pytest.mark.parametrize("data", [PLAIN, squeeze(PLAIN)])
async def test_an_import_knows_its_file(world, data):
    made = (await world.take(data)).item
    stored = await imports.get(world.db, made.id)
    assert stored is not None
    assert stored.raw is not None
    assert stored.raw.startswith("tcgplayer/")
    assert await open_raw(str(world.raw)).read(stored.raw, stored.sha256) == data


async def test_no_day_is_published_whose_file_was_not_kept(world, monkeypatch):
    monkeypatch.setattr(RawFiles, "keep", _full)
    with pytest.raises(OSError, match="no room"):
        await world.day("2025-05-02", {1: "2.00"})
    for table in ("imports", "quotes", "event_outbox"):
        assert await world.rows(table) == 0


async def test_a_file_is_synced_with_every_folder_made_for_it(tmp_path, monkeypatch):
    synced, real = [], os.fsync

    def sync(handle):
        synced.append(Path(f"/proc/self/fd/{handle}").readlink())
        real(handle)

    monkeypatch.setattr(os, "fsync", sync)
    await open_raw(str(tmp_path / "raw")).keep("a", "ab" * 32, b"x")
    assert synced[0].parent == tmp_path / "raw/a/ab"
    assert set(synced[1:]) == {tmp_path, *(tmp_path / at for at in ("raw", "raw/a", "raw/a/ab"))}
    assert [path.name for path in (tmp_path / "raw/a/ab").iterdir()] == ["ab" * 32 + ".gz"]


async def _full(*_args):
    raise OSError("no room")


async def test_a_file_that_is_lost_or_damaged_is_told_and_never_shown(world):
    made = (await world.take(PLAIN)).item
    path, raw = world.raw / made.raw, open_raw(str(world.raw))
    whole = path.read_bytes()
    for damaged in (whole[:-9], squeeze(PLAIN + b"x"), b"", b"rubbish"):
        path.write_bytes(damaged)
        with pytest.raises(AppError, match="is damaged"):
            await raw.read(made.raw, made.sha256)
    path.unlink()
    with pytest.raises(AppError, match="is missing"):
        await raw.read(made.raw, made.sha256)


async def test_an_object_store_keeps_the_same(tmp_path):
    raw, digest = RawFiles(ObjectStore(f"file://{tmp_path}")), sha256(PLAIN).hexdigest()
    key = await raw.keep("tcgplayer", digest, PLAIN)
    assert await raw.keep("tcgplayer", digest, PLAIN) == key
    assert await raw.read(key, digest) == PLAIN
    assert await open_raw(str(tmp_path)).read(key, digest) == PLAIN
    with pytest.raises(AppError, match="is missing"):
        await raw.read("tcgplayer/00/00", digest)


class Bucket:
    """What an S3 server does of PUT and GET; `broken` refusals come first."""

    def __init__(self):
        self.objects, self.signed, self.broken = {}, [], 0

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_):
        self._server.close()

    async def _serve(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        method, path, _ = head[0].split()
        headers = {
            name.lower(): value for name, _, value in (line.partition(": ") for line in head)
        }
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        self.signed.append(headers.get("authorization", ""))
        status, answer = 200, b""
        if self.broken:
            self.broken, status = self.broken - 1, 503
        elif method == "PUT":
            self.objects[path] = body
        elif path in self.objects:
            answer = self.objects[path]
        else:
            status = 404
        writer.write(
            b'HTTP/1.1 %d X\r\ncontent-length: %d\r\netag: "1"\r\nconnection: close\r\n'
            b"last-modified: Thu, 01 May 2025 00:00:00 GMT\r\n\r\n" % (status, len(answer)) + answer
        )
        await writer.drain()
        writer.close()


async def test_a_bucket_keeps_the_same(monkeypatch):
    async with Bucket() as bucket:
        for name, value in {
            "AWS_ENDPOINT_URL": bucket.url,
            "AWS_ALLOW_HTTP": "true",
            "AWS_REGION": "eu-central-1",
            "AWS_ACCESS_KEY_ID": "id",
            "AWS_SECRET_ACCESS_KEY": "key",
        }.items():
            monkeypatch.setenv(name, value)
        raw, digest = open_raw("s3://market/raw"), sha256(PLAIN).hexdigest()
        bucket.broken = 1  # it is asked again
        key = await raw.keep("tcgplayer", digest, PLAIN)
        assert list(bucket.objects) == [f"/market/raw/{key}"]
        assert await raw.read(key, digest) == PLAIN
        bucket.objects = {path: squeeze(b"another") for path in bucket.objects}
        with pytest.raises(AppError, match="is damaged"):
            await raw.read(key, digest)
        with pytest.raises(AppError, match="is missing"):
            await raw.read("tcgplayer/00/00", digest)
        assert all(one.startswith("AWS4-HMAC-SHA256 Credential=id/") for one in bucket.signed)
