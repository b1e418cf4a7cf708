"""Files as they came, kept for good: any row's origin is found again by reading its file.

A file is named by its digest, so that keeping it twice is keeping it once, and a file whose import
failed is found there by the next try. What did not come compressed is kept with gzip.
"""

from __future__ import annotations

import asyncio
import gzip
import os
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from libs.errors import AppError, Kind
from services.market.domain import packing

# Ends the key of what came plain; what came compressed is kept under its digest alone.
_PACKED_HERE = ".gz"
# The fastest: a sender waits for it.
_LEVEL = 1


class Store(Protocol):
    """Bytes by key. A put that returned is durable."""

    async def put(self, key: str, data: bytes) -> None:
        """Keeps bytes; what was there under this key is replaced as a whole."""
        ...

    async def get(self, key: str) -> bytes | None:
        """The bytes; None where there are none."""
        ...


class FolderStore:
    """A folder of files, each written beside its place, synced, and moved there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def put(self, key: str, data: bytes) -> None:
        """See `Store.put`."""
        await asyncio.to_thread(self._write, self._folder / key, data)

    async def get(self, key: str) -> bytes | None:
        """See `Store.get`."""
        try:
            return await asyncio.to_thread((self._folder / key).read_bytes)
        except FileNotFoundError:
            return None

    def _write(self, path: Path, data: bytes) -> None:
        made = [at for at in (path.parent, *path.parent.parents) if not at.exists()]
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".part-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        # An entry is durable when its folder is, and so on up to a folder that was there.
        for folder in (path.parent, *(at.parent for at in made)):
            _sync(folder)


class ObjectStore:
    """A bucket or container: s3://, gs://, az:// and what else obstore reads."""

    def __init__(self, url: str) -> None:
        import obstore.store

        self._store = obstore.store.from_url(url)

    async def put(self, key: str, data: bytes) -> None:
        """See `Store.put`."""
        import obstore

        await obstore.put_async(self._store, key, data)

    async def get(self, key: str) -> bytes | None:
        """See `Store.get`."""
        import obstore

        try:
            found = await obstore.get_async(self._store, key)
            return bytes(await found.bytes_async())
        except FileNotFoundError:
            return None


class RawFiles:
    """Files by their source and digest."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def keep(self, source: str, digest: str, data: bytes) -> str:
        """Keeps a file and answers its key. `digest` is the SHA-256 of `data`, in hex."""
        key = f"{source}/{digest[:2]}/{digest}"
        if not data.startswith(packing.GZIP_MAGIC):
            key += _PACKED_HERE
            data = await asyncio.to_thread(gzip.compress, data, _LEVEL, mtime=0)
        await self._store.put(key, data)
        return key

    async def read(self, key: str, digest: str) -> bytes:
        """A file's bytes as they came.

        Raises AppError (UNAVAILABLE) where they are gone or are no longer those of the digest.
        """
        data = await self._store.get(key)
        if data is not None and key.endswith(_PACKED_HERE):
            try:
                data = await asyncio.to_thread(gzip.decompress, data)
            except (OSError, EOFError):
                data = b""
        if data is None or sha256(data).hexdigest() != digest:
            told = "is missing" if data is None else "is damaged"
            raise AppError(Kind.UNAVAILABLE, "raw_file_lost", f"the kept file {key} {told}")
        return data


def media_type(key: str | None) -> str:
    """What a kept file came as; empty for None."""
    if key is None:
        return ""
    return "text/csv" if key.endswith(_PACKED_HERE) else "application/gzip"


def open_raw(place: str) -> RawFiles:
    """The store at a folder, a file:// URL or an object store's URL."""
    parts = urlsplit(place)
    if parts.scheme in ("", "file"):
        return RawFiles(FolderStore(Path(parts.path)))
    return RawFiles(ObjectStore(place))


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
